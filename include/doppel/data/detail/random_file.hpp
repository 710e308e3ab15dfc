// SPDX-License-Identifier: Apache-2.0
// Reads places of a file.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/io/detail/file.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>

namespace doppel::data::detail {

/// An open file that several threads may read at once. Copies share it.
class RandomFile {
public:
    /// Throws UnreadableImage, with the path and the system's reason, for a file that cannot be opened.
    explicit RandomFile(std::filesystem::path path)
        : path_(std::move(path)), file_(std::make_shared<io::detail::Descriptor>(path_, O_RDONLY)) {
        if (!*file_) give_up(std::generic_category().message(errno));
        struct stat about{};
        if (::fstat(file_->get(), &about) != 0) give_up(std::generic_category().message(errno));
        if (!S_ISREG(about.st_mode)) give_up("not a file");
        size_ = static_cast<std::uint64_t>(about.st_size);
    }

    const std::filesystem::path& path() const { return path_; }
    std::uint64_t size() const { return size_; }

    /// Reads from `offset` until the buffer is full or the file ends; returns how many bytes that are. Throws
    /// UnreadableImage, with the path and the system's reason.
    std::size_t read(std::uint64_t offset, std::span<std::uint8_t> bytes) const {
        std::size_t have = 0;
        while (have < bytes.size()) {
            const auto got = ::pread(file_->get(), bytes.data() + have, bytes.size() - have, static_cast<off_t>(offset + have));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) give_up(std::generic_category().message(errno));
            if (got == 0) break;
            have += static_cast<std::size_t>(got);
        }
        return have;
    }

private:
    [[noreturn]] void give_up(const std::string& why) const {
        throw UnreadableImage("data: cannot read " + path_.string() + ": " + why);
    }

    std::filesystem::path path_;
    std::shared_ptr<io::detail::Descriptor> file_;
    std::uint64_t size_ = 0;
};

}  // namespace doppel::data::detail
