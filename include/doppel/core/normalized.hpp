// SPDX-License-Identifier: Apache-2.0
// 8-bit views as the normalized floats that a network takes.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/normalize.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <cstddef>
#include <cstdint>

namespace doppel {

namespace detail {

/// On the CPU: normalizes, casts and lays out in one pass over the pixels.
inline Tensor normalized_on_cpu(const Tensor& views, const Normalize& by, at::MemoryFormat format) {
    const Tensor bytes = views.contiguous();
    const Tensor result = at::empty(bytes.sizes(), bytes.options().dtype(at::kFloat).memory_format(format));
    const NormalizeTable table(by);
    const std::int64_t channels = bytes.size(1), pixels = bytes.size(2) * bytes.size(3);
    const std::uint8_t* const from = bytes.const_data_ptr<std::uint8_t>();
    float* const to = result.mutable_data_ptr<float>();
    const std::int64_t step = format == at::MemoryFormat::ChannelsLast ? channels : 1;
    at::parallel_for(0, bytes.size(0), 1, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t n = first; n < last; ++n)
            for (std::int64_t c = 0; c < channels; ++c) {
                const std::uint8_t* const in = from + (n * channels + c) * pixels;
                float* const out = to + n * channels * pixels + (step == 1 ? c * pixels : c);
                for (std::int64_t i = 0; i < pixels; ++i) out[i * step] = table.at(static_cast<std::size_t>(c), in[i]);
            }
    });
    return result;
}

}  // namespace detail

/// Returns (x/255 − mean) / std of 8-bit views [B, C, H, W] as float32 in the given format, on the views' device. No value
/// is copied to or from the device. Views of another type are only laid out.
inline Tensor normalized(const Tensor& views, const Normalize& by, at::MemoryFormat format) {
    if (views.scalar_type() != at::kByte) return views.contiguous(format);
    require(views.dim() == 4, "normalized: views must be [images, channels, height, width], got ", views.sizes());
    require(views.size(1) <= by.channels() || views.size(1) == 1, "normalized: views have ", views.size(1), " channels, mean and deviation ",
            by.channels());
    if (views.device().is_cpu()) return detail::normalized_on_cpu(views, by, format);
    by.check();
    Tensor result = views.to(views.options().dtype(at::kFloat), false, false, format).div_(255);
    for (std::int64_t c = 0; c < result.size(1); ++c) {
        const auto channel = static_cast<std::size_t>(c);
        result.select(1, c).sub_(static_cast<float>(by.mean[channel])).div_(static_cast<float>(by.std[channel]));
    }
    return result;
}

}  // namespace doppel
