// SPDX-License-Identifier: Apache-2.0
// The command line of the program that writes features of images and finds similar ones.
#pragma once

namespace doppel::cli {

/// Writes features as the arguments say: `embed ENCODER --data FOLDER [options]`. Returns the exit status.
///
///     int main(int argc, char** argv) { return cli::embed(argc, argv); }
int embed(int argc, char** argv);

}  // namespace doppel::cli

#ifndef DOPPEL_COMPILED
#include <doppel/cli/detail/embed.hpp>
#endif
