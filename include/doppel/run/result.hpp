// SPDX-License-Identifier: Apache-2.0
// What a whole run gives.
#pragma once

#include <doppel/run/outcome.hpp>
#include <doppel/train/result.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace doppel::run {

/// A part of the evaluation that failed. Everything else of the run is there.
struct Failure {
    std::string what{};    ///< "k-NN", "report"
    std::string reason{};  ///< one line
};

struct RunResult {
    train::TrainResult training{};
    train::Metrics metrics{};            ///< of the evaluation at the end, with the baselines
    std::vector<Failure> failures{};     ///< what could not be evaluated
    std::filesystem::path folder{};      ///< the run folder
    std::filesystem::path encoder{};     ///< encoder.safetensors; empty after a signal

    Outcome outcome{};                   ///< what was reached, in a sentence; empty after a signal
    std::vector<std::string> missed{};   ///< milestones that the run missed (RunOptions::expect), a sentence each

    /// Exit status of a program: 0; 3 for a missed milestone; 128 + signal after SIGINT, SIGTERM or SIGHUP.
    int status() const { return training.signal != 0 ? 128 + training.signal : missed.empty() ? 0 : 3; }
};

}  // namespace doppel::run
