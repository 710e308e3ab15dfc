// SPDX-License-Identifier: Apache-2.0
// Means over the rows of a class.
#pragma once

#include <doppel/core/tensor.hpp>

#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstdint>
#include <optional>

namespace doppel::losses::detail {

/// The rows of each class, found by sorting. Sums of a class are differences of running sums over the sorted rows, in
/// float64: their order is fixed, no shape depends on the labels, and nothing waits for the device.
struct ClassMeans {
    Tensor order, first, last;  ///< [N]: the sorted rows, and where each row's class begins and ends among them

    explicit ClassMeans(const Tensor& label) {
        const auto [sorted, rows] = at::sort(label, std::optional<bool>(true), 0);
        order = rows;
        first = at::searchsorted(sorted, label, /*out_int32=*/false, /*right=*/false);
        last = at::searchsorted(sorted, label, /*out_int32=*/false, /*right=*/true);
    }

    /// Returns the mean over the other rows of each row's class [N, D]; NaN for a row that is alone in its class.
    Tensor of_others(const Tensor& x) const {
        constexpr std::int64_t portion = 16;  // columns at once, so that the float64 sums take little memory
        const auto n = x.size(0), d = x.size(1);
        const Tensor others = (last - first - 1).unsqueeze(1), result = at::empty_like(x);
        const Tensor sums = at::zeros({n + 1, std::min(portion, d)}, x.options().dtype(at::kDouble));
        for (std::int64_t from = 0; from < d; from += portion) {
            const auto count = std::min(portion, d - from);
            const Tensor part = x.narrow(1, from, count), running = sums.narrow(1, 0, count);
            running.narrow(0, 1, n).copy_(part.index_select(0, order).to(at::kDouble).cumsum(0));
            result.narrow(1, from, count)
                .copy_((running.index_select(0, last).sub_(running.index_select(0, first)).sub_(part)).div_(others));
        }
        return result;
    }
};

/// ClassMeans::of_others of rows `first` … `first` + `count` − 1 alone, with gradient into all rows: the mean is linear and symmetric.
struct MeansOfOthers : torch::autograd::Function<MeansOfOthers> {
    static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x, const Tensor& label, std::int64_t first, std::int64_t count) {
        context->save_for_backward({label});
        context->saved_data["first"] = first;
        return ClassMeans(label).of_others(x).narrow(0, first, count);
    }
    static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
        const Tensor label = context->get_saved_variables()[0], all = at::zeros({label.size(0), gradients[0].size(1)}, gradients[0].options());
        all.narrow(0, context->saved_data["first"].toInt(), gradients[0].size(0)).copy_(gradients[0]);
        return {ClassMeans(label).of_others(all), {}, {}, {}};
    }
};

}  // namespace doppel::losses::detail
