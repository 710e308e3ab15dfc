// SPDX-License-Identifier: Apache-2.0
// Weighted sums of pixels in fixed point, by matrix products of floats that hold integers.
#pragma once

#include <doppel/core/tensor.hpp>

#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>

#include <cmath>
#include <cstdint>
#include <vector>

namespace doppel::batched {

/// A matrix of weights for each image, in fixed point with `bits` bits, split in two halves: w = high · 2^low + rest. A float
/// holds the sums of each half exactly, in whatever order a device adds, so that they are rounded as integers are.
///
///     FixedWeights half(at::full({1, 1, 2}, 1 << 21), 22, 11);
///     Tensor mean = half(at::tensor({3.0F, 6.0F}).view({1, 2, 1}));  // 5, from 4.5
class FixedWeights {
public:
    /// From weights [B, out, in] that are integers.
    FixedWeights(const Tensor& weights, int bits, int low, bool clamped = false)
        : out_(weights.size(1)), bits_(bits), low_(low), clamped_(clamped) {
        const Tensor high = weights.mul(std::ldexp(1.0, -low)).floor_();
        halves_ = at::cat({high, weights.sub(high, std::ldexp(1.0, low))}, 1).to(at::kFloat);  // [B, 2 out, in]
    }

    std::int64_t out() const { return out_; }

    /// Returns ⌊Σ w · x / 2^bits + 1/2⌋ of x [B, in, n], clamped to 8 bits if asked for.
    Tensor operator()(const Tensor& x) const {
        const Tensor sums = at::bmm(halves_, x);
        const int left = bits_ - low_;
        Tensor result = sums.narrow(1, out_, out_).mul(std::ldexp(1.0, -low_));  // [B, out, n]
        if (left == 0) result.add_(0.5);
        result.floor_().add_(sums.narrow(1, 0, out_));
        if (left > 0) result.mul_(std::ldexp(1.0, -left)).add_(0.5).floor_();
        return clamped_ ? result.clamp_(0, 255) : result;
    }

private:
    Tensor halves_;
    std::int64_t out_;
    int bits_, low_;
    bool clamped_;
};

/// Applies the weights along x one after the other, then those along y: [B, C, H, W] → [B, C, out, out].
inline Tensor along_both(const Tensor& x, const std::vector<FixedWeights>& across, const std::vector<FixedWeights>& down) {
    const std::int64_t images = x.size(0), channels = x.size(1);
    Tensor now = x.reshape({images, channels * x.size(2), x.size(3)}).transpose(1, 2);  // [B, W, C · H]
    for (const FixedWeights& weights : across) now = weights(now);
    const std::int64_t width = now.size(1);
    now = now.reshape({images, width * channels, x.size(2)}).transpose(1, 2);  // [B, H, out · C]
    for (const FixedWeights& weights : down) now = weights(now);
    return now.reshape({images, now.size(1), width, channels}).permute({0, 3, 1, 2}).contiguous();  // [B, C, out, out]
}

}  // namespace doppel::batched
