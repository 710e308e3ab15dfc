// SPDX-License-Identifier: Apache-2.0
// Folders of pictures, as a user has them.
#pragma once

#include <doppel/image/write_png.hpp>

#include <cstdint>
#include <filesystem>
#include <string>

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

}  // namespace doppel::test
