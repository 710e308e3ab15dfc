// SPDX-License-Identifier: Apache-2.0
// The image formats: how files are recognized, and which of them this build decodes.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace doppel::image {

/// The formats of decode(); which of them are available depends on the libraries of the build.
enum class Format { jpeg, png, webp, gif, bmp, ppm, tiff };

struct FormatInfo {
    Format format;
    std::string_view name, library;                ///< library: what a build needs for it; "" if nothing
    bool readable;                                 ///< whether this build decodes it
    std::array<std::string_view, 4> extensions{};  ///< of file names, in lower case
};

namespace detail {

#if DOPPEL_JPEG
inline constexpr bool reads_jpeg = true;
#else
inline constexpr bool reads_jpeg = false;
#endif
#if DOPPEL_PNG
inline constexpr bool reads_png = true;
#else
inline constexpr bool reads_png = false;
#endif
#if DOPPEL_WEBP
inline constexpr bool reads_webp = true;
#else
inline constexpr bool reads_webp = false;
#endif
#if DOPPEL_GIF
inline constexpr bool reads_gif = true;
#else
inline constexpr bool reads_gif = false;
#endif
#if DOPPEL_TIFF
inline constexpr bool reads_tiff = true;
#else
inline constexpr bool reads_tiff = false;
#endif

}  // namespace detail

/// All formats, in the order of Format.
inline constexpr std::array formats{
    FormatInfo{Format::jpeg, "JPEG", "libjpeg-turbo", detail::reads_jpeg, {".jpg", ".jpeg", ".jpe", ".jfif"}},
    FormatInfo{Format::png, "PNG", "libpng", detail::reads_png, {".png", ".apng"}},
    FormatInfo{Format::webp, "WebP", "libwebp", detail::reads_webp, {".webp"}},
    FormatInfo{Format::gif, "GIF", "giflib 5.1 or later", detail::reads_gif, {".gif"}},
    FormatInfo{Format::bmp, "BMP", "", true, {".bmp", ".dib"}},
    FormatInfo{Format::ppm, "PPM", "", true, {".ppm", ".pgm", ".pnm"}},
    FormatInfo{Format::tiff, "TIFF", "libtiff 4.5 or later", detail::reads_tiff, {".tif", ".tiff"}},
};

inline constexpr const FormatInfo& info_of(Format format) { return formats[static_cast<std::size_t>(format)]; }

/// The number of bytes that format_of() needs.
inline constexpr std::size_t magic_bytes = 32;

/// Returns the format that the first bytes of a file indicate; nothing if they are not those of an image.
inline std::optional<Format> format_of(std::span<const std::uint8_t> bytes) {
    const std::string_view start(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), magic_bytes));
    const auto has = [&](std::string_view magic, std::size_t at = 0) {
        return start.size() >= at && start.substr(at).starts_with(magic);
    };
    if (has("\xFF\xD8\xFF")) return Format::jpeg;
    if (has("\x89PNG\r\n\x1A\n")) return Format::png;
    if (has("RIFF") && has("WEBP", 8)) return Format::webp;
    if (has("GIF87a") || has("GIF89a")) return Format::gif;
    if (has("BM"))  // two letters say little: the size of the second header must be one that BMP has
        for (const char size : {'\x0C', '\x28', '\x34', '\x38', '\x40', '\x6C', '\x7C'})
            if (has({&size, 1}, 14) && has({"\0\0\0", 3}, 15)) return Format::bmp;
    if (has("P2") || has("P3") || has("P5") || has("P6")) {  // a number follows, or a comment
        const auto next = start.find_first_not_of(" \t\r\n\v\f", 2);
        if (next != start.npos && next > 2 && std::string_view("#0123456789").find(start[next]) != start.npos)
            return Format::ppm;
    }
    // Big TIFF has 43. Canon's raw files are TIFF but for a mark.
    if ((has({"II*\0", 4}) || has({"MM\0*", 4}) || has({"II+\0", 4}) || has({"MM\0+", 4})) && !has("CR", 8))
        return Format::tiff;
    return std::nullopt;
}

/// Returns true if the first bytes are those of an image in one of the formats.
inline bool looks_like_image(std::span<const std::uint8_t> bytes) { return format_of(bytes).has_value(); }

/// The formats that this build decodes, for messages: "JPEG, PNG or BMP".
inline const std::string readable_formats = [] {
    std::string list;
    auto left = std::count_if(formats.begin(), formats.end(), [](const FormatInfo& info) { return info.readable; });
    for (const FormatInfo& info : formats)
        if (info.readable) list += std::string(info.name) + (--left == 0 ? "" : left == 1 ? " or " : ", ");
    return list;
}();

/// Returns why this build does not decode a format, and what to do; "" if it does.
inline std::string why_unreadable(const FormatInfo& info) {
    if (info.readable) return "";
    return "this build has no " + std::string(info.name) + " support: install " + std::string(info.library) +
           " and rebuild";
}

}  // namespace doppel::image
