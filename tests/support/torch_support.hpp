// SPDX-License-Identifier: Apache-2.0
// What test files on tensors include: a tiny network, values by formula, comparisons.
#pragma once

// Torch before Catch2: both define CHECK, and the later one counts.
#include <doppel/core/batch.hpp>
#include <doppel/core/module.hpp>

#include <torch/optim.h>

#include "support/support.hpp"

#include <cmath>
#include <string>
#include <vector>

namespace doppel::test {

/// Values that any language makes alike: sin(a·i + b), i = 0, 1, …
inline Tensor wave(at::IntArrayRef shape, double a = 0.7, double b = 0.3, at::ScalarType type = at::kDouble) {
    const auto count = c10::multiply_integers(shape);
    return (at::arange(count, at::kDouble) * a + b).sin().reshape(shape).to(type);
}

/// A wave that gets faster: as a matrix it has full rank, where wave() has rank two.
inline Tensor chirp(at::IntArrayRef shape, double a, double b, at::ScalarType type = at::kDouble) {
    const Tensor i = at::arange(c10::multiply_integers(shape), at::kDouble);
    return (i * i * a + i * b + b).sin().reshape(shape).to(type);
}

inline Tensor unit(const Tensor& x) { return x / x.norm(2, 1, true); }

/// A copy that asks for a gradient.
inline Tensor leaf(const Tensor& x) { return x.detach().clone().set_requires_grad(true); }
inline Tensor leaf(const Tensor& x, at::ScalarType type) { return leaf(x.to(type)); }

/// A matrix as plain numbers, for definitions that are followed one number at a time.
using Rows = std::vector<std::vector<double>>;
inline Rows numbers(const Tensor& x) {
    const Tensor wide = x.detach().to(at::kDouble).contiguous();
    Rows rows;
    for (std::int64_t i = 0; i < wide.size(0); ++i)
        rows.emplace_back(wide.data_ptr<double>() + i * wide.size(1), wide.data_ptr<double>() + (i + 1) * wide.size(1));
    return rows;
}

/// A user's encoder: an ordinary module without clone() or reset().
struct TinyNetImpl : torch::nn::Module {
    torch::nn::Conv2d conv{nullptr};
    torch::nn::BatchNorm2d bn{nullptr};
    explicit TinyNetImpl(std::int64_t width = 8) {
        conv = register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, width, 3).stride(2)));
        bn = register_module("bn", torch::nn::BatchNorm2d(width));
    }
    Tensor forward(const Tensor& x) { return at::relu(bn(conv(x))).mean({2, 3}); }
    std::int64_t feature_dim() const { return conv->options.out_channels(); }
};
TORCH_MODULE(TinyNet);

inline auto tiny() {
    return [] { return TinyNet(8); };
}

/// Two views (and `locals` smaller ones) of n images, by formula.
inline Batch batch_of(std::int64_t n, double shift = 0, int locals = 0) {
    Batch batch;
    for (int v = 0; v < 2; ++v) batch.views.push_back(wave({n, 3, 12, 12}, 0.37 + 0.011 * v, shift, at::kFloat));
    for (int v = 0; v < locals; ++v) batch.views.push_back(wave({n, 3, 8, 8}, 0.53 + 0.013 * v, shift, at::kFloat));
    batch.index = at::arange(n, at::kLong);
    batch.label = at::arange(n, at::kLong).remainder(3);
    return batch;
}

inline double largest_difference(const Tensor& a, const Tensor& b) { return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>(); }

inline bool bit_equal(const Tensor& a, const Tensor& b) { return a.sizes() == b.sizes() && a.dtype() == b.dtype() && at::equal(a, b); }

/// Central differences of a scalar function in float64.
template <class Function>
Tensor numeric_gradient(Function&& f, const Tensor& x, double step = 1e-5) {
    Tensor gradient = at::zeros_like(x);
    auto *values = x.data_ptr<double>(), *out = gradient.data_ptr<double>();
    for (std::int64_t i = 0; i < x.numel(); ++i) {
        const double before = values[i];
        values[i] = before + step;
        const double above = f(x).template item<double>();
        values[i] = before - step;
        const double below = f(x).template item<double>();
        values[i] = before;
        out[i] = (above - below) / (2 * step);
    }
    return gradient;
}

}  // namespace doppel::test
