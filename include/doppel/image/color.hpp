// SPDX-License-Identifier: Apache-2.0
// Color adjustments of 8-bit images, in place, as torchvision applies them to Pillow images.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/detail/luma.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace doppel::image {

namespace detail {

/// Pillow's blend: `degenerate` at factor 0, `value` at 1; in float, clamped to [0, 255], rounded down. The product is
/// rounded before it is added: a bound that it never reaches keeps the compiler from fusing the two.
[[gnu::always_inline]] inline std::uint8_t blend(int degenerate, int value, float factor) {
    const float product = factor * static_cast<float>(value - degenerate);
    const float mixed = static_cast<float>(degenerate) + (product > -1e30F ? product : -1e30F);
    const float above = mixed > 0.0F ? mixed : 0.0F;
    return static_cast<std::uint8_t>(static_cast<int>(above < 255.0F ? above : 255.0F));
}

/// Replaces each byte b by change(b) through a table of its 256 values.
template <class Change>
void map_bytes(Image& image, Change change) {
    std::array<std::uint8_t, 256> table;
    for (int value = 0; value < 256; ++value) table[static_cast<std::size_t>(value)] = change(value);
    for (auto& byte : image.pixels) byte = table[byte];
}

/// ⌊n / d⌋ by one multiplication, exact for 0 ≤ n < 2^19 and 1 ≤ d < 2^11 (error of the factor below 2^-19 / d).
class Divider {
public:
    constexpr Divider() = default;
    constexpr explicit Divider(std::uint32_t d) : factor_((std::uint64_t{1} << 32) / d + 1) {}
    constexpr int operator()(int n) const {
        return static_cast<int>(static_cast<std::uint64_t>(static_cast<std::uint32_t>(n)) * factor_ >> 32);
    }

private:
    std::uint64_t factor_ = 0;
};

/// Division by 6c, for c = 1 … 255.
inline constexpr auto by_six_times = [] {
    std::array<Divider, 256> each{};
    for (std::uint32_t c = 1; c < 256; ++c) each[c] = Divider(6 * c);
    return each;
}();

/// Returns Pillow's hue byte where the exact hue is an integer: Pillow's float arithmetic may fall just below it.
constexpr int integer_hue(int r, int g, int b, int value, int chroma) {
    const auto lack = [&](int channel) { return static_cast<float>(value - channel) / static_cast<float>(chroma); };
    const float rc = lack(r), gc = lack(g), bc = lack(b);
    const float sixths = r == value ? bc - gc : static_cast<float>(g == value ? 2.0 + rc - bc : 4.0 + gc - rc);
    const double turns = sixths / 6.0 + 1.0;
    return static_cast<int>(static_cast<float>(turns < 1 ? turns : turns - 1) * 255.0);
}

/// How far each of R, G, B is below the value at hue h and full saturation, in 1/255: a trapezoid on the circle of
/// 6 · 255 steps, 0 in the third around the channel's own hue, 255 in the opposite third.
inline constexpr auto hue_fades = [] {
    std::array<std::array<std::uint8_t, 3>, 256> fades{};
    for (int hue = 0; hue < 256; ++hue)
        for (int channel = 0; channel < 3; ++channel) {
            const int away = (hue * 6 + (3 - channel) * 510) % 1530;  // from the channel's own hue
            const int distance = std::min(away, 1530 - away);
            fades[static_cast<std::size_t>(hue)][static_cast<std::size_t>(channel)] =
                static_cast<std::uint8_t>(std::clamp(distance - 255, 0, 255));
        }
    return fades;
}();

/// RGB → Pillow's 8-bit HSV, hue + `turn` modulo 256, → RGB.
inline void turn_hue(std::uint8_t* rgb, int turn) {
    const int r = rgb[0], g = rgb[1], b = rgb[2];
    const int value = std::max(r, std::max(g, b)), chroma = value - std::min(r, std::min(g, b));
    if (chroma == 0) return;  // gray has no hue
    int sector = r == value ? g - b : g == value ? 2 * chroma + b - r : 4 * chroma + r - g;
    sector += sector < 0 ? 6 * chroma : 0;
    int hue = by_six_times[static_cast<std::size_t>(chroma)](255 * sector);
    if (hue * 6 * chroma == 255 * sector) hue = integer_hue(r, g, b, value, chroma);
    const int saturation = static_cast<int>(static_cast<float>(chroma) / static_cast<float>(value) * 255.0);
    const auto& fades = hue_fades[static_cast<std::size_t>((hue + turn) & 255)];
    const auto depth = static_cast<std::uint32_t>(value * saturation);  // [0, 255²]
    for (std::size_t c = 0; c < 3; ++c)  // value · (1 − saturation · fade), rounded to nearest; 255² is odd: no ties
        rgb[c] = static_cast<std::uint8_t>(static_cast<std::uint32_t>(value) - (depth * fades[c] + 32512) / 65025);
}

}  // namespace detail

