// SPDX-License-Identifier: Apache-2.0
// Gaussian blur of each image of a batch, with a deviation of its own.
#pragma once

#include <doppel/augment/gaussian_blur.hpp>
#include <doppel/batched/weights.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/image/blur.hpp>

#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

namespace doppel::batched {

/// The blur of augment::GaussianBlur, by matrix products: the weights of a line of pixels depend on σ alone, and pixels
/// outside the image are folded into it.
///
///     batched::Blur blur({.p = 1, .sigma = {0.1, 2}}, device);
///     Tensor soft = blur(x, parameters);  // x [B, C, H, W] float32 with values of 8 bits
class Blur {
public:
    Blur(const augment::GaussianBlur& blur, at::Device device)
        : boxes_(blur.kind == image::Blur::boxes),
          reach_(boxes_ ? image::FractionalBox::for_sigma(static_cast<float>(blur.sigma.high)).radius + 1
                        : static_cast<std::int64_t>(std::ceil(4 * blur.sigma.high))),
          device_(device) {}

    /// `parameters` as augment::BatchedPlan draws them: σ [B, 1], or radius, inner and outer weight of a box [B, 3]; float64.
    Tensor operator()(const Tensor& x, const Tensor& parameters) {
        const Tensor taps = boxes_ ? box_taps(parameters) : gaussian_taps(parameters);  // [B, 2 reach + 1]
        if (boxes_) {
            const auto passes = [&](std::int64_t n) {
                return std::vector(3, FixedWeights(matrix(taps, n), 24, 12));
            };
            const auto across = passes(x.size(3));
            return along_both(x, across, x.size(2) == x.size(3) ? across : passes(x.size(2)));
        }
        constexpr int bits = image::gaussian_bits;
        const Tensor across = matrix(taps, x.size(3)), down = x.size(2) == x.size(3) ? across : matrix(taps, x.size(2));
        return along_both(x, {FixedWeights(across, bits - 7, bits - 7)}, {FixedWeights(down, bits + 7, 7)});
    }

    std::int64_t columns() const { return boxes_ ? 3 : 1; }  ///< of its parameters

private:
    Tensor offsets(const Tensor& like) const { return at::arange(-static_cast<double>(reach_), static_cast<double>(reach_) + 0.5, like.options()); }

    /// σ = 0 leaves one weight.
    Tensor gaussian_taps(const Tensor& sigma) const {
        const Tensor at = offsets(sigma), inside = at.abs().le(sigma.mul(4).ceil_());
        const Tensor far = at / at::where(sigma.gt(0), sigma, 1.0);
        const Tensor bell = far.mul(-0.5).mul_(far).exp_().mul_(inside);
        Tensor taps = bell.div_(bell.sum(1, true)).mul_(1 << image::gaussian_bits).round_();
        taps.select(1, reach_).sub_(taps.sum(1).sub_(1 << image::gaussian_bits));
        return taps;
    }

    Tensor box_taps(const Tensor& box) const {
        const Tensor beyond = offsets(box).abs().sub(box.narrow(1, 0, 1));
        return box.narrow(1, 1, 1).mul(beyond.le(0)).add_(box.narrow(1, 2, 1).mul(beyond.eq(1)));
    }

    /// The weights of all pixels of a line of n [B, n, n].
    Tensor matrix(const Tensor& taps, std::int64_t n) {
        const std::int64_t images = taps.size(0), count = taps.size(1);
        Tensor weights = at::zeros({images, n, n}, taps.options());
        return weights.scatter_add_(2, places(n).expand({images, n, count}), taps.unsqueeze(1).expand({images, n, count}));
    }

    /// Where the taps of each pixel fall [n, 2 reach + 1].
    const Tensor& places(std::int64_t n) {
        Tensor& found = places_[n];
        if (found.defined()) return found;
        std::vector<std::int64_t> all;
        for (std::int64_t i = 0; i < n; ++i)
            for (std::int64_t t = -reach_; t <= reach_; ++t)
                all.push_back(boxes_ ? std::clamp<std::int64_t>(i + t, 0, n - 1)
                                     : image::reflected(static_cast<int>(i + t), static_cast<int>(n)));
        return found = at::tensor(all).view({n, 2 * reach_ + 1}).to(device_);
    }

    bool boxes_;
    std::int64_t reach_;
    at::Device device_;
    std::map<std::int64_t, Tensor> places_;
};

}  // namespace doppel::batched
