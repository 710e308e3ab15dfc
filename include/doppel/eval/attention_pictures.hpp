// SPDX-License-Identifier: Apache-2.0
// Pictures of attention maps.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/image/channels.hpp>
#include <doppel/image/image.hpp>

#include <ATen/ops/upsample_bilinear2d.h>

#include <algorithm>
#include <cstdint>

namespace doppel::eval {

/// Returns an image with an attention map [rows, columns] as a heat map over the image in gray, brightest at the map's
/// largest value.
inline Image attention_picture(const Image& source, const Tensor& map) {
    const Image image = image::shown(source);
    require(map.dim() == 2 && map.numel() > 0, "attention_picture: the map must be [rows, columns], got ", map.sizes());
    const Tensor relative = (map / map.max().clamp_min(1e-12)).to(at::kFloat);
    const Tensor large = at::upsample_bilinear2d(relative.unsqueeze(0).unsqueeze(0), {image.height, image.width},
                                                 /*align_corners=*/false)
                             .contiguous();
    const float* heat = large.const_data_ptr<float>();
    Image result(image.width, image.height, 3);
    for (int y = 0; y < image.height; ++y)
        for (int x = 0; x < image.width; ++x) {
            const auto* from = image.at(x, y);
            const float gray = image.channels == 1
                                   ? static_cast<float>(from[0])
                                   : static_cast<float>(from[0] * 299 + from[1] * 587 + from[2] * 114) / 1000;
            const float h = std::clamp(*heat++, 0.0f, 1.0f);
            auto* to = result.at(x, y);
            for (int c = 0; c < 3; ++c) {
                const float heat_color = 255 * std::clamp(3 * h - static_cast<float>(c), 0.0f, 1.0f);  // black to white
                to[c] = static_cast<std::uint8_t>(0.45f * gray + 0.55f * heat_color);
            }
        }
    return result;
}

}  // namespace doppel::eval
