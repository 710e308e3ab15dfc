// SPDX-License-Identifier: Apache-2.0
// Horizontal flip of 8-bit images.
#pragma once

#include <doppel/image/image.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace doppel::image {

/// Mirrors the image left to right.
inline void flip(Image& image) {
    const auto mirror = [&](const auto channels) {  // 1 and 3 are constants, so that the compiler unrolls
        for (int y = 0; y < image.height; ++y) {
            std::uint8_t* left = image.at(0, y);
            std::uint8_t* right = left + std::ptrdiff_t{image.width - 1} * channels;
            for (; left < right; left += channels, right -= channels) std::swap_ranges(left, left + channels, right);
        }
    };
    if (image.channels == 3)
        mirror(std::integral_constant<int, 3>());
    else if (image.channels == 1)
        mirror(std::integral_constant<int, 1>());
    else
        mirror(image.channels);
}

}  // namespace doppel::image
