// SPDX-License-Identifier: Apache-2.0
// A moving average over lists of tensors whose rate and whose permission are read on the device.
#pragma once

#include <doppel/core/tensor.hpp>
#include <doppel/device/kernel.hpp>
#include <doppel/device/tensor_list.hpp>

#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/lerp.h>
#include <ATen/ops/where.h>

#include <cstddef>
#include <vector>

namespace doppel::device {

inline constexpr Kernel<Lists<2>, Scalar, const float*> ema_kernel{"doppel_ema"};

/// target ← m·target + (1 − m)·online for each pair; nothing if `bad` (float32 [], optional) is not 0, whatever the values.
/// Tensors on a GPU: one launch for up to 163 pairs; no value is read by the host. Other tensors, such as float64 or pairs
/// with different memory formats, take ATen's operations. Both give the bits of _foreach_lerp_(target, online, 1 − m).
/// Throws Error for lists of different lengths.
///
///     device::ema(target, online, 0.996);
///     device::ema(target, online, rate, bad);   // rate: float32 or float64 [], on the device
inline void ema(const std::vector<Tensor>& target, const std::vector<Tensor>& online, const Number& m, const Tensor& bad = {}) {
    detail::require_lengths("device::ema", target, online);
    if (target.empty()) return;
    const at::NoGradGuard no_grad;
    if (m.is_known() && (!bad.defined() || bad.device().is_cpu()) && !kernels_usable(target[0].device())) {
        if (!bad.defined() || bad.item<double>() == 0) at::_foreach_lerp_(target, online, 1 - m.value());
        return;
    }
    const at::Device device = target[0].device();
    TensorLists fitting(2);
    const bool usable = static_cast<bool>(kernels_usable(device));
    Tensor weight;
    for (std::size_t i = 0; i < target.size(); ++i) {
        if (usable && target[i].device() == device && detail::fits({{target[i]}, {online[i]}}, 0)) {
            fitting[0].push_back(target[i]);
            fitting[1].push_back(online[i]);
            continue;
        }
        if (!weight.defined()) weight = m.tensor().neg().add(1).to(target[i].device());  // [], float64
        const Tensor next = at::lerp(target[i], online[i], weight.to(target[i].scalar_type()));
        target[i].copy_(bad.defined() ? at::where(bad.ne(0), target[i], next) : next);
    }
    each_launch<2>(fitting, [&](const Lists<2>& lists, unsigned blocks, std::size_t) {
        ema_kernel({blocks, chunk_threads}, device, lists, m.argument(device), verdict_at("device::ema", bad, device));
    });
}

}  // namespace doppel::device
