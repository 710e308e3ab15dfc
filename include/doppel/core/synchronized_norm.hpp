// SPDX-License-Identifier: Apache-2.0
// Batch normalization by the statistics of several processes together.
#pragma once

#include <doppel/core/collectives.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace doppel {

namespace detail {

/// All dimensions but that of the channels.
inline std::vector<std::int64_t> but_channels(const Tensor& x) {
    std::vector<std::int64_t> all{0};
    for (std::int64_t d = 2; d < x.dim(); ++d) all.push_back(d);
    return all;
}

/// [C] as [1, C, 1, 1], to be added to x.
inline Tensor like_channels(const Tensor& values, const Tensor& x) {
    std::vector<std::int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
    shape[1] = values.size(0);
    return values.view(shape);
}

/// Mean, biased variance [C] and number of values a channel [] of all processes: of each its mean, sum of squares about it and
/// count, joined by Chan, Golub and LeVeque's rule. One collective call; the same bits in every process.
struct SharedStatistics {
    Tensor mean, variance, count;

    SharedStatistics(const Tensor& x, const Group& group) {
        const auto channels = x.size(1), values = channels > 0 ? x.numel() / channels : 0;
        const Tensor wide = x.scalar_type() == at::kDouble ? x : x.to(at::kFloat);
        const Tensor own_mean = values > 0 ? wide.mean(but_channels(x)) : at::zeros({channels}, wide.options());
        const Tensor own_squares = values > 0 ? (wide - like_channels(own_mean, x)).square().sum(but_channels(x)) : at::zeros({channels}, wide.options());
        const Tensor own_count = at::full({1}, static_cast<double>(values), wide.options());
        const Tensor all = gather_rows(at::cat({own_mean, own_squares, own_count}).unsqueeze(0), group.with_images({}));  // [W, 2C + 1]
        const Tensor counts = all.narrow(1, 2 * channels, 1), means = all.narrow(1, 0, channels);
        count = counts.sum();
        mean = (means * counts).sum(0) / count;
        variance = (all.narrow(1, channels, channels).sum(0) + ((means - mean).square() * counts).sum(0)) / count;
    }
};

struct SynchronizedNormFunction : torch::autograd::Function<SynchronizedNormFunction> {
    using Optional = std::optional<Tensor>;

    static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x, const Optional& weight, const Optional& bias, const Tensor& mean,
                          const Tensor& variance, const Tensor& count, double eps, const Group& group) {
        const Tensor scale = (variance + eps).rsqrt();
        context->save_for_backward({x, weight.value_or(Tensor{}), mean, scale, count});
        context->saved_data["group"] = c10::IValue::make_capsule(c10::make_intrusive<GatheredFunction::Holder>(group));
        context->saved_data["bias"] = bias.has_value();
        const Tensor factor = weight ? scale * *weight : scale;
        Tensor shift = -mean * factor;
        if (bias) shift = shift + *bias;
        return (x * like_channels(factor, x) + like_channels(shift, x)).to(x.scalar_type());
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
        refuse_second_derivatives();
        const auto saved = context->get_saved_variables();
        const Tensor &x = saved[0], &weight = saved[1], &mean = saved[2], &scale = saved[3], &count = saved[4];
        const Group& group = GatheredFunction::group_of(*context);
        const Tensor dy = gradients[0].to(mean.scalar_type());
        const Tensor normalized = (x.to(mean.scalar_type()) - like_channels(mean, x)) * like_channels(scale, x);
        const Tensor own_sum = dy.sum(but_channels(x)), own_product = (dy * normalized).sum(but_channels(x));  // [C]
        Tensor sums = at::cat({own_sum, own_product});
        group.collectives().sum(sums);
        const auto channels = x.size(1);
        const Tensor all_sum = sums.narrow(0, 0, channels) / count, all_product = sums.narrow(0, channels, channels) / count;
        const Tensor factor = weight.defined() ? scale * weight : scale;
        const Tensor dx = (dy - like_channels(all_sum, x) - normalized * like_channels(all_product, x)) * like_channels(factor, x);
        return {dx.to(x.scalar_type()), weight.defined() ? own_product : Tensor{}, context->saved_data["bias"].toBool() ? own_sum : Tensor{},
                Tensor{}, Tensor{}, Tensor{}, Tensor{}, Tensor{}};
    }
};

}  // namespace detail

/// Returns x [B, C] or [B, C, H, W], normalized by mean and variance of the rows of all processes together, which may have different
/// numbers of them, or none. Statistics in float32 (float64 for float64); the result has the type of x.
/// `running_mean`, `running_var` [C], where defined, move towards them in place by `momentum`; the variance is the unbiased one.
/// Gradients are those of the whole batch: as with torch's SyncBatchNorm, those of weight and bias are this process's share, which
/// averaging over processes completes. First derivatives only.
/// One collective call forward and one backward: 2 C + 1 and 2 C numbers of each process.
inline Tensor synchronized_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& running_mean,
                                const Tensor& running_var, double momentum, double eps, const Group& group) {
    Tensor mean, variance, count;
    {
        const at::NoGradGuard no_grad;
        const detail::SharedStatistics shared(x.detach(), group);
        mean = shared.mean;
        variance = shared.variance;
        count = shared.count;
        if (running_mean.defined()) {
            // variable_data(): what autograd has saved of an earlier pass does not count as changed.
            running_mean.variable_data().mul_(1 - momentum).add_(mean.to(running_mean.scalar_type()), momentum);
            running_var.variable_data().mul_(1 - momentum).add_((variance * (count / (count - 1))).to(running_var.scalar_type()) * momentum);
        }
    }
    const auto given = [](const Tensor& value) { return value.defined() ? std::optional(value) : std::nullopt; };
    return detail::SynchronizedNormFunction::apply(x, given(weight), given(bias), mean, variance, count, eps, group);
}

}  // namespace doppel
