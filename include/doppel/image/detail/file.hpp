// SPDX-License-Identifier: Apache-2.0
// Reads a file, or its first bytes.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/io/detail/file.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace doppel::image::detail {

/// Reads the first `most` bytes of a file, fewer if it is shorter. Throws Error with the path and the system's reason.
inline std::vector<std::uint8_t> read_start(const std::filesystem::path& path, std::size_t most, std::string_view who) {
    const auto give_up = [&](int error) {
        fail(who, ": cannot read ", path.string(), ": ", std::generic_category().message(error));
    };
    io::detail::Descriptor file(path, O_RDONLY);
    if (!file) give_up(errno);
    std::vector<std::uint8_t> bytes(most);
    std::size_t have = 0;
    while (have < most) {
        const auto got = ::read(file.get(), bytes.data() + have, most - have);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) give_up(errno);
        if (got == 0) break;
        have += static_cast<std::size_t>(got);
    }
    bytes.resize(have);
    return bytes;
}

/// Reads a file. Throws Error with the path and the system's reason.
inline std::vector<std::uint8_t> read_file(const std::filesystem::path& path, std::string_view who) {
    std::error_code problem;
    const auto size = std::filesystem::file_size(path, problem);  // an error too where path is a folder
    require(!problem, who, ": cannot read ", path.string(), ": ", problem.message());
    return read_start(path, static_cast<std::size_t>(size), who);
}

}  // namespace doppel::image::detail
