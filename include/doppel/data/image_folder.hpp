// SPDX-License-Identifier: Apache-2.0
// A folder of images, with or without a folder per class.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/detail/folder.hpp>
#include <doppel/data/detail/tree.hpp>
#include <doppel/image/decode.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
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
/// extension, those of an unknown extension by their first bytes; a file that is no image in spite of its extension is
/// found damaged when it is decoded. Hidden files, system folders and the folders of training runs are skipped. Symbolic
/// links are followed, loops are not, and an image that is reached by several links counts once.
///
/// Throws Error, with the path: no such folder, no image in it, images both in the folder itself and in subfolders, a
/// folder that cannot be listed. `image` throws as image::read does.
///
///     data::ImageFolder photos("photos/train");
///     std::cout << photos.classes().at(photos.label(0)) << ' ' << photos.path(0);
class ImageFolder {
public:
    explicit ImageFolder(const std::filesystem::path& root, ImageFolderOptions options = {}) {
        constexpr auto who = "ImageFolder";
        detail::require_folder(root, who);
        detail::Search search(who, {});
        const auto tree = search.below(root);
        detail::require_images(tree, search.survey, who);
        take(tree, options, who);
        skipped_ = std::move(search.survey.skipped);
    }
    /// The images that a search found, which need not be all of the folder.
    ImageFolder(const detail::Tree& tree, ImageFolderOptions options, std::string_view who) { take(tree, options, who); }

    std::int64_t size() const { return static_cast<std::int64_t>(files_.size()); }
    Image image(std::int64_t i) const { return image::read(file(i).path); }
    DecodedPart decode(std::int64_t i, const Needs& needs, Image& into) const { return read_needed(file(i).path, needs, into); }
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
    /// Returns the files and folders that may hold images but cannot be used, with the reason: a .heic, a folder that
    /// cannot be listed.
    const std::vector<std::string>& skipped() const { return skipped_; }

private:
    struct File {
        std::string path;
        std::int64_t label;
    };

    const File& file(std::int64_t i) const { return files_.at(static_cast<std::size_t>(i)); }

    void take(const detail::Tree& tree, const ImageFolderOptions& options, std::string_view who) {
        root_ = tree.path;
        const auto with_images = [](const detail::Tree& folder) { return folder.total > 0; };
        const auto first = std::find_if(tree.folders.begin(), tree.folders.end(), with_images);
        require(!options.labels || tree.images.empty() || first == tree.folders.end(), who, ": ", root_.string(),
                " has images in the folder itself (",
                tree.images.empty() ? "" : std::filesystem::path(tree.images.front()).filename().string(),
                ") and in subfolders (", first == tree.folders.end() ? "" : first->name(),
                "), expected one or the other; --unlabeled (labels = false) takes all of them, without labels");
        add(tree.images, unlabeled);
        for (const detail::Tree& folder : tree.folders) {
            if (folder.total == 0) continue;
            add_all(folder, options.labels ? static_cast<std::int64_t>(classes_.size()) : unlabeled);
            if (options.labels) classes_.push_back(folder.name());  // sorted, so labels follow the names
        }
        std::sort(files_.begin(), files_.end(), [](const File& a, const File& b) { return a.path < b.path; });
    }

    void add(const std::vector<std::string>& images, std::int64_t label) {
        for (const auto& path : images) files_.push_back({path, label});
    }
    void add_all(const detail::Tree& tree, std::int64_t label) {
        add(tree.images, label);
        for (const detail::Tree& folder : tree.folders) add_all(folder, label);
    }

    std::filesystem::path root_;
    std::vector<File> files_;
    std::vector<std::string> classes_, skipped_;
};

static_assert(ImageSource<ImageFolder>);

}  // namespace doppel::data
