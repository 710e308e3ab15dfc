// SPDX-License-Identifier: Apache-2.0
// Linear classifiers that are trained together on the same features.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cstdint>

namespace doppel::eval {

struct LinearHeadsOptions {
    std::int64_t heads = 1;     ///< H, number of classifiers, ≥ 1
    std::int64_t classes = 2;   ///< C, ≥ 1
    std::int64_t features = 1;  ///< F, ≥ 1
    double momentum = 0.9;      ///< of SGD, from 0 to below 1
    double spread = 0.01;       ///< standard deviation of the first weights, the same in all heads; 0: zeros
    std::uint64_t seed = 0;     ///< of the first weights
};

/// H linear classifiers with softmax on the same features, each trained by SGD with its own learning rate:
///
///     loss_h = Σ_n u_hn · −log softmax(W_h x_n + b_h)[y_n] / Σ_n u_hn
///     v_h ← momentum · v_h + ∂loss_h,   (W_h, b_h) ← (W_h, b_h) − lr_h · v_h
///
/// No weight decay. The gradient (softmax − one-hot) xᵀ is computed directly, without a graph, so nothing can reach the
/// network that the features come from. First weights N(0, spread²) by `seed`, without a draw from torch's generators;
/// biases 0. A step with a feature that is not finite changes nothing and is counted. No device sync.
/// Shapes: rows [B, F] of any floating type, computed in float32; labels [B] int64, from 0 to C − 1.
///
///     eval::LinearHeads heads({.heads = 3, .classes = 10, .features = 512}, device);
///     heads.step(rows, labels, at::tensor({0.1, 1.0, 10.0}, at::kFloat));
class LinearHeads {
public:
    LinearHeads() = default;
    explicit LinearHeads(const LinearHeadsOptions& options, at::Device device = at::kCPU) : options_(options) {
        const auto& [heads, classes, features, momentum, spread, seed] = options_;
        require(heads >= 1 && classes >= 1 && features >= 1,
                "LinearHeads: heads, classes and features must be at least 1, got ", heads, ", ", classes, " and ",
                features);
        require(momentum >= 0 && momentum < 1, "LinearHeads: momentum must be from 0 to below 1, got ", momentum);
        const at::NoGradGuard no_grad;
        Tensor first = at::zeros({classes, features});
        if (spread > 0) first.normal_(0, spread, at::detail::createCPUGenerator(seed));
        weight = first.unsqueeze(0).repeat({heads, 1, 1}).to(device);
        bias = at::zeros({heads, classes}, weight.options());
        weight_velocity = at::zeros_like(weight);
        bias_velocity = at::zeros_like(bias);
        left_out = at::zeros({}, weight.options().dtype(at::kLong));
    }

    /// What the heads made of a batch before they learned from it.
    struct Seen {
        Tensor loss;   ///< [H], weighted mean over the images
        Tensor right;  ///< [H] int64, images whose class had the highest score
    };

    /// Takes a step with the learning rates [H], float32 on the device. `use` [H, B] weights each image for each head;
    /// undefined: 1 throughout.
    Seen step(const Tensor& rows, const Tensor& labels, const Tensor& rates, const Tensor& use = {}) {
        const at::NoGradGuard no_grad;
        const Autocast float32(weight.device().type(), Precision::fp32);
        require(rows.dim() == 2 && rows.size(1) == options_.features && rows.size(0) >= 1,
                "LinearHeads: rows must be [B, ", options_.features, "], got ", rows.sizes());
        const std::int64_t heads = options_.heads, images = rows.size(0);
        const Tensor finite = at::isfinite(rows).all();
        const Tensor x = at::where(finite, rows, at::zeros_like(rows)).to(at::kFloat);  // [B, F]
        const Tensor target = labels.view({images, 1, 1}).expand({images, heads, 1});   // [B, H, 1]
        const Tensor logits = at::addmm(bias.flatten(), x, weight.flatten(0, 1).t()).view({images, heads, -1});
        const Tensor log_p = logits.log_softmax(2);  // [B, H, C]
        const Tensor on = finite.to(at::kFloat);
        Tensor share = on / static_cast<double>(images);
        if (use.defined()) share = on * (use / use.sum(1, true).clamp_min(1e-12)).t().unsqueeze(2);  // [B, H, 1]
        const Tensor error = -log_p.gather(2, target);                                               // [B, H, 1]
        Seen seen{.loss = (error * share).sum(at::IntArrayRef{0, 2}),
                  .right = (logits.argmax(2) == labels.unsqueeze(1)).sum(0)};
        Tensor slope = log_p.exp();
        slope.scatter_add_(2, target, at::full_like(error, -1));
        slope.mul_(share);
        const Tensor keep = 1 - (1 - options_.momentum) * on;
        weight_velocity.mul_(keep).add_(slope.flatten(1).t().mm(x).view_as(weight));
        bias_velocity.mul_(keep).add_(slope.sum(0));
        const Tensor rate = rates.to(weight.options()) * on;  // [H]
        weight.addcmul_(weight_velocity, rate.view({heads, 1, 1}), -1);
        bias.addcmul_(bias_velocity, rate.view({heads, 1}), -1);
        left_out += finite.logical_not();
        return seen;
    }

    /// Returns the scores of one head: rows [N, F] → [N, C].
    Tensor scores(const Tensor& rows, std::int64_t head = 0) const {
        const at::NoGradGuard no_grad;
        const Autocast float32(weight.device().type(), Precision::fp32);
        return at::addmm(bias[head], rows.to(at::kFloat), weight[head].t());
    }

    const LinearHeadsOptions& options() const { return options_; }

    Tensor weight, bias;                    ///< [H, C, F], [H, C], float32
    Tensor weight_velocity, bias_velocity;  ///< momentum
    Tensor left_out;                        ///< [] int64: steps with a feature that was not finite

private:
    LinearHeadsOptions options_{};
};

}  // namespace doppel::eval
