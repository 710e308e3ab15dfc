// SPDX-License-Identifier: Apache-2.0
// An image in memory: 8-bit pixels, rows from the top, channels interleaved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace doppel {

/// The size of an image.
struct Shape {
    int width = 0, height = 0, channels = 0;
    bool operator==(const Shape&) const = default;
};

/// 8-bit pixels [height, width, channels]; channels is 1 (gray), 3 (RGB, as stored: no color management) or the number of
/// bands of an image of another kind.
struct Image {
    int width = 0, height = 0, channels = 0;
    std::vector<std::uint8_t> pixels;
    std::string note{};  ///< of a decoder: what is wrong with the file, although all pixels are there; mostly empty

    Image() = default;
    /// Black pixels.
    Image(int columns, int rows, int planes)
        : width(columns), height(rows), channels(planes),
          pixels(static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows) *
                 static_cast<std::size_t>(planes)) {}

    /// Takes another size and forgets the note; the memory is kept, and what the pixels are is undefined.
    void reshape(int columns, int rows, int planes) {
        width = columns, height = rows, channels = planes;
        pixels.resize(static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows) *
                      static_cast<std::size_t>(planes));
        note.clear();
    }
    Shape shape() const { return {width, height, channels}; }

    /// First channel of the pixel in column x, row y.
    std::uint8_t* at(int x, int y) { return pixels.data() + offset(x, y); }
    const std::uint8_t* at(int x, int y) const { return pixels.data() + offset(x, y); }

    /// Compares the pixels.
    bool operator==(const Image& other) const {
        return width == other.width && height == other.height && channels == other.channels && pixels == other.pixels;
    }

private:
    std::size_t offset(int x, int y) const {
        return (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x)) *
               static_cast<std::size_t>(channels);
    }
};

}  // namespace doppel
