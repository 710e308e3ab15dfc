// SPDX-License-Identifier: Apache-2.0
// Products of each row with rows of its own choice.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstdint>

namespace doppel::losses::detail {

class ChosenProducts : public torch::autograd::Function<ChosenProducts> {
public:
    using Context = torch::autograd::AutogradContext;
    using List = torch::autograd::variable_list;

    static Tensor forward(Context* context, const Tensor& z, const Tensor& bank, const Tensor& rows, std::int64_t portion) {
        const Tensor result = at::empty(rows.sizes(), z.options());
        portions(bank, rows, portion, [&](std::int64_t from, std::int64_t count, const Tensor& chosen) {
            Tensor part = result.narrow(0, from, count).unsqueeze(2);
            at::bmm_out(part, chosen, z.narrow(0, from, count).unsqueeze(2));
        });
        context->save_for_backward({z, bank, rows});
        context->saved_data["portion"] = portion;
        return result;
    }

    static List backward(Context* context, const List& gradients) {
        require(!c10::GradMode::is_enabled(), "InstanceNce: has first derivatives only");
        const auto saved = context->get_saved_variables();
        const Tensor result = at::empty_like(saved[0]);
        portions(saved[1], saved[2], context->saved_data["portion"].toInt(),
                 [&](std::int64_t from, std::int64_t count, const Tensor& chosen) {
                     Tensor part = result.narrow(0, from, count).unsqueeze(1);
                     at::bmm_out(part, gradients[0].narrow(0, from, count).unsqueeze(1), chosen);
                 });
        return {result, {}, {}, {}};
    }

private:
    template <class Action>
    static void portions(const Tensor& bank, const Tensor& rows, std::int64_t portion, Action&& action) {
        for (std::int64_t from = 0; from < rows.size(0); from += portion) {
            const auto count = std::min(portion, rows.size(0) - from);
            action(from, count, bank.index_select(0, rows.narrow(0, from, count).flatten()).view({count, rows.size(1), -1}));
        }
    }
};

/// Returns z_i·m_j for each j of `rows`_i: z [N, D], bank m [M, D], rows [N, K] of indices → [N, K].
/// Chosen rows are copied for some i at once, and again in the backward pass: memory beside the result is that of a few
/// million values, not N·K·D. First derivatives only; the bank gets none, and must be as it was in the backward pass.
inline Tensor chosen_products(const Tensor& z, const Tensor& bank, const Tensor& rows, std::int64_t values = 0) {
    if (values <= 0) values = std::int64_t{1} << (z.is_cpu() ? 20 : 24);
    const auto portion = std::max<std::int64_t>(values / std::max<std::int64_t>(rows.size(1) * z.size(1), 1), 1);
    if (portion >= rows.size(0))
        return at::bmm(bank.index_select(0, rows.flatten()).view({rows.size(0), rows.size(1), -1}), z.unsqueeze(2)).squeeze(2);
    return ChosenProducts::apply(z, bank, rows, portion);
}

}  // namespace doppel::losses::detail
