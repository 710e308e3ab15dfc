// SPDX-License-Identifier: Apache-2.0
// Gradients clipped one by one, in two launches.
#pragma once

#include <doppel/core/tensor.hpp>
#include <doppel/device/kernel.hpp>
#include <doppel/device/tensor_list.hpp>

#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <cstddef>
#include <vector>

namespace doppel::device {

inline constexpr Kernel<Lists<1>, float*> squares_kernel{"doppel_squares"};
inline constexpr Kernel<Lists<1>, const float*, float, float*> clip_each_kernel{"doppel_clip_each"};

/// Clips each gradient to norm `most` separately: g ← g·min(1, most/(‖g‖ + 1e-6)). Returns the norms before, [gradients].
/// On a GPU: two launches for up to 245 float32 gradients, where ATen's _foreach_mul_ by factors makes one for each; other
/// gradients take that path. The two differ by the rounding of the norm: about 1e-6 of it.
///
///     device::clip_each(gradients, 3.0);
inline Tensor clip_each(const std::vector<Tensor>& gradients, double most) {
    if (gradients.empty()) return at::zeros({0});
    const at::NoGradGuard no_grad;
    if (!detail::all_fit({gradients})) {
        const Tensor norms = at::stack(at::_foreach_norm(gradients));  // [gradients]
        at::_foreach_mul_(gradients, (most / (norms + 1e-6)).clamp_max(1).unbind());
        return norms;
    }
    const at::Device device = gradients[0].device();
    bool any_empty = false;
    for (const Tensor& gradient : gradients) any_empty = any_empty || gradient.numel() == 0;
    const auto options = gradients[0].options();
    const auto count = static_cast<std::int64_t>(gradients.size());
    const Tensor norms = any_empty ? at::zeros({count}, options) : at::empty({count}, options);  // [gradients]
    each_launch<1>({gradients}, [&](const Lists<1>& lists, unsigned blocks, std::size_t first) {
        const Tensor squares = at::empty({blocks}, options);  // [blocks]
        squares_kernel({blocks, chunk_threads}, device, lists, squares.mutable_data_ptr<float>());
        clip_each_kernel({blocks, chunk_threads}, device, lists, squares.const_data_ptr<float>(), static_cast<float>(most),
                         norms.mutable_data_ptr<float>() + first);
    });
    return norms;
}

}  // namespace doppel::device
