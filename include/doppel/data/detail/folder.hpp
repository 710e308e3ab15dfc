// SPDX-License-Identifier: Apache-2.0
// Lists folders in a fixed order.
#pragma once

#include <doppel/core/error.hpp>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/stat.h>

namespace doppel::data::detail {

struct Entry {
    std::filesystem::path path;
    bool is_folder = false, is_link = false;
};

/// Lists files and folders, following links, sorted by the bytes of their names. Skips hidden entries, broken links,
/// and entries that are neither file nor folder. Throws Error, with the path, if the folder cannot be listed.
/// `hidden` gets the names of the hidden folders.
inline std::vector<Entry> list(const std::filesystem::path& folder, std::string_view who,
                               std::vector<std::string>* hidden = nullptr) {
    std::vector<Entry> entries;
    std::error_code problem;
    for (std::filesystem::directory_iterator at(folder, problem), end; !problem && at != end; at.increment(problem)) {
        std::error_code broken;
        const auto status = at->status(broken);
        const bool is_folder = std::filesystem::is_directory(status);
        if (at->path().filename().native().starts_with('.')) {
            if (is_folder && hidden) hidden->push_back(at->path().filename().string());
        } else if (is_folder || std::filesystem::is_regular_file(status)) {
            entries.push_back({at->path(), is_folder, at->is_symlink(broken)});
        }
    }
    require(!problem, who, ": cannot list ", folder.string(), ": ", problem.message());
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return a.path.native() < b.path.native(); });
    return entries;
}

/// Throws Error unless the folder exists.
inline void require_folder(const std::filesystem::path& folder, std::string_view who) {
    std::error_code problem;
    const auto status = std::filesystem::status(folder, problem);
    require(status.type() != std::filesystem::file_type::not_found, who, ": no such folder: ", folder.string());
    require(std::filesystem::status_known(status), who, ": cannot read ", folder.string(), ": ", problem.message());
    require(std::filesystem::is_directory(status), who, ": not a folder: ", folder.string());
}

/// Device and inode of a file or folder.
using FileId = std::pair<dev_t, ino_t>;

/// Returns what tells a file or folder from all others, whatever link leads there; nothing if it does not exist.
inline std::optional<FileId> file_id(const std::filesystem::path& path) {
    struct stat about{};
    if (::stat(path.c_str(), &about) != 0) return std::nullopt;
    return FileId{about.st_dev, about.st_ino};
}

/// The folders that a walk has entered, by device and inode, since links may form loops.
class Entered {
public:
    /// Returns true the first time; false if the folder was entered before or no longer exists.
    bool first(const std::filesystem::path& folder) {
        const auto id = file_id(folder);
        return id && known_.insert(*id).second;
    }

private:
    std::set<FileId> known_;
};

}  // namespace doppel::data::detail
