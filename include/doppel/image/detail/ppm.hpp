// SPDX-License-Identifier: Apache-2.0
// Decodes PGM and PPM, text and binary, with samples of up to 16 bits.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/detail/canvas.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace doppel::image::detail {

/// Reads the numbers of a PPM file: digits between white space and comments.
class PpmText {
public:
    PpmText(std::span<const std::uint8_t> bytes, std::string_view name) : bytes_(bytes), name_(name) {}

    /// Returns the next number. Throws Error if there is none, or a larger one than `most`.
    std::uint32_t number(std::string_view what, std::uint32_t most) {
        while (at_ < bytes_.size() && (is_space(bytes_[at_]) || bytes_[at_] == '#')) {
            if (bytes_[at_] == '#')
                while (at_ < bytes_.size() && bytes_[at_] != '\n' && bytes_[at_] != '\r') ++at_;
            else
                ++at_;
        }
        const std::size_t first = at_;
        std::uint64_t value = 0;
        for (; at_ < bytes_.size() && bytes_[at_] >= '0' && bytes_[at_] <= '9' && value <= most; ++at_)
            value = value * 10 + bytes_[at_] - '0';
        const auto* why = at_ == bytes_.size() ? "the file ends too early" : "another character than a digit";
        require(at_ > first, "decode: ", name_, ": damaged PPM: ", why, ", expected ", what);
        require(value <= most, "decode: ", name_, ": damaged PPM: ", what, " is above ", most);
        return static_cast<std::uint32_t>(value);
    }
    /// Returns what follows the one character of white space behind the last number.
    std::span<const std::uint8_t> rest() const {
        require(at_ < bytes_.size() && is_space(bytes_[at_]), "decode: ", name_,
                ": damaged PPM: no pixels after the header");
        return bytes_.subspan(at_ + 1);
    }
    std::size_t left() const { return bytes_.size() - at_; }

private:
    static bool is_space(std::uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

    std::span<const std::uint8_t> bytes_;
    std::string_view name_;
    std::size_t at_ = 2;
};

/// The header of a PPM file, and its pixels if they are binary.
struct PpmHeader {
    Shape shape{};
    std::uint32_t most = 0;  // the largest value
    bool as_text = false;
    std::span<const std::uint8_t> pixels{};
    PpmText text;

    /// Whether the pixels are those of the image.
    bool is_plain() const { return !as_text && most == 255; }
};

/// Throws Error if the header is damaged or the file is too short for its size.
inline PpmHeader ppm_header(std::span<const std::uint8_t> bytes, std::string_view name) {
    const bool color = bytes[1] == '3' || bytes[1] == '6', as_text = bytes[1] == '2' || bytes[1] == '3';
    PpmText text(bytes, name);
    const std::int64_t width = text.number("the width", INT32_MAX), height = text.number("the height", INT32_MAX);
    const std::uint32_t most = text.number("the largest value", 65535);
    require(most > 0, "decode: ", name, ": damaged PPM: the largest value is 0, expected 1 to 65535");
    check_size(name, width, height);
    const auto samples = static_cast<std::size_t>(width * height) * (color ? 3 : 1);
    const std::size_t size = most > 255 ? 2 : 1;
    const auto pixels = as_text ? std::span<const std::uint8_t>{} : text.rest();
    // A sample of text has a digit and, but for the last, white space.
    const bool whole = as_text ? text.left() >= 2 * samples : pixels.size() >= size * samples;
    require(whole, "decode: ", name, ": damaged PPM: the file ends too early for ", width, " x ", height, " pixels");
    return {{static_cast<int>(width), static_cast<int>(height), color ? 3 : 1}, most, as_text, pixels, text};
}

/// Samples are scaled to 0 … 255 and rounded, whatever the largest value of the file is.
inline void decode_ppm(std::span<const std::uint8_t> bytes, std::string_view name, Image& into, std::string&) {
    PpmHeader header = ppm_header(bytes, name);
    const std::uint32_t most = header.most;
    const auto pixels = header.pixels;
    into.reshape(header.shape.width, header.shape.height, header.shape.channels);
    const auto scaled = [&](std::uint32_t value) {
        require(value <= most, "decode: ", name, ": damaged PPM: a sample is above the largest value ", most);
        return static_cast<std::uint8_t>((value * 255 + most / 2) / most);
    };
    if (header.as_text)
        for (auto& sample : into.pixels) sample = scaled(header.text.number("a sample", most));
    else if (most == 255)
        std::copy_n(pixels.begin(), into.pixels.size(), into.pixels.begin());
    else
        for (std::size_t i = 0; i < into.pixels.size(); ++i)
            into.pixels[i] =
                scaled(most <= 255 ? pixels[i] : static_cast<std::uint32_t>(pixels[2 * i] << 8 | pixels[2 * i + 1]));
}

}  // namespace doppel::image::detail
