// SPDX-License-Identifier: Apache-2.0
// A command line as a shell reads it.
#pragma once

#include <nlohmann/json.hpp>

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

/// Returns the command that repeats a run, from "program" and "command" of its config.json; empty where no command line
/// started it.
inline std::string command_of(const nlohmann::ordered_json& record) {
    if (!record.contains("program") || !record.contains("command")) return "";
    auto program = record["program"].get<std::string>();
    if (program.starts_with("train ")) program = "./run " + program;  // doppel's own
    const auto words = command_text(record["command"].get<std::vector<std::string>>());
    return program + (words.empty() ? "" : " " + words);
}

}  // namespace doppel::run
