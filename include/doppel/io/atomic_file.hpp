// SPDX-License-Identifier: Apache-2.0
// Atomic file writes: to a temporary name, flushed to disk, then renamed.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/io/detail/file.hpp>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include <sys/file.h>

namespace doppel::io {

/// Creates the folder and its missing parents.
/// Throws Error with the path and the system's reason (a file of that name exists, no permission).
inline void create_folders(const std::filesystem::path& folder) {
    if (folder.empty()) return;
    std::error_code problem;
    std::filesystem::create_directories(folder, problem);
    std::error_code ignored;
    if (problem || !std::filesystem::is_directory(folder, ignored))
        fail("create_folders: cannot create the folder ", folder.string(), ": ",
             problem ? problem.message() : std::string("a file of that name exists"));
}

/// Replaces `path` with the output of `write`. Readers see either the old file or the complete new one, at any moment
/// and even after a power failure. The folder must exist.
///
/// Throws Error with the path and the system's reason (disk full, no permission, no such folder), and propagates
/// exceptions of `write`; in both cases the old file is unchanged and the temporary one is removed.
///
///     io::write_atomically("out/notes.txt", [](std::ostream& out) { out << "k-NN " << 0.71 << '\n'; });
inline void write_atomically(const std::filesystem::path& path, const std::function<void(std::ostream&)>& write) {
    require(path.has_filename(), "write_atomically: ", path.string(), " names a folder, expected a file");
    static std::atomic<unsigned> count{0};
    const auto temporary = path.parent_path() / ("." + path.filename().string() + "." + std::to_string(::getpid()) +
                                                 "-" + std::to_string(count++) + ".partial");
    const auto give_up = [&](int error) {
        fail("write_atomically: cannot write ", path.string(), ": ", std::generic_category().message(error));
    };

    detail::Descriptor file(temporary, O_WRONLY | O_CREAT | O_EXCL);
    if (!file) give_up(errno);
    struct Cleaner {  // removes the temporary file unless it was renamed
        const std::filesystem::path& name;
        bool armed = true;
        ~Cleaner() {
            if (armed) ::unlink(name.c_str());
        }
    } cleaner{temporary};

    detail::FileBuffer buffer(file.get());
    std::ostream out(&buffer);
    write(out);
    out.flush();
    if (buffer.error() != 0 || !out) give_up(buffer.error() != 0 ? buffer.error() : EIO);
    if (::fsync(file.get()) != 0 || !file.close()) give_up(errno);
    if (std::rename(temporary.c_str(), path.c_str()) != 0) give_up(errno);
    cleaner.armed = false;
    // Flushes the new name too. Some file systems cannot flush a folder; the file is complete either way.
    const auto parent = path.parent_path();
    if (detail::Descriptor folder(parent.empty() ? "." : parent, O_RDONLY | O_DIRECTORY); folder) ::fsync(folder.get());
}

/// Overload for bytes in memory.
inline void write_atomically(const std::filesystem::path& path, std::span<const std::uint8_t> bytes) {
    write_atomically(path, [&](std::ostream& out) {
        out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    });
}

/// Overload for text.
inline void write_atomically(const std::filesystem::path& path, std::string_view text) {
    write_atomically(path,
                     [&](std::ostream& out) { out.write(text.data(), static_cast<std::streamsize>(text.size())); });
}

/// Removes the temporary files (.NAME.PID-N.partial) of killed processes from a folder. Must not be called while
/// another process writes there.
inline void remove_partial_files(const std::filesystem::path& folder) {
    std::error_code ignored;
    for (std::filesystem::directory_iterator at(folder, ignored), end; !ignored && at != end; at.increment(ignored)) {
        const auto name = at->path().filename().string();
        std::error_code unremoved;
        if (name.starts_with('.') && name.ends_with(".partial")) std::filesystem::remove(at->path(), unremoved);
    }
}

/// An exclusive lock on a folder for the lifetime of the object (flock); it ends with the process, however that ends.
/// Throws Error if another process holds it. Has no effect on file systems without locks.
///
///     const io::FolderLock lock("runs/mine");
class FolderLock {
public:
    explicit FolderLock(const std::filesystem::path& folder) : folder_(folder, O_RDONLY | O_DIRECTORY) {
        if (folder_ && ::flock(folder_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
            fail(folder.string(), " is in use by another process; wait for it to finish or choose another folder");
    }

private:
    detail::Descriptor folder_;
};

}  // namespace doppel::io
