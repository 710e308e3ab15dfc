// SPDX-License-Identifier: Apache-2.0
// What a program's exceptions become: one line on stderr and an exit status.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/train/error_text.hpp>

#include <cstdio>
#include <exception>
#include <functional>
#include <string>

namespace doppel::cli {

/// Runs `body` and returns its exit status; 2 after an Error (wrong input), 1 after anything else that it throws. With
/// `verbose` (read when it happens), the whole text of what is no Error.
///
///     return cli::exit_status("doppel", verbose, [&] { return run::run(preset, data, options).status(); });
inline int exit_status(const std::string& program, const bool& verbose, const std::function<int()>& body) {
    try {
        return body();
    } catch (const Error& problem) {
        std::fprintf(stderr, "%s: %s\n", program.c_str(), problem.what());
        return 2;
    } catch (const std::exception& problem) {
        const std::string text = verbose ? problem.what() : train::error_text(std::current_exception());
        const bool more = !verbose && text != problem.what();
        std::fprintf(stderr, "%s: %s%s\n", program.c_str(), text.c_str(), more ? " (--verbose tells more)" : "");
        return 1;
    }
}

}  // namespace doppel::cli
