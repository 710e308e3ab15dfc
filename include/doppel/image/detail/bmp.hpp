// SPDX-License-Identifier: Apache-2.0
// Decodes BMP: 1, 4, 8, 16, 24 and 32 bits per pixel, RLE8 and RLE4, with the headers of Windows and OS/2.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/detail/canvas.hpp>
#include <doppel/image/detail/palette.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace doppel::image::detail {

class BmpDecoder {
public:
    /// Reads the headers and the palette, and checks them against the length of the file.
    BmpDecoder(std::span<const std::uint8_t> bytes, std::string_view name) : bytes_(bytes), name_(name) {
        const std::size_t pixels_at = number(10, 4), header = number(14, 4);
        const bool core = header == 12;  // OS/2's first header has sizes of 16 bits
        const auto side = [&](std::size_t at, std::size_t at_in_core) -> std::int64_t {
            return core ? std::int64_t{number(at_in_core, 2)} : static_cast<std::int32_t>(number(at, 4));
        };
        width_ = side(18, 18);
        height_ = side(22, 20);
        bits_ = number(core ? 24 : 28, 2);
        compression_ = core ? 0 : number(30, 4);
        from_top_ = height_ < 0;
        if (from_top_) height_ = -height_;
        check_size(name, width_, height_);

        const bool packed = (compression_ == 1 && bits_ == 8) || (compression_ == 2 && bits_ == 4);
        const bool masked = (compression_ == 3 || compression_ == 6) && (bits_ == 16 || bits_ == 32);
        const bool known = bits_ == 1 || bits_ == 4 || bits_ == 8 || bits_ == 16 || bits_ == 24 || bits_ == 32;
        if (!(packed || masked || (compression_ == 0 && known)))
            give_up(bits_, " bits per pixel with compression ", compression_);
        if (bits_ == 16) masks_ = {0x7C00, 0x3E0, 0x1F};
        for (std::size_t c = 0; masked && c < 3; ++c) masks_[c] = number(54 + 4 * c, 4);
        if (bits_ <= 8) read_palette(14 + header, pixels_at, core ? 3 : 4, core ? 0 : number(46, 4));

        if (pixels_at < 14 + header || pixels_at > bytes.size()) give_up("the pixels start at byte ", pixels_at);
        pixels_ = bytes.subspan(pixels_at);
        row_ = (static_cast<std::size_t>(width_) * bits_ + 31) / 32 * 4;
        const auto above = static_cast<std::size_t>(height_ - 1) * row_;  // the last row may lack what fills it up
        if (!packed && pixels_.size() < above + (static_cast<std::size_t>(width_) * bits_ + 7) / 8) ends_early();
    }

    Image decode() {
        Image image = canvas(name_, width_, height_, bits_ <= 8 ? palette_.channels() : 3);
        std::vector<std::uint8_t> numbers;
        if (compression_ == 1 || compression_ == 2) numbers = unpacked();
        for (int y = 0; y < image.height; ++y) {
            std::uint8_t* out = image.at(0, from_top_ ? y : image.height - 1 - y);
            if (numbers.empty())
                copy_row(pixels_.data() + static_cast<std::size_t>(y) * row_, out);
            else
                for (std::int64_t x = 0; x < width_; ++x)
                    out = palette_.put(numbers[static_cast<std::size_t>(y * width_ + x)], out);
        }
        return image;
    }

private:
    template <class... Parts>
    [[noreturn]] void give_up(const Parts&... why) const {
        fail("decode: ", name_, ": damaged or unsupported BMP: ", why...);
    }
    [[noreturn]] void ends_early() const { give_up("the file ends too early for ", width_, " x ", height_, " pixels"); }
    std::uint32_t number(std::size_t at, std::size_t count) const {
        if (bytes_.size() < at + count) give_up("the file ends too early");
        std::uint32_t value = 0;
        while (count-- > 0) value = value << 8 | bytes_[at + count];
        return value;
    }

