// SPDX-License-Identifier: Apache-2.0
// Converts images between gray and RGB.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/detail/luma.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace doppel::image {

/// Returns the image with 3 channels (gray in each) or 1 (luma); one that has the channels already as it is.
/// Throws Error where other numbers of channels differ.
inline Image with_channels(Image image, int channels) {
    if (image.channels == channels) return image;
    require((channels == 1 || channels == 3) && (image.channels == 1 || image.channels == 3),
            "with_channels: an image has ", image.channels, " channels, expected ", channels,
            "; only gray and RGB become each other");
    Image result(image.width, image.height, channels);
    std::uint8_t* out = result.pixels.data();
    if (channels == 1)
        for (std::size_t i = 0; i < image.pixels.size(); i += 3) *out++ = detail::luma(&image.pixels[i]);
    else
        for (const auto gray : image.pixels) out = std::fill_n(out, 3, gray);
    return result;
}

/// Returns the image as people can look at it: one of bands becomes RGB of the first three, of two bands gray of the first.
inline Image shown(Image image) {
    if (image.channels == 1 || image.channels == 3) return image;
    require(image.channels > 0, "shown: the image has no channels");
    const int channels = image.channels == 2 ? 1 : 3;
    Image result(image.width, image.height, channels);
    std::uint8_t* out = result.pixels.data();
    for (std::size_t i = 0; i < image.pixels.size(); i += static_cast<std::size_t>(image.channels))
        out = std::copy_n(&image.pixels[i], channels, out);
    return result;
}

}  // namespace doppel::image
