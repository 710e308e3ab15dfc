// SPDX-License-Identifier: Apache-2.0
// A run as a command line describes it, before it begins.
#pragma once

#include <doppel/cli/custom_data.hpp>
#include <doppel/methods/entry.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/run/options.hpp>

#include <string>
#include <variant>
#include <vector>

namespace doppel::cli {

/// What run::run() is given.
struct Prepared {
    AnyPreset preset{};
    run::Data data{};
    run::RunOptions options{};
    int processes = 1;  ///< to start on this machine
};

/// Opens the images and makes the preset as the words of a command line say: data, encoder, method, run. Builds no network and
/// writes nothing. With --resume, the images are those that the run's folder lists. Returns an exit status instead where the words
/// ask for --help or --version, which it prints. Throws Error for wrong words.
///
///     auto prepared = cli::prepare({"--config", "runs/mine/config.json"}, "mine", methods::find("simclr"), {});
std::variant<int, Prepared> prepare(const std::vector<std::string>& words, const std::string& program, const methods::MethodEntry& entry,
                                    const CustomData& own);

}  // namespace doppel::cli

#ifndef DOPPEL_COMPILED
#include <doppel/cli/detail/program.hpp>
#endif
