// SPDX-License-Identifier: Apache-2.0
// Reads and applies the orientation in an image's EXIF block.
#pragma once

#include <doppel/image/crop.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace doppel::image::detail {

/// Returns the orientation, 1 … 8, in a TIFF structure (EXIF 2.32, 4.6.4 A: tag 0x112, one SHORT in the first
/// directory).
/// Returns 1 (as stored) if there is none or the structure is damaged.
inline int orientation(std::span<const std::uint8_t> tiff) {
    constexpr std::uint8_t prefix[] = {'E', 'x', 'i', 'f', 0, 0};  // JPEG puts it first, PNG does not
    if (tiff.size() >= 6 && std::equal(prefix, prefix + 6, tiff.begin())) tiff = tiff.subspan(6);
    if (tiff.size() < 8 || tiff[0] != tiff[1] || (tiff[0] != 'I' && tiff[0] != 'M')) return 1;
    const bool little = tiff[0] == 'I';
    const auto number = [&](std::size_t at, std::size_t bytes) -> std::size_t {  // 0 beyond the end
        if (at > tiff.size() || tiff.size() - at < bytes) return 0;
        std::size_t value = 0;
        for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | tiff[at + (little ? bytes - 1 - i : i)];
        return value;
    };
    if (number(2, 2) != 42) return 1;
    const std::size_t directory = number(4, 4), entries = number(directory, 2);
    for (std::size_t i = 0; i < entries; ++i) {
        const std::size_t entry = directory + 2 + 12 * i;
        if (number(entry, 2) != 0x112) continue;
        const std::size_t value = number(entry + 8, 2);
        const bool valid = number(entry + 2, 2) == 3 && number(entry + 4, 4) == 1 && value >= 1 && value <= 8;
        return valid ? static_cast<int>(value) : 1;
    }
    return 1;
}

/// Returns an EXIF block, as JPEG has it, of the orientation alone.
inline std::array<std::uint8_t, 32> exif_of(int orientation) {
    return {'E', 'x', 'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, static_cast<std::uint8_t>(orientation)};
}

/// Returns where a region of the upright image is in the image as stored, which has this size.
inline Rect as_stored(const Rect& part, int width, int height, int orientation) {
    if (orientation <= 1 || orientation > 8) return part;
    const bool swap = orientation >= 5;
    const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    Rect stored = swap ? Rect{part.top, part.left, part.height, part.width} : part;
    if (from_right) stored.left = width - stored.left - stored.width;
    if (from_bottom) stored.top = height - stored.top - stored.height;
    return stored;
}

/// Returns the image upright. Orientations 2 to 8 mirror or rotate it; 5 to 8 swap width and height.
inline Image oriented(Image image, int orientation) {
    if (orientation <= 1 || orientation > 8) return image;
    const bool swap = orientation >= 5;
    const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    Image seen(swap ? image.height : image.width, swap ? image.width : image.height, image.channels);
    std::uint8_t* out = seen.pixels.data();
    for (int y = 0; y < seen.height; ++y)
        for (int x = 0; x < seen.width; ++x) {
            const int right = swap ? y : x, down = swap ? x : y;
            const int column = from_right ? image.width - 1 - right : right;
            const int row = from_bottom ? image.height - 1 - down : down;
            out = std::copy_n(image.at(column, row), image.channels, out);
        }
    return seen;
}

}  // namespace doppel::image::detail
