// SPDX-License-Identifier: Apache-2.0
// A training program: command line, data, encoder, method, a whole run.
#pragma once

#include <doppel/cli/custom_data.hpp>
#include <doppel/methods/entry.hpp>

#include <vector>

namespace doppel::cli {

/// A whole program for one method: reads the command line, trains, evaluates and reports. Exit status: 0; 2 for wrong input,
/// with one line on stderr; 1 for other errors; 130 and 143 after SIGINT and SIGTERM. `own` are images of the program, which
/// it trains on unless --data says otherwise.
///
///     int main(int argc, char** argv) { return cli::train(argc, argv, my_method); }
int train(int argc, char** argv, const methods::MethodEntry& entry, const CustomData& own = {});

/// The same for several methods: the first argument names one; without any the methods are listed.
int train(int argc, char** argv, const std::vector<methods::MethodEntry>& entries, const CustomData& own = {});

}  // namespace doppel::cli

#ifndef DOPPEL_COMPILED
#include <doppel/cli/detail/program.hpp>
#endif
