// SPDX-License-Identifier: Apache-2.0
// The command line of the program that judges an encoder: a run's, or any file of weights.
#pragma once

namespace doppel::cli {

/// Judges an encoder as the arguments say: `evaluate ENCODER [--data DATA] [options]`. Returns the exit status.
///
///     int main(int argc, char** argv) { return cli::evaluate(argc, argv); }
int evaluate(int argc, char** argv);

}  // namespace doppel::cli

#ifndef DOPPEL_COMPILED
#include <doppel/cli/detail/evaluate.hpp>
#endif
