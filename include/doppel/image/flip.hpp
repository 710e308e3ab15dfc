// SPDX-License-Identifier: Apache-2.0
// Horizontal flip of 8-bit images.
#pragma once

#include <doppel/image/image.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace doppel::image {

/// Mirrors the image left to right.
inline void flip(Image& image) {
    const auto mirror = [&]<int C>() {
        for (int y = 0; y < image.height; ++y) {
            std::uint8_t* left = image.at(0, y);
            std::uint8_t* right = left + std::ptrdiff_t{image.width - 1} * C;
            for (; left < right; left += C, right -= C)
                for (std::size_t c = 0; c < C; ++c) std::swap(left[c], right[c]);
        }
    };
    image.channels == 3 ? mirror.template operator()<3>() : mirror.template operator()<1>();
}

}  // namespace doppel::image
