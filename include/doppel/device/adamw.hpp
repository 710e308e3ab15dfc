// SPDX-License-Identifier: Apache-2.0
// The step of AdamW and Adam over lists of tensors, with rates and permission read on the device.
#pragma once

#include <doppel/core/tensor.hpp>
#include <doppel/device/kernel.hpp>
#include <doppel/device/tensor_list.hpp>

#include <ATen/ops/pow.h>
#include <ATen/ops/where.h>

#include <cstddef>
#include <vector>

namespace doppel::device {

inline constexpr Kernel<Lists<5>, const float*> adam_count_kernel{"doppel_adam_count"};
inline constexpr Kernel<Lists<5>, Scalar, Scalar, AdamOptions, const float*> adam_step_kernel{"doppel_adam_step"};

/// How AdamW steps; the equations are those of optim::AdamW.
struct AdamStep {
    double beta1 = 0.9;      ///< decay of the mean
    double beta2 = 0.999;    ///< decay of the mean square
    double eps = 1e-8;       ///< > 0
    bool decoupled = true;   ///< false: Adam
};

namespace detail {

/// One parameter's step by ATen, on any device: no value is read by the host.
inline void adam_by_aten(const Tensor& w, const Tensor& gradient, const Tensor& mean, const Tensor& square, const Tensor& steps,
                         const Tensor& lr, const Tensor& decay, const AdamStep& how, const Tensor& bad) {
    const auto set = [&](const Tensor& to, const Tensor& value) { to.copy_(bad.defined() ? at::where(bad.ne(0), to, value) : value); };
    const Tensor base = how.decoupled ? w - w * (lr * decay) : w;
    const Tensor g = how.decoupled ? gradient : gradient + w * decay;
    const Tensor next_mean = mean * how.beta1 + g * (1 - how.beta1);
    const Tensor next_square = square * how.beta2 + g * g * (1 - how.beta2);
    const Tensor count = steps.to(at::kDouble) + 1;  // []
    const Tensor correction = (1 - at::pow(how.beta1, count)).to(w.scalar_type());
    const Tensor root = (1 - at::pow(how.beta2, count)).sqrt().to(w.scalar_type());
    set(w, base - next_mean * (lr / correction) / (next_square.sqrt() / root + how.eps));
    set(mean, next_mean);
    set(square, next_square);
    set(steps, count.to(steps.scalar_type()));
}

}  // namespace detail

/// Takes a step of AdamW: `parameters`, `means`, `squares` and `steps` (float32 [] for each parameter) change, unless `bad`
/// (float32 [], optional) is not 0. On a GPU: two launches for up to 81 tensors; tensors that are not float32, or whose lists
/// differ in memory format, make all take ATen's path. The two differ by rounding: up to about 1e-6 of a parameter's step.
/// Unlike at::_fused_adamw_, the weight decay is read on the device too, as a schedule in a captured graph needs it.
///
///     device::adamw(weights, gradients, means, squares, steps, {}, lr, weight_decay, bad);
inline void adamw(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients, const std::vector<Tensor>& means,
                  const std::vector<Tensor>& squares, const std::vector<Tensor>& steps, const AdamStep& how, const Number& lr,
                  const Number& weight_decay, const Tensor& bad = {}) {
    for (const auto* list : {&gradients, &means, &squares, &steps}) detail::require_lengths("device::adamw", parameters, *list);
    if (parameters.empty()) return;
    const at::NoGradGuard no_grad;
    const at::Device device = parameters[0].device();
    bool fit = detail::all_fit({parameters, gradients, means, squares});
    for (const Tensor& count : steps) fit = fit && count.scalar_type() == at::kFloat && count.numel() == 1 && count.device() == device;
    if (!fit) {
        const auto type = parameters[0].scalar_type();
        const Tensor rate = lr.tensor().to(device, type), decay = weight_decay.tensor().to(device, type);  // []
        for (std::size_t i = 0; i < parameters.size(); ++i)
            detail::adam_by_aten(parameters[i], gradients[i], means[i], squares[i], steps[i], rate, decay, how, bad);
        return;
    }
    const AdamOptions options{how.decoupled, static_cast<float>(how.beta1), static_cast<float>(how.beta2), static_cast<float>(how.eps),
                              how.beta1, how.beta2};
    const float* const stop = verdict_at("device::adamw", bad, device);
    each_launch<5>({parameters, gradients, means, squares, steps}, [&](const Lists<5>& some, unsigned blocks, std::size_t) {
        adam_count_kernel({1, 128}, device, some, stop);
        adam_step_kernel({blocks, chunk_threads}, device, some, lr.argument(device), weight_decay.argument(device), options, stop);
    });
}

}  // namespace doppel::device
