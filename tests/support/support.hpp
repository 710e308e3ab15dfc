// SPDX-License-Identifier: Apache-2.0
// What every test file includes: Catch2 (2.13 or 3) and a few helpers, without torch.
#pragma once

#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif
#ifndef SKIP  // Catch2 2 and 3.0 to 3.2; main.cpp counts
#define DOPPEL_CATCH2_WITHOUT_SKIP
#define SKIP(reason)                      \
    do {                                  \
        WARN("skipped: " << reason);      \
        ++doppel::test::skipped_cases;    \
        return;                           \
    } while (false)
#endif

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace doppel::test {

/// How many cases called SKIP where Catch2 has none.
inline int skipped_cases = 0;

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

/// A new empty folder that goes away with the object.
class TemporaryFolder {
public:
    TemporaryFolder() {
        std::random_device random;
        path_ = std::filesystem::temp_directory_path() / ("doppel-test-" + std::to_string(random()) + std::to_string(random()));
        std::filesystem::create_directories(path_);
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

inline std::vector<unsigned char> read_bytes(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// Whether two files hold the same. Not by comparing in a CHECK, which would print all their bytes.
inline bool same_bytes(const std::filesystem::path& a, const std::filesystem::path& b) {
    return std::filesystem::is_regular_file(a) && std::filesystem::is_regular_file(b) && read_bytes(a) == read_bytes(b);
}

inline void write_bytes(const std::filesystem::path& file, std::string_view bytes) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

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

/// A data set of real images below the folder DOPPEL_TEST_DATA (CONTRIBUTING.md); nothing where it is not there.
inline std::optional<std::filesystem::path> real_images(const std::string& name) {
    const char* folder = std::getenv("DOPPEL_TEST_DATA");
    if (!folder || !std::filesystem::is_directory(std::filesystem::path(folder) / name)) return std::nullopt;
    return std::filesystem::path(folder) / name;
}

}  // namespace doppel::test
