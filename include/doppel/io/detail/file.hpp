// SPDX-License-Identifier: Apache-2.0
// POSIX files: an owning descriptor, a stream buffer that keeps the error of a failed write, appending, reading.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <ios>
#include <optional>
#include <streambuf>
#include <string>
#include <utility>
#include <vector>

namespace doppel::io::detail {

/// An owning file descriptor. False if the file could not be opened (reason in errno).
class Descriptor {
public:
    Descriptor(const std::filesystem::path& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor() { close(); }

    explicit operator bool() const { return fd_ >= 0; }
    int get() const { return fd_; }
    bool close() { return fd_ < 0 || ::close(std::exchange(fd_, -1)) == 0; }

private:
    int fd_;
};

/// Writes all bytes. Returns zero, or the errno of the failed write.
inline int write_all(int fd, const char* data, std::size_t size) {
    while (size > 0) {
        const auto written = ::write(fd, data, size);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return written < 0 ? errno : ENOSPC;
        data += written;
        size -= static_cast<std::size_t>(written);
    }
    return 0;
}

/// An output buffer over a descriptor; large pieces are written without a copy.
class FileBuffer : public std::streambuf {
public:
    explicit FileBuffer(int fd) : fd_(fd), buffer_(std::size_t{1} << 16) { reset(); }

    /// Returns the errno of the first failed write; zero if none failed.
    int error() const { return error_; }

protected:
    int_type overflow(int_type c) override {
        if (sync() != 0) return traits_type::eof();
        if (!traits_type::eq_int_type(c, traits_type::eof())) sputc(traits_type::to_char_type(c));
        return traits_type::not_eof(c);
    }

    std::streamsize xsputn(const char* data, std::streamsize size) override {
        if (size < static_cast<std::streamsize>(buffer_.size())) return std::streambuf::xsputn(data, size);
        return sync() == 0 && write(data, static_cast<std::size_t>(size)) ? size : 0;
    }

    int sync() override {
        const bool written = write(pbase(), static_cast<std::size_t>(pptr() - pbase()));
        reset();
        return written ? 0 : -1;
    }

    /// Only from the start of the file.
    pos_type seekpos(pos_type position, std::ios_base::openmode) override {
        const bool there = sync() == 0 && ::lseek(fd_, position, SEEK_SET) == position;
        return there ? position : pos_type(off_type(-1));
    }

private:
    bool write(const char* data, std::size_t size) {
        if (error_ == 0) error_ = write_all(fd_, data, size);
        return error_ == 0;
    }
    void reset() { setp(buffer_.data(), buffer_.data() + buffer_.size()); }

    int fd_, error_ = 0;
    std::vector<char> buffer_;
};

/// A file that records are appended to, each completely or not at all.
class AppendFile {
public:
    explicit AppendFile(const std::filesystem::path& path) : file_(path, O_WRONLY | O_CREAT | O_APPEND) {}

    explicit operator bool() const { return static_cast<bool>(file_); }

    /// Returns zero, or the errno of the failure; the file is then unchanged.
    int append(const std::string& record) {
        struct stat before{};
        if (::fstat(file_.get(), &before) != 0) return errno;
        const int error = write_all(file_.get(), record.data(), record.size());
        if (error != 0 && ::ftruncate(file_.get(), before.st_size) != 0) return errno;
        return error;
    }

private:
    Descriptor file_;
};

/// Returns the contents of a file, or nothing if it cannot be read (reason in errno).
inline std::optional<std::string> read_file(const std::filesystem::path& path) {
    const Descriptor file(path, O_RDONLY);
    if (!file) return std::nullopt;
    std::string bytes;
    for (std::vector<char> piece(std::size_t{1} << 16);;) {
        const auto got = ::read(file.get(), piece.data(), piece.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return std::nullopt;
        if (got == 0) return bytes;
        bytes.append(piece.data(), static_cast<std::size_t>(got));
    }
}

}  // namespace doppel::io::detail
