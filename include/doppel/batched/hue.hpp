// SPDX-License-Identifier: Apache-2.0
// The rotation of the hue of each image of a batch.
#pragma once

#include <doppel/core/tensor.hpp>
#include <doppel/image/color.hpp>
#include <doppel/image/planar_color.hpp>

#include <ATen/ops/add.h>
#include <ATen/ops/full.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/take.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace doppel::batched {

/// What a hue is looked up in, on the device of the images.
struct HueTables {
    Tensor hue;      ///< [512] int64: Pillow's hue byte, of a hue that was rounded down, + 256 where it was an integer
    Tensor fades;    ///< [3, 256]: how far each channel is below the value at a hue, in 1/255
    Tensor divisor;  ///< 255²; a tensor, since a device multiplies by the rounded reciprocal of a number

    explicit HueTables(at::Device device) {
        std::vector<std::int64_t> hues;
        for (int i = 0; i < 512; ++i) hues.push_back(i % 256 - (i < 256 ? 0 : image::hue_shortfall[i % 256]));
        std::vector<float> all;
        for (std::size_t channel = 0; channel < 3; ++channel)
            for (std::size_t i = 0; i < 256; ++i) all.push_back(image::hue_fades[i][channel]);
        hue = at::tensor(hues).to(device);
        fades = at::tensor(all).view({3, 256}).to(device);
        divisor = at::full({1}, 65025.0, fades.options());
    }
};

/// Turns the hue of the images x [B, 3, H, W] of which `on` is not 0 by `turn` 1/255 of the circle (both [B, 1, 1, 1]), as
/// image::hue(): floats hold all its integers, and quotients are on the right side of each integer.
inline Tensor turn_hue(const Tensor& x, const Tensor& turn, const Tensor& on, const HueTables& tables) {
    const Tensor r = x.select(1, 0), g = x.select(1, 1), b = x.select(1, 2);  // [B, H, W]
    const Tensor value = at::maximum(at::maximum(r, g), b), chroma = value - at::minimum(at::minimum(r, g), b);
    Tensor sector = at::where(r.eq(value), g - b, at::where(g.eq(value), at::add(b - r, chroma, 2), at::add(r - g, chroma, 4)));
    const Tensor divisor = chroma.mul(6);
    sector.add_(divisor.mul(sector.lt(0)));
    const Tensor dividend = sector.mul_(255);
    const Tensor hue = dividend.div(divisor.clamp_min(1)).floor_();
    const Tensor exact = hue.mul(divisor).eq(dividend);
    const Tensor turned = at::take(tables.hue, at::add(hue, exact, 256).to(at::kLong)).add_(turn.to(at::kLong).view({-1, 1, 1})).bitwise_and_(255);
    const Tensor fade = tables.fades.index_select(1, turned.flatten()).view({3, x.size(0), x.size(2), x.size(3)}).transpose(0, 1);
    const Tensor depth = chroma.mul(255).div_(value.clamp_min(1)).floor_().mul_(value);  // 0 for gray, which has no hue
    const Tensor less = depth.unsqueeze(1).mul(fade).add_(32512).div_(tables.divisor).floor_();  // [B, 3, H, W]
    return at::where(on.ne(0), value.unsqueeze(1) - less, x);
}

}  // namespace doppel::batched
