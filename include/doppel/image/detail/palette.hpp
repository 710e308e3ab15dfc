// SPDX-License-Identifier: Apache-2.0
// The colors that the numbers in a GIF or BMP file stand for.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace doppel::image::detail {

/// Up to 256 colors; a number that has none is black.
class Palette {
public:
    void add(std::uint8_t red, std::uint8_t green, std::uint8_t blue) {
        colors_[size_++ % 256] = {red, green, blue};
        gray_ = gray_ && red == green && green == blue;
    }
    /// Returns 1 if all colors are gray, else 3.
    int channels() const { return gray_ ? 1 : 3; }
    /// Writes a pixel of channels() bytes; returns where the next one goes.
    std::uint8_t* put(std::uint8_t number, std::uint8_t* out) const {
        const auto& color = colors_[number];
        *out++ = color[0];
        if (gray_) return out;
        *out++ = color[1];
        *out++ = color[2];
        return out;
    }

private:
    std::array<std::array<std::uint8_t, 3>, 256> colors_{};
    std::size_t size_ = 0;
    bool gray_ = true;
};

}  // namespace doppel::image::detail
