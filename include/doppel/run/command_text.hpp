// SPDX-License-Identifier: Apache-2.0
// A command line as a shell reads it.
#pragma once

#include <cctype>
#include <string>
#include <string_view>
#include <vector>

namespace doppel::run {

/// Returns the words with quotes where a POSIX shell needs them.
///
///     run::command_text({"./run", "train", "simclr", "--data", "my photos"});  // ./run train simclr --data 'my photos'
inline std::string command_text(const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words) {
        if (!text.empty()) text += ' ';
        bool plain = !word.empty();
        for (const char c : word)
            plain &= std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                     std::string_view("_-./:=,@%+").find(c) != std::string_view::npos;
        if (plain) {
            text += word;
            continue;
        }
        text += '\'';
        for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
        text += '\'';
    }
    return text;
}

}  // namespace doppel::run
