// SPDX-License-Identifier: Apache-2.0
// A crop and resize of each image of a batch.
#pragma once

#include <doppel/batched/weights.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/image/resize.hpp>

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/where.h>

#include <cstdint>

namespace doppel::batched {

/// Returns the weights [B, 2, out, in] of a resize along x and y: of each image the part that begins at `start` [B, 2] and has
/// `length` [B, 2] pixels, to `out` pixels; float64, in fixed point with image::weight_bits, as those of image::resize.
inline Tensor resize_weights(image::Filter filter, const Tensor& start, const Tensor& length, std::int64_t in, std::int64_t out) {
    const bool cubic = filter == image::Filter::bicubic;
    const auto options = length.options();
    const Tensor extent = length.view({-1, 2, 1, 1}), scale = extent / at::full({1}, static_cast<double>(out), options);
    const Tensor widening = scale.clamp_min(1), support = widening.mul(cubic ? 2 : 1);
    const Tensor center = scale * at::arange(0.5, static_cast<double>(out), options).view({out, 1});         // [B, 2, out, 1]
    const Tensor place = at::arange(static_cast<double>(in), options) - start.view({-1, 2, 1, 1});           // [B, 2, 1, in]
    const Tensor first = center.sub(support).add_(0.5).trunc_().clamp_min_(0);
    const Tensor end = at::minimum(center.add(support).add_(0.5).trunc_(), extent);
    const Tensor x = place.sub(center).add_(0.5).mul_(widening.reciprocal()).abs_();                          // [B, 2, out, in]
    Tensor weight = cubic ? at::where(x.lt(1), x.mul(1.5).sub_(2.5).mul_(x).mul_(x).add_(1),
                                      x.mul(-0.5).add_(2.5).mul_(x).sub_(4).mul_(x).add_(2))
                          : x.neg().add_(1).clamp_min_(0);
    weight.mul_(place.ge(first).mul_(place.lt(end)));
    const Tensor unit = weight.sum(3, true).reciprocal_();
    return weight.mul_(unit).mul_(1 << image::weight_bits).round_();
}

/// Crops and resizes: `parts` [B, 4] has left, width, top and height of each image of x [B, C, H, W]; float32 with values of 8
/// bits. The result [B, C, size, size] has the pixels of image::resized_crop.
inline Tensor resized_crop(const Tensor& x, const Tensor& parts, std::int64_t size, image::Filter filter) {
    const Tensor pairs = parts.view({-1, 2, 2});  // [B, axis, start and length]
    const std::int64_t height = x.size(2), width = x.size(3);
    const Tensor weights = resize_weights(filter, pairs.select(2, 0), pairs.select(2, 1), std::max(width, height), size);
    constexpr int bits = image::weight_bits;
    const FixedWeights across(weights.select(1, 0).narrow(2, 0, width), bits, bits / 2, true);
    const FixedWeights down(weights.select(1, 1).narrow(2, 0, height), bits, bits / 2, true);
    return along_both(x, {across}, {down});
}

}  // namespace doppel::batched
