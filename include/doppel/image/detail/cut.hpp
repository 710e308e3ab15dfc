// SPDX-License-Identifier: Apache-2.0
// Cuts an image to a region where it is in memory.
#pragma once

#include <doppel/image/crop.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace doppel::image::detail {

inline void require_inside(const char* who, const Shape& all, const Rect& part) {
    Image frame;
    frame.width = all.width, frame.height = all.height;
    require_inside(who, frame, part);
}

/// Copies `part` of the pixels of an image of that size.
inline void copy_part(const std::uint8_t* pixels, const Shape& all, const Rect& part, Image& into) {
    into.reshape(part.width, part.height, all.channels);
    const auto row = std::ptrdiff_t{part.width} * all.channels, step = std::ptrdiff_t{all.width} * all.channels;
    pixels += std::ptrdiff_t{part.top} * step + std::ptrdiff_t{part.left} * all.channels;
    std::uint8_t* out = into.pixels.data();
    for (int y = 0; y < part.height; ++y, pixels += step, out += row) std::copy_n(pixels, row, out);
}

/// Cuts the image to `part` and keeps its note.
inline void cut(const char* who, Image& image, const Rect& part) {
    require_inside(who, image, part);
    const auto row = std::ptrdiff_t{part.width} * image.channels;
    std::uint8_t* out = image.pixels.data();
    for (int y = 0; y < part.height; ++y, out += row) std::copy_n(image.at(part.left, part.top + y), row, out);
    image.pixels.resize(static_cast<std::size_t>(row) * static_cast<std::size_t>(part.height));
    image.width = part.width, image.height = part.height;
}

}  // namespace doppel::image::detail
