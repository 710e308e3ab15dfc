// SPDX-License-Identifier: Apache-2.0
// Many small images in one.
#pragma once

#include <doppel/eval/detail/picture.hpp>
#include <doppel/image/channels.hpp>
#include <doppel/image/image.hpp>
#include <doppel/image/resize.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace doppel::eval::detail {

/// Squares of one size in rows: image i is in column i % columns of row i / columns, centered on gray.
struct Sprite {
    Image sheet{};
    int side = 0, columns = 0;  ///< side 0: there are no images
};

/// Returns the images as one, RGB; empty images stay gray. The sides are at most 64 pixels, and less for many images, so
/// that 1,500 take about a megabyte as JPEG.
inline Sprite sprite_of(const std::vector<const Image*>& images) {
    const int most = images.size() <= 600 ? 64 : images.size() <= 1500 ? 48 : 32;
    int longest = 0;
    for (const auto* image : images) longest = std::max({longest, image->width, image->height});
    if (longest == 0) return {};
    const int side = longest >= most ? most : std::min(most, (longest + 15) / 16 * 16);  // whole blocks of a JPEG
    Sprite sprite{.sheet = {},
                  .side = side,
                  .columns = static_cast<int>(std::ceil(std::sqrt(static_cast<double>(images.size()))))};
    const int rows = (static_cast<int>(images.size()) + sprite.columns - 1) / sprite.columns;
    sprite.sheet = Image(sprite.columns * side, rows * side, 3);
    std::fill(sprite.sheet.pixels.begin(), sprite.sheet.pixels.end(), std::uint8_t{128});
    for (std::size_t i = 0; i < images.size(); ++i) {
        if (images[i]->width == 0) continue;
        require_pixels(*images[i]);
        auto image = image::with_channels(image::shown(*images[i]), 3);
        if (const int longer = std::max(image.width, image.height); longer > side)
            image = image::resize(image, std::max(1, image.width * side / longer),
                                  std::max(1, image.height * side / longer));
        const int left = static_cast<int>(i) % sprite.columns * side + (side - image.width) / 2;
        const int top = static_cast<int>(i) / sprite.columns * side + (side - image.height) / 2;
        for (int y = 0; y < image.height; ++y)
            std::copy_n(image.at(0, y), image.width * 3, sprite.sheet.at(left, top + y));
    }
    return sprite;
}

}  // namespace doppel::eval::detail
