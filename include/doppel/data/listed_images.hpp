// SPDX-License-Identifier: Apache-2.0
// Image files in the order of a list.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/image/decode.hpp>
#include <doppel/image/image.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace doppel::data {

/// An image file of a list.
struct ListedFile {
    std::string path{};       ///< relative to the list's root
    std::uintmax_t bytes = 0;  ///< its size when it was listed
    std::int64_t label = unlabeled;
};

/// Image files below `root` in the order of a list, decoded on demand. The list counts, not the folder: a file that is gone
/// keeps its place, and `image` throws for it as image::read does. The fingerprint is that of the list; it does not depend
/// on where the root is.
///
///     data::ListedImages photos("photos", {{.path = "cat/1.jpg", .bytes = 28'113, .label = 0}}, {"cat", "dog"});
class ListedImages {
public:
    ListedImages(std::filesystem::path root, std::vector<ListedFile> files, std::vector<std::string> classes)
        : root_(std::move(root)), files_(std::move(files)), classes_(std::move(classes)) {}

    std::int64_t size() const { return static_cast<std::int64_t>(files_.size()); }
    Image image(std::int64_t i) const { return image::read(path(i)); }
    DecodedPart decode(std::int64_t i, const Needs& needs, Image& into) const { return read_needed(path(i), needs, into); }
    std::int64_t label(std::int64_t i) const { return file(i).label; }
    const std::vector<std::string>& classes() const { return classes_; }
    std::filesystem::path path(std::int64_t i) const { return root_ / file(i).path; }
    const std::vector<ListedFile>& files() const { return files_; }
    std::string fingerprint() const {
        detail::Fingerprint print;
        for (const ListedFile& file : files_) {
            print.add(file.path);
            print.add(std::to_string(file.bytes));
            print.add(std::to_string(file.label));
        }
        return print.text();
    }

private:
    const ListedFile& file(std::int64_t i) const { return files_.at(static_cast<std::size_t>(i)); }

    std::filesystem::path root_;
    std::vector<ListedFile> files_;
    std::vector<std::string> classes_;
};

static_assert(ImageSource<ListedImages> && ListedSource<ListedImages> && FileSource<ListedImages>);

/// Returns image i's file, relative to `root`; nothing if it is not below it.
inline std::optional<ListedFile> listed_file(const Dataset& images, std::int64_t i, const std::filesystem::path& root) {
    const auto path = images.path(i);
    if (path.empty()) return std::nullopt;
    const auto base = std::filesystem::absolute(root.empty() ? "." : root).lexically_normal();
    const auto relative = std::filesystem::absolute(path).lexically_normal().lexically_relative(base);
    if (relative.empty() || *relative.begin() == "..") return std::nullopt;
    std::error_code missing;
    const auto bytes = std::filesystem::file_size(path, missing);
    return ListedFile{.path = relative.generic_string(), .bytes = missing ? 0 : bytes, .label = images.label(i)};
}

}  // namespace doppel::data
