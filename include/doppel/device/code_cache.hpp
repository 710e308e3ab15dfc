// SPDX-License-Identifier: Apache-2.0
// Compiled kernels on disk, so that only the first run on a machine compiles them.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/io/atomic_file.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace doppel::device {

/// Returns where compiled kernels are kept: $XDG_CACHE_HOME/doppel/kernels or ~/.cache/doppel/kernels; empty without either.
inline std::filesystem::path code_cache_folder() {
    const char* const xdg = std::getenv("XDG_CACHE_HOME");
    if (xdg && *xdg == '/') return std::filesystem::path(xdg) / "doppel/kernels";
    const char* const home = std::getenv("HOME");
    return home && *home == '/' ? std::filesystem::path(home) / ".cache/doppel/kernels" : std::filesystem::path();
}

/// A folder of compiled kernels, found by a key: everything that decides the result (source, target, compiler, options).
/// The file holds the key and a checksum; one that is damaged, or of another key, counts as missing. A folder that cannot be
/// written keeps nothing. Several processes may use it at once.
///
///     const device::CodeCache cache(device::code_cache_folder());
///     if (auto code = cache.find(key)) …; else cache.keep(key, compiled);
class CodeCache {
public:
    /// With an empty folder, it keeps nothing.
    explicit CodeCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

    std::optional<std::string> find(const std::string& key) const {
        if (folder_.empty()) return {};
        std::ifstream in(file(key), std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(in), {}};
        const std::string start = head(key);
        if (!text.starts_with(start) || text.size() < start.size() + 16) return {};
        std::string code = text.substr(start.size() + 16);
        if (text.compare(start.size(), 16, digits(code)) != 0) return {};
        return code;
    }

    void keep(const std::string& key, const std::string& code) const {
        if (folder_.empty()) return;
        try {
            io::create_folders(folder_);
            io::write_atomically(file(key), head(key) + digits(code) + code);
        } catch (const Error&) {  // a full disk or a folder without permission costs time, not the run
        }
    }

    std::filesystem::path file(const std::string& key) const { return folder_ / (digits(key) + ".kernels"); }

private:
    static std::string head(const std::string& key) {
        return "doppel kernels 1\n" + std::to_string(key.size()) + '\n' + key + '\n';
    }

    /// 64-bit FNV-1a as 16 hexadecimal digits.
    static std::string digits(std::string_view bytes) {
        std::uint64_t hash = 0xCBF29CE484222325;
        for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
        std::string text(16, '0');
        for (std::size_t i = 16; i-- > 0; hash >>= 4) text[i] = "0123456789abcdef"[hash & 15];
        return text;
    }

    std::filesystem::path folder_;
};

}  // namespace doppel::device
