// SPDX-License-Identifier: Apache-2.0
// Finds IDX images and their labels in a folder by name.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/detail/folder.hpp>
#include <doppel/data/split.hpp>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>

namespace doppel::data::detail {

/// Returns the name without .gz and with hyphens only: train-images.idx3-ubyte.gz is train-images-idx3-ubyte.
inline std::string plain_idx_name(const std::filesystem::path& path) {
    auto name = path.filename().string();
    if (name.ends_with(".gz")) name.resize(name.size() - 3);
    for (char& c : name)
        if (c == '.' || c == '_') c = '-';
    return name;
}

inline bool replace(std::string& text, std::string_view from, std::string_view to) {
    const auto at = text.find(from);
    if (at != std::string::npos) text.replace(at, from.size(), to);
    return at != std::string::npos;
}

/// Returns the labels file in the folder of an images file; an empty path if there is none.
inline std::filesystem::path idx_labels_of(const std::filesystem::path& images) {
    auto name = plain_idx_name(images);
    if (!replace(name, "images", "labels")) return {};
    replace(name, "idx3", "idx1");
    const auto folder = images.parent_path();
    for (const auto& [path, is_folder, is_link] : list(folder.empty() ? "." : folder, "Idx"))
        if (!is_folder && plain_idx_name(path) == name) return path;
    return {};
}

/// Returns the images file of a split: its name contains images and idx3, and train, or t10k or test. Prefers a plain
/// file to a compressed one. Returns an empty path if there is none; throws Error if there are several.
inline std::filesystem::path idx_images(const std::filesystem::path& folder, Split split) {
    std::filesystem::path found;
    for (const auto& [path, is_folder, is_link] : list(folder, "Idx")) {
        const auto name = plain_idx_name(path);
        const auto has = [&](std::string_view part) { return name.find(part) != std::string::npos; };
        if (is_folder || !has("images") || !has("idx3")) continue;
        if (split == Split::train ? !has("train") : has("train") || (!has("t10k") && !has("test"))) continue;
        require(found.empty() || plain_idx_name(found) == name, "Idx: ", folder.string(), " has both ",
                found.filename().string(), " and ", path.filename().string(), ", expected one file of ",
                split == Split::train ? "training" : "test", " images");
        if (found.empty()) found = path;
    }
    return found;
}

}  // namespace doppel::data::detail