using detail::hue_fades;  // for hues of whole batches

/// Sets each pixel to factor · pixel, at most 255; factor ≥ 0, 1 changes nothing.
inline void brightness(Image& image, double factor) {
    detail::map_bytes(image, [f = static_cast<float>(factor)](int value) { return detail::blend(0, value, f); });
}

/// Sets each pixel to mean + factor · (pixel − mean), where mean is the mean luma, rounded to an integer; of images without
/// colors, the mean of all their channels.
inline void contrast(Image& image, double factor) {
    if (image.pixels.empty()) return;
    std::uint64_t sum = 0;
    const std::size_t step = image.channels == 3 ? 3 : 1, values = image.pixels.size() / step;
    for (std::size_t i = 0; i < image.pixels.size(); i += step)
        sum += step == 3 ? detail::luma(&image.pixels[i]) : image.pixels[i];
    const int mean = static_cast<int>(static_cast<double>(sum) / static_cast<double>(values) + 0.5);
    detail::map_bytes(image, [=, f = static_cast<float>(factor)](int value) { return detail::blend(mean, value, f); });
}

/// Sets each pixel to luma + factor · (pixel − luma); images without colors, of other than 3 channels, are unchanged.
inline void saturation(Image& image, double factor) {
    if (image.channels != 3) return;
    const float f = static_cast<float>(factor);
    constexpr std::size_t block = 48;  // bytes of 16 pixels; a constant, so that the compiler vectorizes
    std::array<std::uint8_t, block> gray;
    std::uint8_t* rgb = image.pixels.data();
    for (std::size_t left = image.pixels.size(); left > 0;) {
        const std::size_t bytes = std::min(left, block);
        for (std::size_t i = 0; i < bytes; i += 3) gray[i] = gray[i + 1] = gray[i + 2] = detail::luma(rgb + i);
        if (bytes == block)
            for (std::size_t i = 0; i < block; ++i) rgb[i] = detail::blend(gray[i], rgb[i], f);
        else
            for (std::size_t i = 0; i < bytes; ++i) rgb[i] = detail::blend(gray[i], rgb[i], f);
        rgb += bytes;
        left -= bytes;
    }
}

/// Rotates the hue by `turns` of the color circle, −0.5 … 0.5, in Pillow's 8-bit HSV (255 steps per turn, then modulo
/// 256, as in torchvision; 0 rounds to these steps, too). Gray, and images of other than 3 channels, are unchanged.
/// Throws Error for turns out of range.
inline void hue(Image& image, double turns) {
    require(turns >= -0.5 && turns <= 0.5, "hue: turns must be in [-0.5, 0.5], got ", turns);
    if (image.channels != 3) return;
    const int turn = static_cast<int>(turns * 255);
    for (std::size_t i = 0; i < image.pixels.size(); i += 3) detail::turn_hue(&image.pixels[i], turn);
}

/// Sets every channel to the luma; keeps the number of channels. Images of other than 3 channels are unchanged.
inline void grayscale(Image& image) {
    if (image.channels != 3) return;
    for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
        std::uint8_t* rgb = &image.pixels[i];
        rgb[0] = rgb[1] = rgb[2] = detail::luma(rgb);
    }
}

/// Replaces pixels at or above the threshold by 255 − pixel.
inline void solarize(Image& image, int threshold = 128) {
    detail::map_bytes(image, [=](int v) { return static_cast<std::uint8_t>(v >= threshold ? 255 - v : v); });
}

}  // namespace doppel::image
