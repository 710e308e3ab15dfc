// SPDX-License-Identifier: Apache-2.0
// Lines of text during a long search.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace doppel::data {

/// Where lines about a long search go: the first after `seconds`, another one each time that as much has passed.
///
///     data::open("photos", {}, {.progress = {.say = [](const std::string& line) { std::cerr << line << '\n'; }}});
struct Progress {
    std::function<void(const std::string&)> say{};  ///< null: no lines
    double seconds = 3;
};

namespace detail {

/// Says from time to time how far a search has come.
class Ticker {
public:
    explicit Ticker(Progress progress) : progress_(std::move(progress)) {}

    /// Calls text() for a line if it is time for one.
    template <class Text>
    void tick(Text&& text) {
        if (!progress_.say) return;
        const auto now = std::chrono::steady_clock::now();
        if (std::chrono::duration<double>(now - last_).count() < progress_.seconds) return;
        last_ = now;
        progress_.say(text());
    }

private:
    Progress progress_;
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace detail

}  // namespace doppel::data
