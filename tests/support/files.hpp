// SPDX-License-Identifier: Apache-2.0
// Files and folders of a test.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace doppel::test {

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

inline std::string read_text(const std::filesystem::path& file) {
    const auto bytes = read_bytes(file);
    return {bytes.begin(), bytes.end()};
}

/// Whether two files hold the same. Not by comparing in a CHECK, which would print all their bytes.
inline bool same_bytes(const std::filesystem::path& a, const std::filesystem::path& b) {
    return std::filesystem::is_regular_file(a) && std::filesystem::is_regular_file(b) && read_bytes(a) == read_bytes(b);
}

inline void write_bytes(const std::filesystem::path& file, std::string_view bytes) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace doppel::test
