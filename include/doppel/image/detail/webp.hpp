// SPDX-License-Identifier: Apache-2.0
// Decodes WebP by libwebp.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/detail/canvas.hpp>
#include <doppel/image/detail/exif.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include <webp/decode.h>

namespace doppel::image::detail {

/// Returns the orientation in the EXIF chunk, or 1 (chunks: name, little-endian length, data, padded to even).
inline int webp_orientation(std::span<const std::uint8_t> bytes) {
    constexpr std::string_view exif = "EXIF";
    for (std::size_t at = 12; at + 8 <= bytes.size();) {
        const std::size_t size = bytes[at + 4] | std::size_t{bytes[at + 5]} << 8 | std::size_t{bytes[at + 6]} << 16 |
                                 std::size_t{bytes[at + 7]} << 24;
        if (size > bytes.size() - at - 8) return 1;
        if (std::equal(exif.begin(), exif.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at)))
            return orientation(bytes.subspan(at + 8, size));
        at += 8 + size + size % 2;
    }
    return 1;
}

inline Image decode_webp(std::span<const std::uint8_t> bytes, std::string_view name) {
    WebPBitstreamFeatures features;
    const auto problem = WebPGetFeatures(bytes.data(), bytes.size(), &features);
    require(problem == VP8_STATUS_OK, "decode: ", name, ": damaged WebP: ",
            problem == VP8_STATUS_NOT_ENOUGH_DATA ? "the file ends too early" : "its header is invalid");
    require(!features.has_animation, "decode: ", name, ": animated WebP, expected a still image");
    Image image = canvas(name, features.width, features.height, 3);
    const auto* decoded =
        WebPDecodeRGBInto(bytes.data(), bytes.size(), image.pixels.data(), image.pixels.size(), image.width * 3);
    require(decoded != nullptr, "decode: ", name, ": damaged WebP: the image data are truncated or invalid");
    return oriented(std::move(image), webp_orientation(bytes));
}

}  // namespace doppel::image::detail
