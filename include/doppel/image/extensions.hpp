// SPDX-License-Identifier: Apache-2.0
// The extensions of image files: the one list of them. A new decoder adds its own here.
#pragma once

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <string_view>

namespace doppel::image {

/// The formats that decode() reads, for messages.
inline constexpr std::string_view readable_formats = "JPEG, PNG or WebP";

/// Extensions of files that decode() reads, in lower case.
inline constexpr std::array<std::string_view, 6> readable_extensions{".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp"};

/// Extensions of image files that decode() does not read, in lower case.
inline constexpr std::array<std::string_view, 24> other_image_extensions{
    ".gif", ".bmp", ".tif",  ".tiff", ".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".ppm", ".pgm",
    ".pbm", ".pnm", ".tga", ".psd",  ".svg",  ".cr2",  ".cr3",  ".nef", ".arw", ".dng", ".orf", ".rw2"};

/// Returns a file's extension in lower case, with the dot; "" if it has none.
inline std::string extension_of(const std::filesystem::path& file) {
    auto extension = file.extension().string();
    for (char& c : extension)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return extension;
}

inline bool is_readable_extension(std::string_view extension) {
    return std::find(readable_extensions.begin(), readable_extensions.end(), extension) != readable_extensions.end();
}

inline bool is_other_image_extension(std::string_view extension) {
    return std::find(other_image_extensions.begin(), other_image_extensions.end(), extension) !=
           other_image_extensions.end();
}

}  // namespace doppel::image
