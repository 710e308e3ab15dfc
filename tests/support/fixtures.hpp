// SPDX-License-Identifier: Apache-2.0
// Where fixtures and real data are, and how fixtures are read.
#pragma once

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

/// Numbers by the words before them.
using Fixture = std::map<std::string, std::vector<double>>;

/// A file of tests/reference whose lines are `words` words, joined by spaces in the key, and numbers.
inline Fixture read_fixture(const std::string& name, int words) {
    std::ifstream file(reference_folder() / name);
    if (!file) throw std::runtime_error("no fixture " + (reference_folder() / name).string());
    Fixture all;
    for (std::string line; std::getline(file, line);) {
        std::istringstream in(line);
        std::string key, word;
        for (int i = 0; i < words && in >> word; ++i) key += (i == 0 ? "" : " ") + word;
        auto& values = all[key];
        for (double value = 0; in >> value;) values.push_back(value);
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
