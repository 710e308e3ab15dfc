// SPDX-License-Identifier: Apache-2.0
// Pixels as planes, one for each channel: the form in which views are made, and in which networks take them.
#pragma once

#include <doppel/image/image.hpp>

#include <cstddef>
#include <cstdint>

namespace doppel::image {

/// 8-bit pixels [channels, height, width] in someone else's memory, without gaps.
struct Planes {
    std::uint8_t* data = nullptr;
    int width = 0, height = 0, channels = 0;

    /// Returns the number of pixels of a plane.
    std::size_t area() const { return static_cast<std::size_t>(width) * static_cast<std::size_t>(height); }
    std::size_t size() const { return area() * static_cast<std::size_t>(channels); }
    std::uint8_t* plane(int channel) const { return data + area() * static_cast<std::size_t>(channel); }
    std::uint8_t* row(int channel, int y) const {
        return plane(channel) + static_cast<std::size_t>(y) * static_cast<std::size_t>(width);
    }
};

/// Writes an image's pixels to planes of its size.
inline void to_planes(const Image& from, const Planes& to) {
    const std::size_t channels = static_cast<std::size_t>(from.channels), pixels = to.area();
    for (std::size_t c = 0; c < channels; ++c) {
        const std::uint8_t* in = from.pixels.data() + c;
        std::uint8_t* out = to.data + c * pixels;
        for (std::size_t i = 0; i < pixels; ++i) out[i] = in[i * channels];
    }
}

/// Makes `to` an image of the planes' pixels; reuses its memory.
inline void to_image(const Planes& from, Image& to) {
    to.width = from.width;
    to.height = from.height;
    to.channels = from.channels;
    to.note.clear();
    to.pixels.resize(from.size());
    const std::size_t channels = static_cast<std::size_t>(from.channels), pixels = from.area();
    for (std::size_t c = 0; c < channels; ++c) {
        const std::uint8_t* in = from.data + c * pixels;
        std::uint8_t* out = to.pixels.data() + c;
        for (std::size_t i = 0; i < pixels; ++i) out[i * channels] = in[i];
    }
}

}  // namespace doppel::image
