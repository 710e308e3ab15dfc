// SPDX-License-Identifier: Apache-2.0
// The extensions of image files: the one list of them, beside the table of formats.
#pragma once

#include <doppel/image/formats.hpp>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <string_view>

namespace doppel::image {

/// Extensions of image files that no build decodes, in lower case.
inline constexpr std::array<std::string_view, 17> other_image_extensions{
    ".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".pbm", ".tga", ".psd",
    ".svg",  ".cr2",  ".cr3",  ".nef", ".arw", ".dng", ".orf", ".rw2"};

/// Returns a file's extension in lower case, with the dot; "" if it has none.
inline std::string extension_of(const std::filesystem::path& file) {
    auto extension = file.extension().string();
    for (char& c : extension)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return extension;
}

/// Returns the format of files with this extension (lower case, with the dot); null if decode() has none.
inline const FormatInfo* format_of_extension(std::string_view extension) {
    if (extension.empty()) return nullptr;
    const auto found = std::find_if(formats.begin(), formats.end(), [&](const FormatInfo& info) {
        return std::find(info.extensions.begin(), info.extensions.end(), extension) != info.extensions.end();
    });
    return found == formats.end() ? nullptr : &*found;
}

/// Whether this build decodes files with this extension.
inline bool is_readable_extension(std::string_view extension) {
    const auto* info = format_of_extension(extension);
    return info && info->readable;
}

/// Whether files with this extension are images that this build does not decode.
inline bool is_other_image_extension(std::string_view extension) {
    const auto* info = format_of_extension(extension);
    return info ? !info->readable
                : std::find(other_image_extensions.begin(), other_image_extensions.end(), extension) !=
                      other_image_extensions.end();
}

}  // namespace doppel::image
