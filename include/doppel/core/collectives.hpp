// SPDX-License-Identifier: Apache-2.0
// Sums and gathers over the processes of a group, with gradient.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

// Each process r has a loss L_r, and what is trained is their mean. So the gradient that a process gets for a value of its own is
// that of Σ_r L_r, since GradientAverage divides by the number of processes: the backward pass of a gather or a sum adds up the
// gradients of all processes. (Leaving out this sum gives the right loss and gradients that are wrong by about the number of
// processes.)

namespace doppel {

namespace detail {

/// Rows of all processes, without gradient; [Σ rows, …].
inline Tensor gather_rows(const Tensor& mine, const Group& group) {
    const Tensor own = mine.contiguous();
    const auto counts = group.rows(own.size(0));
    auto shape = own.sizes().vec();
    shape[0] = group.all_rows(own.size(0));
    const Tensor all = at::empty(shape, own.options());
    std::vector<Tensor> parts;
    std::int64_t at = 0;
    for (const auto count : counts) parts.push_back(all.narrow(0, std::exchange(at, at + count), count));
    group.collectives().gather(own, parts);
    return all;
}

/// Calls call(flat) with the values of all tensors of one type in one tensor, and puts back what it leaves there; for each type.
template <class Call>
void as_one(const std::vector<Tensor>& tensors, const Call& call) {
    const at::NoGradGuard no_grad;
    std::map<at::ScalarType, std::vector<Tensor>> by_type;
    for (const Tensor& one : tensors)
        if (one.defined()) by_type[one.scalar_type()].push_back(one);
    for (const auto& [type, parts] : by_type) {
        std::vector<Tensor> values;
        for (const Tensor& one : parts) values.push_back(one.reshape({-1}));
        Tensor flat = at::cat(values);
        call(flat);
        std::int64_t at = 0;
        for (const Tensor& one : parts) one.copy_(flat.narrow(0, std::exchange(at, at + one.numel()), one.numel()).view(one.sizes()));
    }
}

inline Tensor sum_over(const Tensor& mine, const Group& group) {
    Tensor sum = mine.clone(at::MemoryFormat::Contiguous);
    group.collectives().sum(sum);
    return sum;
}

inline void refuse_second_derivatives() {
    require(!at::GradMode::is_enabled(), "what processes send each other has first derivatives only (create_graph)");
}

struct GatheredFunction : torch::autograd::Function<GatheredFunction> {
    static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& mine, const Group& group) {
        context->saved_data["first"] = group.rows_before(mine.size(0));
        context->saved_data["count"] = mine.size(0);
        context->saved_data["group"] = c10::IValue::make_capsule(c10::make_intrusive<Holder>(group));
        return gather_rows(mine, group);
    }
    static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
        refuse_second_derivatives();
        const auto& group = group_of(*context);
        return {sum_over(gradients[0], group)
                    .narrow(0, context->saved_data["first"].toInt(), context->saved_data["count"].toInt()),
                Tensor{}};
    }

    struct Holder : torch::CustomClassHolder {
        explicit Holder(Group g) : group(std::move(g)) {}
        Group group;
    };
    static const Group& group_of(torch::autograd::AutogradContext& context) {
        return static_cast<Holder&>(*context.saved_data["group"].toCapsule()).group;
    }
};

struct SummedFunction : torch::autograd::Function<SummedFunction> {
    static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& mine, const Group& group) {
        context->saved_data["group"] = c10::IValue::make_capsule(c10::make_intrusive<GatheredFunction::Holder>(group));
        return sum_over(mine, group);
    }
    static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context, torch::autograd::variable_list gradients) {
        refuse_second_derivatives();
        return {sum_over(gradients[0], GatheredFunction::group_of(*context)), Tensor{}};
    }
};

}  // namespace doppel::detail

/// Returns the rows of all processes in their order: mine [n, …] → [Σ n, …]. Where processes have different numbers of rows,
/// Group::images() says so. Gradients flow back to each process's rows from the losses of all.
///
///     const Tensor keys = gathered(k, group);   // [W·n, D]
inline Tensor gathered(const Tensor& mine, const Group& group) {
    if (group.alone()) return mine;
    require(mine.dim() >= 1, "gathered: expected rows, got a scalar");
    if (!mine.requires_grad() || !at::GradMode::is_enabled()) return detail::gather_rows(mine.detach(), group);
    return detail::GatheredFunction::apply(mine, group);
}

/// Returns the sum over all processes, the same shape. Gradients flow back from the losses of all.
///
///     const Tensor mean = summed(x.sum(0), group) / group.all_rows(x.size(0));   // [D], of the whole batch
inline Tensor summed(const Tensor& mine, const Group& group) {
    if (group.alone()) return mine;
    if (!mine.requires_grad() || !at::GradMode::is_enabled()) return detail::sum_over(mine.detach(), group);
    return detail::SummedFunction::apply(mine, group);
}

}  // namespace doppel
