// SPDX-License-Identifier: Apache-2.0
// The empirical characteristic function of projections, for SIGReg.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/sum.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace doppel::losses::detail {

class Characteristic : public torch::autograd::Function<Characteristic> {
public:
    using Context = torch::autograd::AutogradContext;
    using List = torch::autograd::variable_list;

    static List forward(Context* context, const Tensor& x, const Tensor& t, std::int64_t portion) {
        const Tensor cosine = at::empty({x.size(0), x.size(2), t.size(0)}, x.options()), sine = at::empty_like(cosine);
        portions(x, t, portion, [&](std::int64_t from, std::int64_t count, const Tensor& angles) {
            Tensor c = cosine.narrow(1, from, count), s = sine.narrow(1, from, count);
            at::mean_out(c, angles.cos(), 1);
            at::mean_out(s, angles.sin(), 1);
        });
        context->save_for_backward({x, t});
        context->saved_data["portion"] = portion;
        return {cosine, sine};
    }

    static List backward(Context* context, const List& gradients) {
        require(!c10::GradMode::is_enabled(), "Sigreg: has first derivatives only");
        const auto saved = context->get_saved_variables();
        const Tensor &x = saved[0], &t = saved[1];
        const Tensor share = t / static_cast<double>(x.size(1)), cosine = gradients[0] * share, sine = gradients[1] * share;
        const Tensor result = at::empty_like(x);
        portions(x, t, context->saved_data["portion"].toInt(), [&](std::int64_t from, std::int64_t count, Tensor& angles) {
            Tensor part = result.narrow(2, from, count);
            Tensor slope = angles.cos().mul_(sine.narrow(1, from, count).unsqueeze(1));               // [V, N, count, T]
            slope.sub_(angles.sin_().mul_(cosine.narrow(1, from, count).unsqueeze(1)));
            at::sum_out(part, slope, 3);
        });
        return {result, {}, {}};
    }

private:
    template <class Action>
    static void portions(const Tensor& x, const Tensor& t, std::int64_t portion, Action&& action) {
        for (std::int64_t from = 0; from < x.size(2); from += portion) {
            const auto count = std::min(portion, x.size(2) - from);
            Tensor angles = x.narrow(2, from, count).unsqueeze(3) * t;                                // [V, N, count, T]
            action(from, count, angles);
        }
    }
};

/// Returns mean_n cos(t x_vnk) and mean_n sin(t x_vnk) [V, K, T] of projections x [V, N, K] at points t [T].
/// Angles are made for some of the K directions at once, and again in the backward pass: memory beside results and gradient
/// is that of a few million values, not V·N·K·T. First derivatives only; t gets none.
inline std::pair<Tensor, Tensor> characteristic(const Tensor& x, const Tensor& t, std::int64_t values = 0) {
    if (values <= 0) values = std::int64_t{1} << (x.is_cpu() ? 20 : 24);
    const auto each = std::max<std::int64_t>(x.size(0) * x.size(1) * t.size(0), 1);
    const auto both = Characteristic::apply(x, t, std::max<std::int64_t>(values / each, 1));
    return {both[0], both[1]};
}

}  // namespace doppel::losses::detail
