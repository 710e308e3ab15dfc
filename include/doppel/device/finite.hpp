// SPDX-License-Identifier: Apache-2.0
// Whether values are finite, as a number on the device.
#pragma once

#include <doppel/core/tensor.hpp>
#include <doppel/device/kernel.hpp>
#include <doppel/device/tensor_list.hpp>

#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <cstddef>
#include <limits>
#include <map>
#include <vector>

namespace doppel::device {

inline constexpr Kernel<Lists<1>, float*> not_finite_kernel{"doppel_not_finite"};

/// Returns float32 [] on the device of the first tensor: 1 if a value of the tensors is infinite or NaN, else 0. The host
/// waits for nothing. On a GPU: one launch for up to 245 float32 tensors, and one that writes 0; other types take ATen's path.
///
///     std::vector<Tensor> values = gradients; values.push_back(loss.detach());
///     const Tensor bad = device::not_finite(values);
inline Tensor not_finite(const std::vector<Tensor>& tensors) {
    require(!tensors.empty(), "device::not_finite: there are no tensors");
    const at::NoGradGuard no_grad;
    const at::Device device = tensors[0].device();
    Tensor bad = at::zeros({}, tensors[0].options().dtype(at::kFloat));  // []
    const bool usable = static_cast<bool>(kernels_usable(device));
    TensorLists fitting(1);
    std::map<at::ScalarType, std::vector<Tensor>> other;
    for (const Tensor& tensor : tensors) {
        if (usable && tensor.device() == device && detail::fits({{tensor}}, 0))
            fitting[0].push_back(tensor);
        else if (tensor.numel() > 0)
            other[tensor.scalar_type()].push_back(tensor);
    }
    each_launch<1>(fitting, [&](const Lists<1>& lists, unsigned blocks, std::size_t) {
        not_finite_kernel({blocks, chunk_threads}, device, lists, bad.mutable_data_ptr<float>());
    });
    for (const auto& [type, same] : other) {
        const Tensor largest = at::stack(at::_foreach_norm(same, std::numeric_limits<double>::infinity()));  // [tensors]
        bad.copy_(bad.maximum(at::isfinite(largest).all().logical_not().to(at::kFloat)));
    }
    return bad;
}

}  // namespace doppel::device
