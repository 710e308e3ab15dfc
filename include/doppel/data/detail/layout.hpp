// SPDX-License-Identifier: Apache-2.0
// Finds the splits of a data set and reads them.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/cifar.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/detail/folder.hpp>
#include <doppel/data/detail/idx_files.hpp>
#include <doppel/data/detail/gzip_file.hpp>
#include <doppel/data/idx.hpp>
#include <doppel/data/image_folder.hpp>
#include <doppel/data/split.hpp>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace doppel::data::detail {

/// A split that load() can read, with its name for messages.
struct Part {
    std::filesystem::path path;
    Split split = Split::train;
    std::string name;
};

struct Layout {
    std::optional<Part> train, validation;
    std::string ignored;  // what is not read: other folders next to the splits, a test split beside a validation split
};

struct Loaded {
    Dataset data;
    std::string format;
    std::vector<std::string> skipped{};
    std::string note{};  // ", its training images", where these are read as a validation split, or the other way round
};

/// Returns train, val, validation or test if the folder has that name, in any case; "" for other names.
inline std::string split_name(const std::filesystem::path& folder) {
    auto name = folder.filename().string();
    for (char& c : name)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return name == "train" || name == "val" || name == "validation" || name == "test" ? name : "";
}

/// Returns the splits that are subfolders; nothing if there are none.
inline std::optional<Layout> split_folders(const std::filesystem::path& root) {
    std::map<std::string, std::filesystem::path> splits;
    Layout layout;
    for (const auto& [path, is_folder] : list(root, "data")) {
        if (!is_folder) continue;
        const auto split = split_name(path), role = split == "validation" ? std::string("val") : split;
        if (role.empty()) {
            layout.ignored += (layout.ignored.empty() ? "" : ", ") + path.filename().string();
            continue;
        }
        const auto [other, is_new] = splits.emplace(role, path);
        require(is_new, "data: ", root.string(), " has the folders ", other->second.filename().string(), " and ",
                path.filename().string(), ", expected one of them");
    }
    if (splits.empty()) return std::nullopt;
    const auto part = [&](const char* role, Split split) -> std::optional<Part> {
        const auto at = splits.find(role);
        if (at == splits.end()) return std::nullopt;
        return Part{at->second, split, "folder " + at->second.filename().string()};
    };
    layout.train = part("train", Split::train);
    const auto test = part("test", Split::test);
    layout.validation = splits.contains("val") ? part("val", Split::test) : test;
    if (splits.contains("val") && test) layout.ignored = test->name + (layout.ignored.empty() ? "" : ", ") + layout.ignored;
    return layout;
}

/// Finds the splits of a data set.
/// Throws Error if the path does not exist.
inline Layout layout_of(const std::filesystem::path& path) {
    std::error_code problem;
    const auto status = std::filesystem::status(path, problem);
    require(status.type() != std::filesystem::file_type::not_found, "data: no such file or folder: ", path.string());
    require(std::filesystem::status_known(status), "data: cannot read ", path.string(), ": ", problem.message());
    Layout layout;
    if (!std::filesystem::is_directory(status)) {
        layout.train = Part{path, Split::train, path.filename().string()};
        return layout;
    }
    if (auto splits = split_folders(path)) return *splits;
    const bool train_batches = !cifar_files(path, Split::train).empty();
    const bool test_batch = !cifar_files(path, Split::test).empty();
    const auto train_images = idx_images(path, Split::train), test_images = idx_images(path, Split::test);
    if (train_batches) layout.train = Part{path, Split::train, "data_batch_*.bin"};
    if (test_batch) layout.validation = Part{path, Split::test, "test_batch.bin"};
    if (train_batches || test_batch) return layout;
    if (!train_images.empty()) layout.train = Part{path, Split::train, train_images.filename().string()};
    if (!test_images.empty()) layout.validation = Part{path, Split::test, test_images.filename().string()};
    if (train_images.empty() && test_images.empty()) layout.train = Part{path, Split::train, path.string()};
    return layout;
}

/// Reads a data set from one file: CIFAR-10 binaries or IDX images.
inline Loaded load_file(const std::filesystem::path& path) {
    const auto start = image::detail::read_start(path, image::magic_bytes, "data");
    const auto head = GzipFile(path, "data").read(4);
    const auto is_idx = [&](std::uint8_t dimensions) { return head == std::vector<std::uint8_t>{0, 0, 8, dimensions}; };
    if (is_idx(3)) return {Idx(path, idx_labels_of(path)), "IDX files"};
    require(!is_idx(1), "data: ", path.string(), " contains labels, expected images");
    if (path.extension() == ".bin") return {Cifar10(path), "CIFAR-10 binaries"};
    require(!image::looks_like_image(start), "data: ", path.string(), " is one image, expected a folder of images");
    const std::string_view text(reinterpret_cast<const char*>(start.data()), start.size());
    require(!text.starts_with("\x1F\x8B") && !text.starts_with("PK\x03\x04"), "data: ", path.string(),
            " is an archive, expected its contents: unpack it first");
    fail("data: ", path.string(), " is not a data set, expected a folder of images, CIFAR-10 binaries or IDX files");
}

/// Reads a split from a file, or a folder of CIFAR-10 binaries, IDX files, or images. Of binaries and IDX files it
/// reads the part's split, or the other one if that is missing.
inline Loaded load(const Part& part) {
    if (!std::filesystem::is_directory(part.path)) return load_file(part.path);
    for (const Split split : {part.split, part.split == Split::train ? Split::test : Split::train}) {
        const std::string note = split == part.split     ? ""
                                 : split == Split::train ? ", its training images"
                                                         : ", its test images";
        if (!cifar_files(part.path, split).empty()) return {Cifar10(part.path, split), "CIFAR-10 binaries", {}, note};
        if (!idx_images(part.path, split).empty()) return {idx_folder(part.path, split), "IDX files", {}, note};
    }
    ImageFolder images(part.path);
    const bool classes = !images.classes().empty();
    auto skipped = images.skipped();
    return {std::move(images), classes ? "class folders" : "flat folder", std::move(skipped)};
}

}  // namespace doppel::data::detail
