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
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include <webp/decode.h>

namespace doppel::image::detail {

/// Returns the data of the first chunk of that name, empty if there is none (chunks: name, little-endian length, data,
/// padded to even).
inline std::span<const std::uint8_t> webp_chunk(std::span<const std::uint8_t> bytes, std::string_view name) {
    for (std::size_t at = 12; at + 8 <= bytes.size();) {
        const std::size_t size = bytes[at + 4] | std::size_t{bytes[at + 5]} << 8 | std::size_t{bytes[at + 6]} << 16 |
                                 std::size_t{bytes[at + 7]} << 24;
        if (size > bytes.size() - at - 8) break;
        if (std::equal(name.begin(), name.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at)))
            return bytes.subspan(at + 8, size);
        at += 8 + size + size % 2;
    }
    return {};
}

/// Reads the size of the upright image; nothing if the header is damaged.
inline std::optional<Shape> webp_shape(std::span<const std::uint8_t> bytes) {
    WebPBitstreamFeatures features;
    if (WebPGetFeatures(bytes.data(), bytes.size(), &features) != VP8_STATUS_OK) return std::nullopt;
    const bool swap = orientation(webp_chunk(bytes, "EXIF")) >= 5;
    return Shape{swap ? features.height : features.width, swap ? features.width : features.height, 3};
}

/// Of an animation, decodes the first picture; what it leaves free is black.
inline Image decode_webp(std::span<const std::uint8_t> bytes, std::string_view name) {
    WebPBitstreamFeatures features;
    const auto problem = WebPGetFeatures(bytes.data(), bytes.size(), &features);
    require(problem == VP8_STATUS_OK, "decode: ", name, ": damaged WebP: ",
            problem == VP8_STATUS_NOT_ENOUGH_DATA ? "the file ends too early" : "its header is invalid");
    Image image = canvas(name, features.width, features.height, 3);
    std::span<const std::uint8_t> picture = bytes;
    std::uint8_t* corner = image.pixels.data();
    if (features.has_animation) {
        // Half the column, half the row, 3 bytes each; width, height, duration, flags; then the chunks of a still image.
        const auto frame = webp_chunk(bytes, "ANMF");
        require(frame.size() > 16, "decode: ", name, ": damaged WebP: its first picture is missing or truncated");
        const int x = 2 * (frame[0] | frame[1] << 8 | frame[2] << 16);
        const int y = 2 * (frame[3] | frame[4] << 8 | frame[5] << 16);
        picture = frame.subspan(16);
        WebPBitstreamFeatures part;
        require(WebPGetFeatures(picture.data(), picture.size(), &part) == VP8_STATUS_OK && !part.has_animation &&
                    x <= image.width - part.width && y <= image.height - part.height,
                "decode: ", name, ": damaged WebP: its first picture is invalid");
        corner = image.at(x, y);
    }
    const auto room = static_cast<std::size_t>(image.pixels.data() + image.pixels.size() - corner);
    const auto* decoded = WebPDecodeRGBInto(picture.data(), picture.size(), corner, room, image.width * 3);
    require(decoded != nullptr, "decode: ", name, ": damaged WebP: the image data are truncated or invalid");
    return oriented(std::move(image), orientation(webp_chunk(bytes, "EXIF")));
}

}  // namespace doppel::image::detail
