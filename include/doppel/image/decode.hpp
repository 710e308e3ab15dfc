// SPDX-License-Identifier: Apache-2.0
// Decodes JPEG, PNG and WebP.
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

/// The formats of decode(); which of them are available depends on the libraries of the build.
enum class Format { jpeg, png, webp };

/// The number of bytes that format_of() needs.
inline constexpr std::size_t magic_bytes = 12;

/// Returns the format that the first bytes of a file indicate; nothing if they are not an image's.
inline std::optional<Format> format_of(std::span<const std::uint8_t> bytes) {
    const std::string_view start(reinterpret_cast<const char*>(bytes.data()), bytes.size() < 12 ? bytes.size() : 12);
    if (start.starts_with("\xFF\xD8\xFF")) return Format::jpeg;
    if (start.starts_with("\x89PNG\r\n\x1A\n")) return Format::png;
    if (start.starts_with("RIFF") && start.size() == 12 && start.ends_with("WEBP")) return Format::webp;
    return std::nullopt;
}

/// Returns true if the first bytes are those of a JPEG, PNG or WebP file.
inline bool looks_like_image(std::span<const std::uint8_t> bytes) { return format_of(bytes).has_value(); }

/// Decodes the bytes of a JPEG, PNG or WebP file; the format is detected from the content. `name` is for error
/// messages.
///
/// Returns one channel if the file is gray, three otherwise. Keeps the stored values: drops alpha without compositing
/// (as torchvision's ImageFolder does), ignores color profiles and gamma, rounds 16 bits to 8. Converts CMYK and YCCK,
/// taken as inverted, to RGB by Pillow's formula. JPEG uses the accurate integer DCT and smooth chroma upsampling and
/// is bit-identical to Pillow. Applies the EXIF orientation. Of an animated PNG, decodes the first frame.
///
/// Throws DamagedImage (an Error), with the name and the reason: another format, damaged or truncated data, animated
/// WebP, more than 2^28 pixels; an Error for a format that this build does not support.
///
///     Image photo = image::decode(bytes, "upload 7");
inline Image decode(std::span<const std::uint8_t> bytes, std::string_view name) {
    const auto decode_with = [&](auto&& decoder) {
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
            return decode_with(detail::decode_jpeg);
#else
            fail("decode: ", name,
                 ": a JPEG file, but this build has no JPEG support: install libjpeg-turbo and rebuild");
#endif
        case Format::png:
#if DOPPEL_PNG
            return decode_with(detail::decode_png);
#else
            fail("decode: ", name, ": a PNG file, but this build has no PNG support: install libpng and rebuild");
#endif
        case Format::webp:
#if DOPPEL_WEBP
            return decode_with(detail::decode_webp);
#else
            fail("decode: ", name, ": a WebP file, but this build has no WebP support: install libwebp and rebuild");
#endif
    }
    fail("decode: ", name, ": unknown format");
}

/// Reads and decodes a file. Throws UnreadableImage, with the path, if the file cannot be read.
inline Image read(const std::filesystem::path& path) {
    const auto bytes = [&] {
        try {
            return detail::read_file(path, "read");
        } catch (const Error& problem) { throw UnreadableImage(problem.what()); }
    }();
    return decode(bytes, path.string());
}

}  // namespace doppel::image
