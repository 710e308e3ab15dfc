// SPDX-License-Identifier: Apache-2.0
// A file in memory, read only.
#pragma once

#include <doppel/io/detail/file.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include <sys/mman.h>

namespace doppel::data::detail {

/// Maps a file into memory. It stays readable when the file is removed or replaced.
class MappedFile {
public:
    explicit MappedFile(const std::filesystem::path& path) : file_(path, O_RDONLY) {
        struct stat about{};
        if (!file_ || ::fstat(file_.get(), &about) != 0) {
            error_ = errno;
            return;
        }
        size_ = static_cast<std::size_t>(about.st_size);
        if (size_ == 0 || !S_ISREG(about.st_mode)) return;
        void* const start = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file_.get(), 0);
        if (start == MAP_FAILED)
            error_ = errno;
        else
            start_ = static_cast<const std::uint8_t*>(start);
    }
    ~MappedFile() {
        if (start_) ::munmap(const_cast<std::uint8_t*>(start_), size_);
    }
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    /// Returns zero, or the errno of the failure.
    int error() const { return error_; }
    /// The bytes; none of what is no regular file.
    std::span<const std::uint8_t> bytes() const { return {start_, start_ ? size_ : 0}; }
    /// Returns whether the file has become shorter: reading what it lost would end the process.
    bool is_cut() const {
        struct stat about{};
        return ::fstat(file_.get(), &about) != 0 || static_cast<std::size_t>(about.st_size) < size_;
    }

private:
    io::detail::Descriptor file_;
    int error_ = 0;
    std::size_t size_ = 0;
    const std::uint8_t* start_ = nullptr;
};

}  // namespace doppel::data::detail