    /// The palette ends where the pixels start, also where the header claims more colors.
    void read_palette(std::size_t at, std::size_t end, std::size_t step, std::size_t used) {
        const std::size_t most = std::size_t{1} << bits_;
        end = std::min({end, bytes_.size(), at + step * (used == 0 || used > most ? most : used)});
        for (; at + step <= end; at += step) palette_.add(bytes_[at + 2], bytes_[at + 1], bytes_[at]);
    }

    void copy_row(const std::uint8_t* in, std::uint8_t* out) const {
        if (bits_ <= 8) {
            const std::size_t per_byte = 8 / bits_;
            const unsigned mask = (1u << bits_) - 1;
            for (std::size_t x = 0; x < static_cast<std::size_t>(width_); ++x) {
                const std::size_t shift = (per_byte - 1 - x % per_byte) * bits_;
                out = palette_.put(static_cast<std::uint8_t>(unsigned{in[x / per_byte]} >> shift & mask), out);
            }
        } else {
            const std::size_t step = bits_ / 8;
            for (std::int64_t x = 0; x < width_; ++x, in += step) {
                std::uint32_t pixel = 0;
                for (std::size_t i = step; i-- > 0;) pixel = pixel << 8 | in[i];
                for (const std::uint32_t mask : masks_) *out++ = masked(pixel, mask);
            }
        }
    }

    /// Returns a color of a pixel, scaled to 0 … 255 and rounded down, as Pillow does.
    static std::uint8_t masked(std::uint32_t pixel, std::uint32_t mask) {
        if (mask == 0) return 0;
        const int shift = std::countr_zero(mask);
        const std::uint64_t value = (pixel & mask) >> shift, most = mask >> shift;
        return static_cast<std::uint8_t>(most == 255 ? value : value * 255 / most);
    }

    /// Expands RLE8 or RLE4 to a number per pixel, rows as stored. Pixels that a file leaves out have the number 0;
    /// those beyond the end of a row are ignored.
    std::vector<std::uint8_t> unpacked() const {
        std::vector<std::uint8_t> numbers(static_cast<std::size_t>(width_ * height_));
        const bool half = bits_ == 4;
        std::int64_t x = 0, y = 0;
        std::size_t at = 0;
        const auto next = [&] {
            if (at == pixels_.size()) ends_early();
            return pixels_[at++];
        };
        const auto put = [&](std::uint8_t byte, std::size_t i) {
            const int value = !half ? byte : i % 2 == 0 ? byte >> 4 : byte & 15;
            if (x < width_) numbers[static_cast<std::size_t>(y * width_ + x++)] = static_cast<std::uint8_t>(value);
        };
        while (y < height_) {
            const std::uint8_t count = next(), value = next();
            if (count > 0) {
                for (std::size_t i = 0; i < count; ++i) put(value, i);
            } else if (value == 0) {  // the end of a row
                x = 0;
                ++y;
            } else if (value == 1) {  // the end of the image
                break;
            } else if (value == 2) {  // the next pixel is further right and up
                x += next();
                y += next();
            } else {  // pixels as they are, an even number of bytes
                std::uint8_t byte = 0;
                std::size_t taken = 0;
                for (std::size_t i = 0; i < value; ++i) {
                    if (!half || i % 2 == 0) {
                        byte = next();
                        ++taken;
                    }
                    put(byte, i);
                }
                if (taken % 2 == 1) next();
            }
        }
        return numbers;
    }

    std::span<const std::uint8_t> bytes_, pixels_{};
    std::string_view name_;
    std::int64_t width_ = 0, height_ = 0;
    std::size_t bits_ = 0, compression_ = 0, row_ = 0;
    bool from_top_ = false;
    std::array<std::uint32_t, 3> masks_{0xFF0000, 0xFF00, 0xFF};
    Palette palette_;
};

inline Image decode_bmp(std::span<const std::uint8_t> bytes, std::string_view name) {
    return BmpDecoder(bytes, name).decode();
}

}  // namespace doppel::image::detail
