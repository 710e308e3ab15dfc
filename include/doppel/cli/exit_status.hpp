// SPDX-License-Identifier: Apache-2.0
// What a program returns to the shell when something is thrown.
#pragma once

#include <doppel/core/error.hpp>

#include <c10/util/Exception.h>

#include <cstdio>
#include <exception>
#include <new>
#include <string>

namespace doppel::cli {

/// Runs `action`, which returns an exit status, and turns what it throws into one line on stderr and a status:
/// 2 for wrong input (Error), 1 for anything else. With `verbose`, torch's errors keep their backtrace.
///
///     int main() {
///         return cli::exit_status_of("mine", [] { … return 0; });
///     }
template <class Action>
int exit_status_of(const std::string& program, Action&& action, bool verbose = false) {
    try {
        return action();
    } catch (const Error& problem) {
        std::fprintf(stderr, "%s: %s\n", program.c_str(), problem.what());
        return 2;
    } catch (const c10::Error& problem) {
        const std::string text = verbose ? problem.what() : problem.what_without_backtrace();
        std::fprintf(stderr, "%s: %s\n", program.c_str(), verbose ? text.c_str() : text.substr(0, text.find('\n')).c_str());
    } catch (const std::bad_alloc&) {
        std::fprintf(stderr, "%s: out of memory; a smaller --batch-size, --size or network needs less\n", program.c_str());
    } catch (const std::exception& problem) { std::fprintf(stderr, "%s: %s\n", program.c_str(), problem.what()); }
    return 1;
}

}  // namespace doppel::cli
