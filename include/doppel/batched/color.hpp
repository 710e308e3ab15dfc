// SPDX-License-Identifier: Apache-2.0
// Color adjustments of each image of a batch, on float32 tensors [B, C, H, W] whose values have 8 bits.
#pragma once

#include <doppel/augment/batched_plan.hpp>
#include <doppel/augment/color_jitter.hpp>
#include <doppel/batched/hue.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/ops/full.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/where.h>

#include <cstddef>
#include <cstdint>

namespace doppel::batched {

/// Returns the luma [B, 1, H, W] of RGB. All sums are exact.
inline Tensor luma(const Tensor& x) {
    Tensor sum = x.narrow(1, 0, 1).mul(19595 / 65536.0);
    sum.add_(x.narrow(1, 1, 1), 38470 / 65536.0).add_(x.narrow(1, 2, 1), 7471 / 65536.0);
    return sum.add_(0.5).floor_();
}

/// Sets the images of which `on` [B, 1, 1, 1] is true to their luma, unless they have no colors.
inline Tensor grayscale(const Tensor& x, const Tensor& on) { return x.size(1) == 3 ? at::where(on, luma(x), x) : x; }

/// Inverts pixels at or above the threshold [B, 1, 1, 1].
inline Tensor solarize(const Tensor& x, const Tensor& threshold) { return at::where(x.ge(threshold), x.neg().add_(255), x); }

/// Mirrors the images of which `on` [B, 1, 1, 1] is true.
inline Tensor flip(const Tensor& x, const Tensor& on) { return at::where(on, x.flip(3), x); }

/// Applies augment::ColorJitter; `parameters` [B, columns] are those of augment::JitterSlots, float32. Product and sum of a blend
/// are rounded one after the other, as on the CPU.
inline Tensor color_jitter(Tensor x, const augment::ColorJitter& jitter, const Tensor& parameters, const HueTables& tables) {
    using augment::JitterSlots;
    const JitterSlots slots(jitter, static_cast<int>(x.size(1)));
    const auto column = [&](std::size_t c) { return parameters.select(1, static_cast<std::int64_t>(c)).view({-1, 1, 1, 1}); };
    const bool colors = x.size(1) == 3;
    const Tensor values = at::full({1}, static_cast<double>(x.size(2) * x.size(3) * (colors ? 1 : x.size(1))),
                                   x.options().dtype(at::kDouble));
    for (std::size_t s = 0; s <= slots.slots; ++s) {
        if (slots.hue && s == slots.before) x = turn_hue(x, column(slots.hue_column()), column(slots.hue_column() + 1), tables);
        if (s == slots.slots) break;
        const std::size_t at = s * JitterSlots::columns_per_slot;
        Tensor gray = colors ? luma(x) : x;
        const Tensor mean = gray.sum({1, 2, 3}, true, at::kDouble).div_(values).add_(0.5).floor_().mul_(column(at + 2)).to(at::kFloat);
        const Tensor with = colors ? gray.mul_(column(at + 1)).add_(mean) : mean;
        x = at::sub(x, with).mul_(column(at)).add_(with).clamp_(0, 255).floor_();
    }
    return x;
}

}  // namespace doppel::batched
