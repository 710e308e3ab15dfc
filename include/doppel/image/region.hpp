// SPDX-License-Identifier: Apache-2.0
// Decodes a region of an image, and reads an image's size, without decoding the rest.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/crop.hpp>
#include <doppel/image/decode.hpp>
#include <doppel/image/formats.hpp>
#include <doppel/image/image.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace doppel::image {

/// Reads the size that decode() gives from the headers of a JPEG, PNG, WebP or PPM file. Returns nothing where only decoding
/// tells: other formats, damaged headers, PNG files with EXIF data, which may stand after the pixels.
inline std::optional<Shape> shape_of([[maybe_unused]] std::span<const std::uint8_t> bytes) {
    const auto format = format_of(bytes);
    if (!format) return std::nullopt;
    try {
        switch (*format) {
#if DOPPEL_JPEG
            case Format::jpeg: {
                detail::JpegDecoder decoder;
                decoder.open(bytes, "");
                return decoder.shape();
            }
#endif
#if DOPPEL_PNG
            case Format::png: return detail::png_shape(bytes);
#endif
#if DOPPEL_WEBP
            case Format::webp: return detail::webp_shape(bytes);
#endif
            case Format::ppm: return detail::ppm_header(bytes, "").shape;
            default: break;
        }
    } catch (const Error&) {}
    return std::nullopt;
}

struct RegionOptions {
    /// Whether the bytes are known to be intact: then the data below the region are not read. Otherwise they are, and
    /// the same files are damaged as with decode().
    bool trusted = false;
};

/// Decodes `part` of an image into `into`, whose memory is used again where it suffices: bit for bit
/// crop(decode(bytes, name), part). Of a sequential JPEG only the region is transformed, and of a trusted one with a
/// restart marker after each row of blocks (image::restartable_jpeg) only the region's rows are read; most other files are
/// decoded whole and cut. A region never takes longer than the whole image: reading the entropy-coded data of a
/// photograph takes 0.4 of the time, the pixels' share of the area the rest. Two regions of one image are cheaper as one
/// region around both. Throws as decode() does, and Error for a part that is not inside the image; after an
/// error the pixels are undefined.
///
///     Image view;
///     image::decode_region(bytes, "photo.jpg", {.left = 40, .top = 10, .width = 120, .height = 90}, view);
inline void decode_region(std::span<const std::uint8_t> bytes, std::string_view name, const Rect& part, Image& into,
                          RegionOptions options = {}) {
    detail::decode_part(bytes, name, &part, options.trusted, into);
}

}  // namespace doppel::image
