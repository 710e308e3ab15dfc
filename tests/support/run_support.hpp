// SPDX-License-Identifier: Apache-2.0
// What the tests of whole runs share.
#pragma once

#include <doppel/io/json_lines.hpp>
#include <doppel/run/options.hpp>

#include "support/train_support.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

namespace doppel::test {

inline run::Data data_of(std::int64_t validation = 12) {
    return {.train = images(),
            .validation = data::Embedded({.size = 16, .count = validation, .first = 1000}),
            .name = "drawn images"};
}

inline run::RunOptions options_of(const std::filesystem::path& out) {
    auto options = run::RunOptions{.train = quick(out), .k = 5};
    options.train.log_every = 5;
    return options;
}

/// How many lines of metrics.jsonl tell of an event.
inline std::int64_t lines_of(const std::filesystem::path& folder, const std::string& event) {
    std::int64_t count = 0;
    for (const auto& line : io::read_json_lines(folder / "metrics.jsonl")) count += line.value("event", "") == event;
    return count;
}

}  // namespace doppel::test
