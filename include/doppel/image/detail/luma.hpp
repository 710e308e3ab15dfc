// SPDX-License-Identifier: Apache-2.0
// Luma of an RGB pixel.
#pragma once

#include <cstdint>

namespace doppel::image::detail {

/// Pillow's "L" of an RGB pixel: ITU-R 601 luma in 16-bit fixed point, rounded to nearest.
inline std::uint8_t luma(const std::uint8_t* rgb) {
    return static_cast<std::uint8_t>((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
}

}  // namespace doppel::image::detail
