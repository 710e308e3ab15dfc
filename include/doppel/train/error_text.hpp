// SPDX-License-Identifier: Apache-2.0
// One line of any exception.
#pragma once

#include <c10/util/Exception.h>

#include <exception>
#include <string>

namespace doppel::train {

/// The first line of what an exception says, without a backtrace.
inline std::string error_text(const std::exception_ptr& problem = std::current_exception()) {
    std::string text = "an unknown exception";
    try {
        if (problem) std::rethrow_exception(problem);
    } catch (const c10::Error& error) { text = error.what_without_backtrace(); } catch (const std::exception& error) {
        text = error.what();
    } catch (...) {}
    return text.substr(0, text.find('\n'));
}

}  // namespace doppel::train
