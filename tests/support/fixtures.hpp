// SPDX-License-Identifier: Apache-2.0
// Where fixtures and real data are, and how fixtures are read.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace doppel::test {

/// The source tree: DOPPEL_SOURCE_DIR, which ctest sets, or the nearest folder above the current one that is one.
inline std::filesystem::path source_folder() {
    namespace fs = std::filesystem;
    if (const char* given = std::getenv("DOPPEL_SOURCE_DIR")) return given;
    auto folder = fs::current_path();
    while (!fs::exists(folder / "include/doppel/doppel.hpp")) {
        if (folder == folder.parent_path())
            throw std::runtime_error("no source tree of doppel above " + fs::current_path().string() +
                                     "; name it in DOPPEL_SOURCE_DIR");
        folder = folder.parent_path();
    }
    return folder;
}

/// The folder of fixtures.
inline std::filesystem::path reference_folder() { return source_folder() / "tests/reference"; }

/// The words of each line of a file of tests/reference; a line that begins with # is a comment.
inline std::vector<std::vector<std::string>> fixture_lines(const std::string& name) {
    std::ifstream file(reference_folder() / name);
    if (!file) throw std::runtime_error("no fixture " + (reference_folder() / name).string());
    std::vector<std::vector<std::string>> lines;
    for (std::string line; std::getline(file, line);) {
        if (line.empty() || line[0] == '#') continue;
        std::istringstream in(line);
        auto& words = lines.emplace_back();
        for (std::string word; in >> word;) words.push_back(word);
    }
    return lines;
}

/// The words from place `first` on as numbers.
inline std::vector<double> values_of(const std::vector<std::string>& words, std::size_t first) {
    std::vector<double> values;
    for (std::size_t i = first; i < words.size(); ++i) values.push_back(std::stod(words[i]));
    return values;
}

/// The bytes of "00ff…".
inline std::vector<std::uint8_t> bytes_of_hex(const std::string& text) {
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        bytes.push_back(static_cast<std::uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
    return bytes;
}

/// Numbers by the words before them.
using Fixture = std::map<std::string, std::vector<double>>;

/// A file of tests/reference whose lines are `words` words, joined by spaces in the key, and numbers.
inline Fixture read_fixture(const std::string& name, std::size_t words) {
    Fixture all;
    for (const auto& line : fixture_lines(name)) {
        std::string key;
        for (std::size_t i = 0; i < words; ++i) key += (i == 0 ? "" : " ") + line.at(i);
        all[key] = values_of(line, words);
    }
    return all;
}

/// The lines of a file of tests/reference that begin with `name`, by their second word.
inline Fixture fixture(const std::string& file, const std::string& name) {
    Fixture all;
    for (const auto& [key, values] : read_fixture(file, 2))
        if (key.starts_with(name + ' ')) all[key.substr(name.size() + 1)] = values;
    return all;
}

/// A data set of real images below the folder DOPPEL_TEST_DATA (CONTRIBUTING.md); nothing where it is not there.
inline std::optional<std::filesystem::path> real_images(const std::string& name) {
    const char* folder = std::getenv("DOPPEL_TEST_DATA");
    if (!folder || !std::filesystem::is_directory(std::filesystem::path(folder) / name)) return std::nullopt;
    return std::filesystem::path(folder) / name;
}

}  // namespace doppel::test
