// SPDX-License-Identifier: Apache-2.0
// JPEG, PNG and WebP files become images.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/detail/file.hpp>
#include <doppel/image/image.hpp>
#if DOPPEL_JPEG
#include <doppel/image/detail/jpeg.hpp>
#endif
#if DOPPEL_PNG
#include <doppel/image/detail/png.hpp>
#endif
#if DOPPEL_WEBP
#include <doppel/image/detail/webp.hpp>
#endif

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace doppel::image {

/// The formats that decode() knows; which of them a build can read depends on the libraries it found.
enum class Format { jpeg, png, webp };

/// The bytes that format_of() looks at.
inline constexpr std::size_t magic_bytes = 12;

/// The format that the first bytes of a file show; nothing when they are not those of an image.
inline std::optional<Format> format_of(std::span<const std::uint8_t> bytes) {
    const std::string_view start(reinterpret_cast<const char*>(bytes.data()), bytes.size() < 12 ? bytes.size() : 12);
    if (start.starts_with("\xFF\xD8\xFF")) return Format::jpeg;
    if (start.starts_with("\x89PNG\r\n\x1A\n")) return Format::png;
    if (start.starts_with("RIFF") && start.size() == 12 && start.ends_with("WEBP")) return Format::webp;
    return std::nullopt;
}

/// True when the first bytes are those of a JPEG, PNG or WebP file.
inline bool looks_like_image(std::span<const std::uint8_t> bytes) { return format_of(bytes).has_value(); }

/// The image in the bytes of a JPEG, PNG or WebP file, recognised by content; `name` is for error texts.
///
/// One channel where the file is gray, three otherwise. Stored values are kept: alpha is dropped, not composited (as
/// torchvision's folder reader does), color profiles and gamma are ignored, 16 bits become 8 by rounding. CMYK and
/// YCCK, taken as inverted, become RGB by Pillow's formula. JPEG by the accurate integer DCT with smooth chroma, the
/// bits that Pillow gives. The EXIF orientation is applied. Of an animated PNG the first picture.
///
/// Throws DamagedImage (an Error), with the name and what is wrong: another format, damaged or truncated data, animated
/// WebP, more than 2^28 pixels; a plain Error for a format that this build lacks.
///
///     Image photo = image::decode(bytes, "upload 7");
inline Image decode(std::span<const std::uint8_t> bytes, std::string_view name) {
    const auto whole = [&](auto&& decoder) {
        try {
            return decoder(bytes, name);
        } catch (const Error& problem) { throw DamagedImage(problem.what()); }
    };
    const auto format = format_of(bytes);
    if (!format)
        throw DamagedImage("decode: " + std::string(name) + (bytes.empty() ? ": no bytes" : ": not an image") +
                           ", expected a JPEG, PNG or WebP file");
    switch (*format) {
        case Format::jpeg:
#if DOPPEL_JPEG
            return whole(detail::decode_jpeg);
#else
            fail("decode: ", name, ": a JPEG file, but this build has no JPEG: install libjpeg-turbo and build again");
#endif
        case Format::png:
#if DOPPEL_PNG
            return whole(detail::decode_png);
#else
            fail("decode: ", name, ": a PNG file, but this build has no PNG: install libpng and build again");
#endif
        case Format::webp:
#if DOPPEL_WEBP
            return whole(detail::decode_webp);
#else
            fail("decode: ", name, ": a WebP file, but this build has no WebP: install libwebp and build again");
#endif
    }
    fail("decode: ", name, ": unknown format");
}

/// decode() of a file. Throws a plain Error, with the path, when it cannot be read.
inline Image read(const std::filesystem::path& path) { return decode(detail::read_whole(path, "read"), path.string()); }

}  // namespace doppel::image
