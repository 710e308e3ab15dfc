// SPDX-License-Identifier: Apache-2.0
// The lines that a run writes for the person at the terminal.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <utility>

namespace doppel::run {

/// Writes one line to stderr; a closed terminal or pipe is no error.
template <class... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
    std::fputs((fmt::format(format, std::forward<Args>(args)...) + "\n").c_str(), stderr);
    std::fflush(stderr);
}

}  // namespace doppel::run
