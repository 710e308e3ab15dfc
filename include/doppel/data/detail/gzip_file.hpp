// SPDX-License-Identifier: Apache-2.0
// Reads a file that may be compressed by gzip.
#pragma once

#include <doppel/core/error.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <zlib.h>

namespace doppel::data::detail {

/// A file that is read in pieces and decompressed if its content is gzip. Throws Error with the path if it cannot be
/// read, or the compressed data are damaged or truncated.
class GzipFile {
public:
    GzipFile(const std::filesystem::path& path, std::string_view who)
        : path_(path), who_(who), file_(gzopen(path.c_str(), "rbe")) {
        require(file_ != nullptr, who_, ": cannot read ", path_.string(), ": ", std::generic_category().message(errno));
        gzbuffer(file_, 1 << 17);
    }
    ~GzipFile() { gzclose_r(file_); }
    GzipFile(const GzipFile&) = delete;
    GzipFile& operator=(const GzipFile&) = delete;

    /// Reads the next bytes; fewer than `wanted` only at the end. Memory grows with the data, not with the request.
    std::vector<std::uint8_t> read(std::size_t wanted) {
        std::vector<std::uint8_t> bytes;
        while (bytes.size() < wanted) {
            const std::size_t have = bytes.size(), piece = std::min<std::size_t>(wanted - have, std::size_t{1} << 24);
            bytes.resize(have + piece);
            const int got = gzread(file_, bytes.data() + have, static_cast<unsigned>(piece));
            int status = Z_OK;
            const char* text = gzerror(file_, &status);
            const auto reason = [&]() -> std::string {
                if (status == Z_ERRNO) return std::generic_category().message(errno);
                return status == Z_BUF_ERROR ? "the gzip data end too early" : text;
            };
            if (got < 0 || status != Z_OK) fail(who_, ": cannot read ", path_.string(), ": ", reason());
            bytes.resize(have + static_cast<std::size_t>(got));
            if (static_cast<std::size_t>(got) < piece) break;
        }
        return bytes;
    }

private:
    std::filesystem::path path_;
    std::string_view who_;
    gzFile file_;
};

}  // namespace doppel::data::detail
