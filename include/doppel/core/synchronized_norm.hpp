// SPDX-License-Identifier: Apache-2.0
// Batch normalization by the statistics of several processes together.
#pragma once

#include <doppel/core/collectives.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/ops/batch_norm_backward_elemt.h>
#include <ATen/ops/batch_norm_backward_reduce.h>
#include <ATen/ops/batch_norm_update_stats.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/native_batch_norm_backward.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <array>
#include <cstdint>
#include <optional>
#include <tuple>
#include <vector>

namespace doppel {

namespace detail {

inline at::ScalarType statistics_type(const Tensor& x) { return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat; }

/// Mean, biased variance and number of values [C], [C], [1] of each channel over all processes: theirs, joined by Chan, Golub and
/// LeVeque's rule. One collective call; the same bits in every process.
struct SharedStatistics {
    Tensor mean, variance, count;

    SharedStatistics(const Tensor& x, const Group& group) {
        const auto channels = x.size(1);
        const auto as = at::TensorOptions(x.device()).dtype(statistics_type(x));
        Tensor mine = at::zeros({1, 2 * channels + 1}, as);
        if (x.numel() > 0) {
            const auto [own_mean, own_variance] = at::batch_norm_update_stats(x.to(statistics_type(x)), {}, {}, 0.0);
            mine = at::cat({own_mean, own_variance, at::full({1}, static_cast<double>(x.numel() / channels), as)}).unsqueeze(0);
        }
        const Tensor all = gather_rows(mine, group.with_images({}));  // [W, 2C + 1]
        const Tensor means = all.narrow(1, 0, channels), counts = all.narrow(1, 2 * channels, 1);
        count = counts.sum(0);
        const Tensor share = counts / count;
        mean = (means * share).sum(0);
        variance = ((all.narrow(1, channels, channels) + (means - mean).square()) * share).sum(0);
    }
};

/// [C] as [1, C, 1, 1], to be added to x.
inline Tensor like_channels(const Tensor& values, const Tensor& x) {
    std::vector<std::int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
    shape[1] = values.size(0);
    return values.view(shape);
}

struct SynchronizedNormFunction : torch::autograd::Function<SynchronizedNormFunction> {
    using Optional = std::optional<Tensor>;

    static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x, const Optional& weight, const Optional& bias, const Tensor& mean,
                          const Tensor& variance, const Tensor& count, double eps, const Group& group) {
        context->save_for_backward({x, weight.value_or(Tensor{}), mean, variance, count});
        context->saved_data["eps"] = eps;
        context->saved_data["group"] = c10::IValue::make_capsule(c10::make_intrusive<GatheredFunction::Holder>(group));
        context->saved_data["bias"] = bias.has_value();
        if (x.numel() == 0) return at::empty_like(x);
        return std::get<0>(at::native_batch_norm(x, weight, bias, mean, variance, /*training=*/false, 0.0, eps));
    }

    /// With x̂ = (x − mean)/σ, σ = √(variance + eps), and means over the values of all processes:
    /// dx = (dy − mean(dy) − x̂ · mean(dy · x̂)) · weight/σ.
    static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
        refuse_second_derivatives();
        const auto saved = context->get_saved_variables();
        const Tensor &x = saved[0], &weight = saved[1], &mean = saved[2], &variance = saved[3], &count = saved[4];
        const Group& group = GatheredFunction::group_of(*context);
        const double eps = context->saved_data["eps"].toDouble();
        const auto channels = x.size(1);
        const Tensor factor = (variance + eps).rsqrt();  // 1/σ
        Tensor dx, dweight = at::zeros({channels}, mean.options()), dbias = dweight;
        if (x.numel() == 0) {
            Tensor sums = at::zeros({2 * channels}, mean.options());
            group.collectives().sum(sums);
            dx = at::empty_like(x);
        } else if (x.is_cuda()) {
            const auto format = x.suggest_memory_format();
            const Tensor rows = x.contiguous(format), dy = gradients[0].contiguous(format);
            Tensor sum, sum_apart;  // Σ dy, Σ dy·(x − mean)
            std::tie(sum, sum_apart, dweight, dbias) = at::batch_norm_backward_reduce(dy, rows, mean, factor, weight, true, true, true);
            Tensor sums = at::cat({sum, sum_apart});
            group.collectives().sum(sums);
            dx = at::batch_norm_backward_elemt(dy, rows, mean, factor, weight, sums.narrow(0, 0, channels), sums.narrow(0, channels, channels),
                                               count.to(at::kInt));
        } else {
            // As if the statistics were constants, dy · weight/σ; then what comes through them, which is linear in x. In place: fresh
            // memory costs more than the arithmetic.
            const Tensor rows = x.to(mean.scalar_type()), dy = gradients[0].to(mean.scalar_type());
            const auto as_constants = [&](std::array<bool, 3> wanted) {
                return at::native_batch_norm_backward(dy, rows, weight, mean, variance, {}, {}, /*train=*/false, eps, wanted);
            };
            std::tie(dx, dweight, dbias) = as_constants({false, true, true});
            Tensor sums = at::cat({dbias, dweight});
            const auto wait = group.collectives().begin_sum(sums);
            dx = std::get<0>(as_constants({true, false, false}));  // at the same time
            wait();
            const Tensor means = sums / count, by_dy = weight.defined() ? factor * weight : factor;
            const Tensor by_x = means.narrow(0, channels, channels) * by_dy * factor;
            const Tensor rest = means.narrow(0, 0, channels) * by_dy - by_x * mean;
            dx = dx.addcmul_(rows, like_channels(by_x, x), -1).sub_(like_channels(rest, x)).to(x.scalar_type());
        }
        if (!weight.defined()) dweight = Tensor{};
        if (!context->saved_data["bias"].toBool()) dbias = Tensor{};
        return {dx, dweight, dbias, Tensor{}, Tensor{}, Tensor{}, Tensor{}, Tensor{}};
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
