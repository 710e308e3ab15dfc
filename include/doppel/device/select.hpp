// SPDX-License-Identifier: Apache-2.0
// Copies between lists of tensors that happen only if a step is taken, or only if not, as the device knows.
#pragma once

#include <doppel/core/tensor.hpp>
#include <doppel/device/kernel.hpp>
#include <doppel/device/tensor_list.hpp>

#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/where.h>

#include <cstddef>
#include <limits>
#include <vector>

namespace doppel::device {

inline constexpr Kernel<Lists<2>, const float*, int> select_kernel{"doppel_select"};

namespace detail {

inline void copy_where(const char* who, const std::vector<Tensor>& to, const std::vector<Tensor>& from, const Tensor& bad, bool when) {
    require_lengths(who, to, from);
    if (to.empty()) return;
    const at::NoGradGuard no_grad;
    const at::Device device = to[0].device();
    const bool usable = static_cast<bool>(kernels_usable(device));
    if (bad.device().is_cpu() && !usable) {
        if ((bad.item<float>() != 0) == when) at::_foreach_copy_(to, from);
        return;
    }
    TensorLists fitting(2);
    for (std::size_t i = 0; i < to.size(); ++i) {
        if (usable && to[i].device() == device && to[i].scalar_type() == from[i].scalar_type() && same_places(to[i], from[i]) &&
            to[i].nbytes() <= std::numeric_limits<std::int32_t>::max()) {
            fitting[0].push_back(to[i]);
            fitting[1].push_back(from[i]);
        } else {
            const Tensor it = when ? bad.ne(0) : bad.eq(0);
            to[i].copy_(at::where(it, from[i].to(to[i].scalar_type()), to[i]));
        }
    }
    each_launch<2>(
        fitting[0].size(), chunk_bytes, [&](std::size_t i) { return fitting[0][i].nbytes(); },
        [&](std::size_t l, std::size_t i) { return const_cast<void*>(fitting[l][i].const_data_ptr()); },
        [&](const Lists<2>& lists, unsigned blocks, std::size_t) {
            select_kernel({blocks, chunk_threads}, device, lists, verdict_at(who, bad, device), when ? 1 : 0);
        });
}

}  // namespace detail

/// Copies `saved` into `now`, tensor by tensor, if `bad` (float32 []) is not 0: takes back what a step that is not taken has
/// changed. Types and shapes may differ from pair to pair. On a GPU one launch for up to 163 pairs; the host reads nothing.
///
///     device::restore_if(bad, batch_norm_statistics, as_before_the_step);
inline void restore_if(const Tensor& bad, const std::vector<Tensor>& now, const std::vector<Tensor>& saved) {
    detail::copy_where("device::restore_if", now, saved, bad, true);
}

/// Copies `next` into `now` if `bad` is 0: commits a step's results if it is taken.
///
///     device::commit_unless(bad, {queue, pointer}, {next_queue, next_pointer});
inline void commit_unless(const Tensor& bad, const std::vector<Tensor>& now, const std::vector<Tensor>& next) {
    detail::copy_where("device::commit_unless", now, next, bad, false);
}

}  // namespace doppel::device
