// SPDX-License-Identifier: Apache-2.0
// Images in a page: data URIs, shrunk if large.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/eval/detail/html.hpp>
#include <doppel/image/channels.hpp>
#include <doppel/image/encode.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace doppel::eval::detail {

/// Encodes bytes as base64 (RFC 4648).
inline std::string base64(std::span<const std::uint8_t> bytes) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const auto left = std::min<std::size_t>(bytes.size() - at, 3);
        std::uint32_t group = 0;
        for (std::size_t i = 0; i < 3; ++i) group = group << 8 | (i < left ? bytes[at + i] : std::uint8_t{0});
        for (std::size_t i = 0; i < 4; ++i) out += i <= left ? digits[group >> (18 - 6 * i) & 63] : '=';
    }
    return out;
}

/// The longest side of an image that a page shows pixel by pixel, without loss.
inline constexpr int exact_side = 72;

/// Returns the image as a data URI: PNG up to exact_side and in builds without JPEG, else JPEG.
inline std::string data_uri(const Image& image, int quality = 85) {
#if DOPPEL_JPEG
    if (std::max(image.width, image.height) > exact_side)
        return "data:image/jpeg;base64," + base64(image::encode_jpeg(image, quality));
#else
    static_cast<void>(quality);
#endif
    return "data:image/png;base64," + base64(image::encode_png(image));
}

/// Returns the image with sides of at most `most`, shrunk by an integer factor (the mean of each square).
inline Image thumbnail(const Image& image, int most) {
    const int factor = (std::max(image.width, image.height) + most - 1) / most;
    if (factor <= 1) return image;
    Image small(std::max(image.width / factor, 1), std::max(image.height / factor, 1), image.channels);
    for (int y = 0; y < small.height; ++y)
        for (int x = 0; x < small.width; ++x)
            for (int channel = 0; channel < image.channels; ++channel) {
                int sum = 0, count = 0;
                for (int row = y * factor; row < std::min((y + 1) * factor, image.height); ++row)
                    for (int column = x * factor; column < std::min((x + 1) * factor, image.width); ++column, ++count)
                        sum += image.at(column, row)[channel];
                small.at(x, y)[channel] = static_cast<std::uint8_t>((sum + count / 2) / count);
            }
    return small;
}

/// Throws Error for an image without pixels, or with another number of them than its size says.
inline void require_pixels(const Image& image) {
    const bool valid = image.width > 0 && image.height > 0 && image.channels > 0 &&
                       image.pixels.size() == static_cast<std::size_t>(image.width) *
                                                  static_cast<std::size_t>(image.height) *
                                                  static_cast<std::size_t>(image.channels);
    require(valid, "write_report: an image of ", image.width, " x ", image.height, " x ", image.channels, " with ",
            image.pixels.size(), " bytes, expected height * width * channels bytes");
}

/// Returns a self-contained <img>. Small images are enlarged without smoothing.
inline std::string image_tag(const Image& image, std::string_view description) {
    require_pixels(image);
    const auto small = thumbnail(image::shown(image), 160);
    return "<img" + std::string(std::max(small.width, small.height) <= exact_side ? " class=\"px\"" : "") + " alt=\"" +
           escaped(description) + "\" width=\"" + std::to_string(small.width) + "\" height=\"" +
           std::to_string(small.height) + "\" src=\"" + data_uri(small) + "\">";
}

}  // namespace doppel::eval::detail
