// SPDX-License-Identifier: Apache-2.0
// Pictures by formula, folders of them, and which formats this build reads.
#pragma once

#include <doppel/image/crop.hpp>
#include <doppel/image/decode.hpp>
#include <doppel/image/write_png.hpp>

#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>

namespace doppel::test {

/// Writes `count` PNG files, 100.png, 101.png, …, of 20 x 16 pixels that all differ; another `shade` is another set.
inline void save_images(const std::filesystem::path& folder, int count, int shade = 0) {
    std::filesystem::create_directories(folder);
    for (int i = 0; i < count; ++i) {
        Image image(20, 16, 3);
        for (std::size_t p = 0; p < image.pixels.size(); ++p)
            image.pixels[p] = static_cast<std::uint8_t>((p * static_cast<std::size_t>(7 + i) + static_cast<std::size_t>(shade)) % 251);
        image::write_png(folder / (std::to_string(100 + i) + ".png"), image);
    }
}

inline Image gradient(int width, int height, int channels) {
    Image image(width, height, channels);
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
            for (int c = 0; c < channels; ++c) image.at(x, y)[c] = static_cast<std::uint8_t>(3 * x + 5 * y + 40 * c);
    return image;
}

/// Edges and noise: neighbors differ in every channel.
inline Image busy(int width, int height, int channels) {
    std::minstd_rand random(static_cast<unsigned>(width * 1000 + height));
    Image image(width, height, channels);
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
            for (int c = 0; c < channels; ++c)
                image.at(x, y)[c] = static_cast<std::uint8_t>((x / 5 + y / 7 + c) % 3 * 90 + static_cast<int>(random() % 70));
    return image;
}

/// A region that lies inside an image of that size.
inline image::Rect random_part(std::minstd_rand& random, int width, int height) {
    const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    image::Rect part{.width = 1 + below(width), .height = 1 + below(height)};
    part.left = below(width - part.width + 1), part.top = below(height - part.height + 1);
    return part;
}

/// Whether a file whose name begins with its format can be decoded here.
inline bool readable(std::string_view name) {
#if !DOPPEL_JPEG
    if (name.starts_with("jpeg")) return false;
#endif
#if !DOPPEL_PNG
    if (name.starts_with("png")) return false;
#endif
#if !DOPPEL_WEBP
    if (name.starts_with("webp")) return false;
#endif
    return !name.empty();
}

}  // namespace doppel::test
