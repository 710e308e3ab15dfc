// SPDX-License-Identifier: Apache-2.0
// What every test file includes: Catch2 (2.13 or 3) and a few helpers, without torch.
#pragma once

#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

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

#ifdef DOPPEL_TEST_REFERENCE
/// The folder of fixtures, tests/reference.
inline std::filesystem::path reference_folder() { return DOPPEL_TEST_REFERENCE; }
#endif

/// Real images that stand outside the repository (DOPPEL_TEST_DATA); nothing when they are not there.
inline std::optional<std::filesystem::path> real_images() {
    if (const char* given = std::getenv("DOPPEL_TEST_DATA"); given && std::filesystem::is_directory(given)) return given;
#ifdef DOPPEL_TEST_DATA
    if (std::filesystem::is_directory(DOPPEL_TEST_DATA)) return DOPPEL_TEST_DATA;
#endif
    return std::nullopt;
}

}  // namespace doppel::test
