// SPDX-License-Identifier: Apache-2.0
// Crops of 8-bit images.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <cstddef>

namespace doppel::image {

/// A region in integer pixels.
struct Rect {
    int left = 0, top = 0, width = 0, height = 0;
    bool operator==(const Rect&) const = default;
};

namespace detail {

inline void require_pixels(const char* who, const Image& source) {
    require(source.width > 0 && source.height > 0 && source.channels > 0, who, ": the image must have pixels, got ",
            source.width, "x", source.height, "x", source.channels);
}

inline void require_inside(const char* who, const Image& source, const Rect& part) {
    require(part.left >= 0 && part.top >= 0 && part.width > 0 && part.height > 0 &&
                part.left <= source.width - part.width && part.top <= source.height - part.height,
            who, ": the region must lie inside the ", source.width, "x", source.height, " image, got ", part.width, "x",
            part.height, " at (", part.left, ", ", part.top, ")");
}

}  // namespace detail

/// Returns the offset of a central part that leaves `spare` pixels; half a pixel is rounded to even, as in torchvision.
inline int centered(int spare) { return spare > 0 ? spare / 2 + (spare % 2 && spare / 2 % 2) : 0; }

/// Returns the pixels of `part`, which must lie inside the image.
inline Image crop(const Image& source, const Rect& part) {
    detail::require_pixels("crop", source);
    detail::require_inside("crop", source, part);
    Image result(part.width, part.height, source.channels);
    const auto bytes = std::ptrdiff_t{part.width} * source.channels;
    for (int y = 0; y < part.height; ++y)
        std::copy_n(source.at(part.left, part.top + y), bytes, result.at(0, y));
    return result;
}

/// Returns the central width × height pixels, padded with black if the image is smaller. Equal to torchvision's
/// center_crop.
inline Image center_crop(const Image& source, int width, int height) {
    detail::require_pixels("center_crop", source);
    require(width > 0 && height > 0, "center_crop: the size must be at least 1x1, got ", width, "x", height);
    const Rect part{centered(source.width - width), centered(source.height - height), std::min(width, source.width),
                    std::min(height, source.height)};
    if (part.width == width && part.height == height) return crop(source, part);
    Image result(width, height, source.channels);
    const int left = (width - part.width) / 2, top = (height - part.height) / 2;
    for (int y = 0; y < part.height; ++y)
        std::copy_n(source.at(part.left, part.top + y), std::ptrdiff_t{part.width} * source.channels,
                    result.at(left, top + y));
    return result;
}

}  // namespace doppel::image
