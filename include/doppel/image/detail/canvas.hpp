// SPDX-License-Identifier: Apache-2.0
// The image that a decoder fills, with a limit on its size.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/image.hpp>

#include <cstdint>
#include <string_view>

namespace doppel::image::detail {

/// The largest image that is decoded: 2^28 pixels are 768 MiB of RGB.
inline constexpr std::int64_t most_pixels = std::int64_t{1} << 28;

/// Throws Error if the size in the file is invalid or too large.
inline void check_size(std::string_view name, std::int64_t width, std::int64_t height) {
    require(width > 0 && height > 0, "decode: ", name, ": ", width, " x ", height, " pixels, expected at least 1 x 1");
    require(width <= most_pixels / height, "decode: ", name, ": ", width, " x ", height, " pixels, expected at most ",
            most_pixels, " pixels in total");
}

/// Creates an image to decode into. Throws Error if the size in the file is invalid or too large.
inline Image canvas(std::string_view name, std::int64_t width, std::int64_t height, int channels) {
    check_size(name, width, height);
    return Image(static_cast<int>(width), static_cast<int>(height), channels);
}

}  // namespace doppel::image::detail
