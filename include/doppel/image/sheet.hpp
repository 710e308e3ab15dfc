// SPDX-License-Identifier: Apache-2.0
// Many images in one.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/channels.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace doppel::image {

/// Arranges images of equal size in rows, with `gap` white pixels in between.
inline Image sheet(const std::vector<std::vector<Image>>& rows, int gap = 4) {
    require(!rows.empty() && !rows.front().empty(), "sheet: needs at least one image");
    const int w = rows.front().front().width, h = rows.front().front().height;
    std::size_t columns = 0;
    for (const auto& row : rows) columns = std::max(columns, row.size());
    Image all(static_cast<int>(columns) * (w + gap) - gap, static_cast<int>(rows.size()) * (h + gap) - gap, 3);
    std::fill(all.pixels.begin(), all.pixels.end(), std::uint8_t{255});
    for (std::size_t r = 0; r < rows.size(); ++r)
        for (std::size_t c = 0; c < rows[r].size(); ++c) {
            const Image part = shown(rows[r][c]);
            require(part.width == w && part.height == h, "sheet: images must be ", w, " x ", h, ", got ", part.width,
                    " x ", part.height);
            for (int y = 0; y < h; ++y)
                for (int x = 0; x < w; ++x)
                    for (int k = 0; k < 3; ++k)
                        all.at(static_cast<int>(c) * (w + gap) + x, static_cast<int>(r) * (h + gap) + y)[k] =
                            part.at(x, y)[part.channels == 1 ? 0 : k];
        }
    return all;
}

}  // namespace doppel::image
