// SPDX-License-Identifier: Apache-2.0
// Encodes images as PNG or JPEG.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/image.hpp>
#if DOPPEL_JPEG
#include <doppel/image/detail/jpeg.hpp>
#endif

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

#include <zlib.h>

namespace doppel::image {

namespace detail {

inline void require_valid(const Image& image, std::string_view who) {
    const bool sized = image.width > 0 && image.height > 0 && (image.channels == 1 || image.channels == 3);
    const std::size_t row =
        sized ? static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.channels) : 0;
    require(sized && image.pixels.size() == row * static_cast<std::size_t>(image.height), who, ": an image of ",
            image.width, " x ", image.height, " x ", image.channels, " with ", image.pixels.size(),
            " bytes, expected height * width * channels bytes, channels 1 or 3");
}

inline void append_number(std::vector<std::uint8_t>& out, std::size_t value) {
    for (int shift : {24, 16, 8, 0}) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

/// Appends length, name, data, and the CRC of name and data.
inline void append_png_chunk(std::vector<std::uint8_t>& out, std::string_view name,
                             std::span<const std::uint8_t> data) {
    append_number(out, data.size());
    const std::size_t start = out.size();
    out.insert(out.end(), name.begin(), name.end());
    out.insert(out.end(), data.begin(), data.end());
    append_number(out, crc32_z(0, out.data() + start, out.size() - start));
}

/// PNG's prediction of a byte from the ones to the left, above, and above left (filter types 0 to 4).
inline int png_prediction(int type, int left, int above, int corner) {
    if (type < 3) return type == 0 ? 0 : type == 1 ? left : above;
    if (type == 3) return (left + above) / 2;
    const int by_left = std::abs(above - corner), by_above = std::abs(left - corner);
    const int by_corner = std::abs(left + above - 2 * corner);
    return by_left <= by_above && by_left <= by_corner ? left : by_above <= by_corner ? above : corner;
}

/// Filters each row with the filter that has the smallest sum of absolute differences (PNG specification, 12.8).
inline std::vector<std::uint8_t> filtered_rows(const Image& image) {
    const std::size_t row = static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.channels);
    const std::size_t step = static_cast<std::size_t>(image.channels);
    std::vector<std::uint8_t> out, candidate(row + 1), best(row + 1);
    out.reserve((row + 1) * static_cast<std::size_t>(image.height));
    for (int y = 0; y < image.height; ++y) {
        const std::uint8_t* here = image.at(0, y);
        const std::uint8_t* over = y > 0 ? image.at(0, y - 1) : nullptr;
        std::size_t least = SIZE_MAX;
        for (int type = 0; type < 5; ++type) {
            candidate[0] = static_cast<std::uint8_t>(type);
            std::size_t sum = 0;
            for (std::size_t i = 0; i < row; ++i) {
                const bool first = i < step;
                const int guess = png_prediction(type, first ? 0 : here[i - step], over ? over[i] : 0,
                                                 first || !over ? 0 : over[i - step]);
                const auto rest = static_cast<std::uint8_t>(here[i] - guess);
                candidate[i + 1] = rest;
                sum += rest < 128 ? rest : std::size_t{256} - rest;
            }
            if (sum < least) {
                least = sum;
                best.swap(candidate);
            }
        }
        out.insert(out.end(), best.begin(), best.end());
    }
    return out;
}

}  // namespace detail

/// Encodes the image as PNG, 8-bit gray or RGB.
/// Throws Error if the number of pixels does not match the size.
///
///     auto bytes = image::encode_png(photo);
inline std::vector<std::uint8_t> encode_png(const Image& image) {
    detail::require_valid(image, "encode_png");
    std::vector<std::uint8_t> header;
    detail::append_number(header, static_cast<std::size_t>(image.width));
    detail::append_number(header, static_cast<std::size_t>(image.height));
    const std::uint8_t kind[] = {8, static_cast<std::uint8_t>(image.channels == 1 ? 0 : 2), 0, 0, 0};  // bits, color
    header.insert(header.end(), kind, kind + 5);

    const auto rows = detail::filtered_rows(image);
    auto size = compressBound(static_cast<uLong>(rows.size()));
    std::vector<std::uint8_t> packed(size);
    const int status = compress2(packed.data(), &size, rows.data(), static_cast<uLong>(rows.size()), 6);
    require(status == Z_OK && size <= 0x7FFFFFFF, "encode_png: zlib cannot compress ", rows.size(), " bytes");
    packed.resize(size);

    std::vector<std::uint8_t> out = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    detail::append_png_chunk(out, "IHDR", header);
    detail::append_png_chunk(out, "IDAT", packed);
    detail::append_png_chunk(out, "IEND", {});
    return out;
}

/// Encodes the image as baseline JPEG, RGB with chroma at half the resolution; quality is libjpeg's, 1 … 100.
/// Throws Error if the number of pixels does not match the size, for other qualities, and in a build without
/// libjpeg-turbo.
inline std::vector<std::uint8_t> encode_jpeg(const Image& image, int quality) {
    detail::require_valid(image, "encode_jpeg");
    require(quality >= 1 && quality <= 100, "encode_jpeg: quality must be 1 to 100, got ", quality);
#if DOPPEL_JPEG
    return detail::JpegEncoder().encode(image, quality);
#else
    fail("encode_jpeg: this build has no JPEG support: install libjpeg-turbo and rebuild");
#endif
}

}  // namespace doppel::image
