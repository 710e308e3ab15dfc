// SPDX-License-Identifier: Apache-2.0
// What a wrong use says.
#pragma once

#include "support/catch.hpp"

#include <exception>
#include <initializer_list>
#include <string>
#include <string_view>

namespace doppel::test {

/// The text of the exception that `action` throws, or "" when it throws none.
template <class Action>
std::string message_of(Action&& action) {
    try {
        action();
    } catch (const std::exception& problem) {
        return problem.what();
    }
    return {};
}

/// True when `text` holds every one of the parts.
inline bool mentions(std::string_view text, std::initializer_list<std::string_view> parts) {
    for (auto part : parts)
        if (text.find(part) == std::string_view::npos) return false;
    return true;
}

/// Checks that `action` throws, and that the message is one line that holds every one of the parts.
template <class Action>
void says(Action&& action, std::initializer_list<std::string_view> parts) {
    const std::string message = message_of(action);
    INFO("message: " << message);
    CHECK(!message.empty());
    CHECK(mentions(message, parts));
    CHECK(message.find('\n') == std::string::npos);
}

}  // namespace doppel::test
