// SPDX-License-Identifier: Apache-2.0
// The lines that a run writes for the person at the terminal.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <utility>

namespace doppel::run {

/// Whether this process says nothing: of several that train together, the first one speaks.
inline std::atomic<bool>& silent() {
    static std::atomic<bool> value{false};
    return value;
}

/// Writes one line to stderr; a closed terminal or pipe is no error.
template <class... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
    if (silent()) return;
    std::fputs((fmt::format(format, std::forward<Args>(args)...) + "\n").c_str(), stderr);
    std::fflush(stderr);
}

}  // namespace doppel::run
