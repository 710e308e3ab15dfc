// SPDX-License-Identifier: Apache-2.0
// The step of LARS over lists of tensors, with rates and permission read on the device.
#pragma once

#include <doppel/core/tensor.hpp>
#include <doppel/device/kernel.hpp>
#include <doppel/device/tensor_list.hpp>

#include <ATen/ops/empty.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>

#include <cstddef>
#include <vector>

namespace doppel::device {

inline constexpr Kernel<Lists<3>, Scalar, float*> lars_squares_kernel{"doppel_lars_squares"};
inline constexpr Kernel<Lists<3>, const float*, Scalar, Scalar, LarsOptions, const float*> lars_step_kernel{"doppel_lars_step"};

/// How LARS steps; the equations are those of optim::Lars.
struct LarsStep {
    int rule = 0;           ///< 0 byol, 1 simclr, 2 larc, 3 clipped: optim::Lars::Rule
    bool adapts = true;     ///< whether steps are scaled by the trust ratio
    double eta = 0.001;     ///< trust coefficient
    double momentum = 0.9;  ///< 0: there are no velocities
    bool nesterov = false;  ///< Nesterov momentum
};

namespace detail {

/// One parameter's step by ATen, on any device: no value is read by the host.
inline void lars_by_aten(const Tensor& w, const Tensor& g, const Tensor& v, const Tensor& lr, const Tensor& decay, const LarsStep& how,
                         const Tensor& bad) {
    const auto norm = [](const Tensor& x) { return x.norm(2); };
    const Tensor u = g + w * decay;
    Tensor factor = at::ones_like(lr);
    if (how.adapts) {
        const Tensor w_norm = norm(w), g_norm = norm(g), u_norm = norm(u);
        if (how.rule < 2) {
            factor = at::where((w_norm > 0).logical_and(u_norm > 0), w_norm * how.eta / u_norm, factor);
        } else {
            Tensor q = w_norm * how.eta / (g_norm + w_norm * decay + 1e-8);
            if (how.rule == 3) q = at::where(lr > 0, (q / lr).clamp_max(1), at::ones_like(q));
            factor = at::where(w_norm > 0, q * (g_norm > 0), factor);
        }
    }
    const bool inside = how.rule == 1;
    if (inside) factor = factor * lr;
    Tensor direction = u * factor;
    if (how.momentum != 0) {
        const Tensor next = v * how.momentum + direction;
        direction = how.nesterov ? direction + next * how.momentum : next;
        v.copy_(bad.defined() ? at::where(bad.ne(0), v, next) : next);
    }
    const Tensor next = w - (inside ? direction : direction * lr);
    w.copy_(bad.defined() ? at::where(bad.ne(0), w, next) : next);
}

}  // namespace detail

/// Takes a LARS step: `parameters` and `velocities` change, unless `bad` (float32 [], optional) is not 0. Velocities are
/// empty if the momentum is 0. On a GPU: two launches for up to 122 tensors; tensors that are not float32, or whose lists
/// differ in memory format, make all take ATen's path. The two differ by rounding: up to about 1e-6 of a parameter's step.
///
///     device::lars(weights, gradients, velocities, {.rule = 0, .eta = 0.001}, lr, 1e-6, bad);
inline void lars(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients, const std::vector<Tensor>& velocities,
                 const LarsStep& how, const Number& lr, const Number& weight_decay, const Tensor& bad = {}) {
    detail::require_lengths("device::lars", parameters, gradients);
    if (how.momentum != 0) detail::require_lengths("device::lars", parameters, velocities);
    if (parameters.empty()) return;
    const at::NoGradGuard no_grad;
    const auto& third = how.momentum != 0 ? velocities : parameters;
    const TensorLists lists{parameters, gradients, third};
    const at::Device device = parameters[0].device();
    if (!detail::all_fit(lists)) {
        const auto type = parameters[0].scalar_type();
        const Tensor rate = lr.tensor().to(device, type), decay = weight_decay.tensor().to(device, type);  // []
        for (std::size_t i = 0; i < parameters.size(); ++i)
            detail::lars_by_aten(parameters[i], gradients[i], third[i], rate, decay, how, bad);
        return;
    }
    const LarsOptions options{how.rule, how.adapts, how.nesterov, how.momentum != 0, static_cast<float>(how.eta),
                              static_cast<float>(how.momentum)};
    each_launch<3>(lists, [&](const Lists<3>& some, unsigned blocks, std::size_t) {
        const Tensor squares = at::empty({how.adapts ? 3 * std::int64_t{blocks} : 1}, parameters[0].options());  // [3 · blocks]
        float* const at = squares.mutable_data_ptr<float>();
        if (how.adapts) lars_squares_kernel({blocks, chunk_threads}, device, some, weight_decay.argument(device), at);
        lars_step_kernel({blocks, chunk_threads}, device, some, at, lr.argument(device), weight_decay.argument(device), options,
                         verdict_at("device::lars", bad, device));
    });
}

}  // namespace doppel::device
