// SPDX-License-Identifier: Apache-2.0
// A folder of images, with or without a folder per class.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/detail/folder.hpp>
#include <doppel/image/decode.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace doppel::data {

struct ImageFolderOptions {
    bool labels = true;  ///< folders are classes; false: all images in the tree, unlabeled
};

/// The JPEG, PNG and WebP files in a folder tree, sorted by the bytes of their paths, decoded on demand.
///
/// Each subfolder that contains images, at any depth, is a class; labels are indices into the sorted folder names.
/// Without such subfolders, the images in the folder itself form an unlabeled data set. Files are recognized by their
/// first bytes, not by name; hidden files and other files are skipped. Symbolic links are followed, loops are not.
///
/// Throws Error, with the path: no such folder, no image in it, images both in the folder itself and in subfolders, a
/// file or folder that cannot be read. `image` throws as image::read does.
///
///     data::ImageFolder photos("photos/train");
///     std::cout << photos.classes().at(photos.label(0)) << ' ' << photos.path(0);
class ImageFolder {
public:
    explicit ImageFolder(const std::filesystem::path& root, ImageFolderOptions options = {}) : root_(root) {
        constexpr auto who = "ImageFolder";
        detail::require_folder(root, who);
        if (options.labels)
            scan_classes(root, who);
        else
            scan(root, who, detail::Entered{}, unlabeled);
        require(!files_.empty(), who, ": no JPEG, PNG or WebP image in ", root.string(),
                skipped_.empty() ? "" : " (" + skipped_.front() + ")");
        std::sort(files_.begin(), files_.end(), [](const File& a, const File& b) { return a.path < b.path; });
    }

    std::int64_t size() const { return static_cast<std::int64_t>(files_.size()); }
    Image image(std::int64_t i) const { return image::read(file(i).path); }
    std::int64_t label(std::int64_t i) const { return file(i).label; }
    const std::vector<std::string>& classes() const { return classes_; }
    /// Returns the path of image i.
    std::filesystem::path path(std::int64_t i) const { return file(i).path; }
    /// Returns a hash of the files' relative paths, sizes, labels and order; independent of the folder's location.
    std::string fingerprint() const {
        detail::Fingerprint print;
        std::error_code missing;
        for (const File& file : files_) {
            print.add(std::filesystem::path(file.path).lexically_relative(root_).generic_string());
            print.add(std::to_string(std::filesystem::file_size(file.path, missing)));
            print.add(std::to_string(file.label));
        }
        return print.text();
    }
    /// Returns the files that look like images by name but are not, with the reason: a text named .jpg, an empty file,
    /// a .heic.
    const std::vector<std::string>& skipped() const { return skipped_; }

private:
    struct File {
        std::string path;
        std::int64_t label;
    };

    const File& file(std::int64_t i) const { return files_.at(static_cast<std::size_t>(i)); }

    /// Adds the images of the tree at `folder`; returns whether there are any.
    bool scan(const std::filesystem::path& folder, const char* who, detail::Entered entered, std::int64_t label) {
        detail::Found found;
        detail::collect_images(folder, entered, found, who);
        take(std::move(found), label);
        return !files_.empty() && files_.back().label == label;
    }

    void take(detail::Found found, std::int64_t label) {
        for (auto& path : found.images) files_.push_back({std::move(path), label});
        for (auto& why : found.skipped) skipped_.push_back(std::move(why));
    }

    void scan_classes(const std::filesystem::path& root, const char* who) {
        detail::Entered entered;
        entered.first(root);
        detail::Found direct;
        for (const auto& [path, is_folder] : detail::list(root, who)) {  // sorted, so labels follow the names
            if (!is_folder)
                direct.add(path, who);
            else if (scan(path, who, entered, static_cast<std::int64_t>(classes_.size())))
                classes_.push_back(path.filename().string());
        }
        require(direct.images.empty() || classes_.empty(), who, ": ", root.string(),
                " has images in the folder itself (",
                direct.images.empty() ? "" : std::filesystem::path(direct.images[0]).filename().string(),
                ") and in subfolders (", classes_.empty() ? "" : classes_[0], "), expected one or the other");
        take(std::move(direct), unlabeled);
    }

    std::filesystem::path root_;
    std::vector<File> files_;
    std::vector<std::string> classes_, skipped_;
};

static_assert(ImageSource<ImageFolder>);

}  // namespace doppel::data
