// SPDX-License-Identifier: Apache-2.0
// Lists folders in a fixed order and finds the images in them.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/decode.hpp>
#include <doppel/image/detail/file.hpp>

#include <algorithm>
#include <filesystem>
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
    bool is_folder = false;
};

/// Lists files and folders, following links, sorted by the bytes of their names. Skips hidden entries, broken links,
/// and entries that are neither file nor folder. Throws Error, with the path, if the folder cannot be listed.
inline std::vector<Entry> list(const std::filesystem::path& folder, std::string_view who) {
    std::vector<Entry> entries;
    std::error_code problem;
    for (std::filesystem::directory_iterator at(folder, problem), end; !problem && at != end; at.increment(problem)) {
        if (at->path().filename().native().starts_with('.')) continue;
        std::error_code broken;
        const auto status = at->status(broken);
        if (std::filesystem::is_directory(status) || std::filesystem::is_regular_file(status))
            entries.push_back({at->path(), std::filesystem::is_directory(status)});
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

/// The folders that a walk has entered, by device and inode, since links may form loops.
class Entered {
public:
    /// Returns true the first time; false if the folder was entered before or no longer exists.
    bool first(const std::filesystem::path& folder) {
        struct stat about{};
        return ::stat(folder.c_str(), &about) == 0 && known_.emplace(about.st_dev, about.st_ino).second;
    }

private:
    std::set<std::pair<dev_t, ino_t>> known_;
};

inline bool is_image(const std::filesystem::path& file, std::string_view who) {
    return image::looks_like_image(image::detail::read_start(file, image::magic_bytes, who));
}

/// Returns why a file that looks like an image by name is not one; "" for other names.
inline std::string why_skipped(const std::filesystem::path& file) {
    auto ending = file.extension().string();
    for (char& c : ending)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    for (const auto* known : {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp"})
        if (ending == known) {
            std::error_code unknown;
            const bool empty = std::filesystem::file_size(file, unknown) == 0 && !unknown;
            return file.string() + ": " + (empty ? "no bytes" : "not an image") + ", expected a JPEG, PNG or WebP file";
        }
    for (const auto* other : {".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2", ".jxl"})
        if (ending == other) return file.string() + ": unsupported image format, expected a JPEG, PNG or WebP file";
    return "";
}

/// The images found in a walk, and the skipped files with the reason.
struct Found {
    std::vector<std::string> images, skipped;

    void add(const std::filesystem::path& file, std::string_view who) {
        if (is_image(file, who))
            images.push_back(file.native());
        else if (auto why = why_skipped(file); !why.empty())
            skipped.push_back(std::move(why));
    }
};

/// Appends the images of the tree at `folder`.
inline void collect_images(const std::filesystem::path& folder, Entered& entered, Found& found, std::string_view who) {
    if (!entered.first(folder)) return;
    for (const auto& [path, is_folder] : list(folder, who)) {
        if (is_folder)
            collect_images(path, entered, found, who);
        else
            found.add(path, who);
    }
}

}  // namespace doppel::data::detail
