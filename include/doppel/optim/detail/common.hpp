// SPDX-License-Identifier: Apache-2.0
// Code shared by the optimizers: checks of groups, gradients and rates of a step, momentum.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/optim/groups.hpp>

#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <unordered_set>
#include <vector>

namespace doppel::optim::detail {

inline bool is_rate(double value) { return value >= 0 && std::isfinite(value); }

inline void require_rate(const char* who, const char* what, double value) {
    require(is_rate(value), who, ": ", what, " must be finite and not negative, got ", value);
}

/// Checks that rates are in range, and parameters float32 or float64, of one dtype on one device, dense in memory, and
/// unique.
inline void check(const char* who, const Groups& groups) {
    Tensor first;
    std::unordered_set<const void*> seen;
    for (const auto& group : groups) {
        require_rate(who, "a group's weight_decay", group.weight_decay);
        require_rate(who, "a group's lr_scale", group.lr_scale);
        if (group.fixed_lr) require_rate(who, "a group's fixed_lr", *group.fixed_lr);
        for (const auto& [name, w] : group.parameters) {
            require(w.defined(), who, ": parameter ", name, " is undefined");
            require(w.scalar_type() == at::kFloat || w.scalar_type() == at::kDouble, who,
                    ": parameters must be float32 or float64, ", name, " is ", w.scalar_type());
            require(w.is_non_overlapping_and_dense(), who, ": parameter ", name,
                    " is a view with gaps or overlaps, expected dense memory");
            require(seen.insert(w.unsafeGetTensorImpl()).second, who, ": parameter ", name, " occurs twice");
            if (!first.defined()) first = w;
            require(w.device() == first.device() && w.scalar_type() == first.scalar_type(), who,
                    ": parameters must share type and device, ", name, " is ", w.scalar_type(), " on ", w.device(),
                    ", others are ", first.scalar_type(), " on ", first.device());
        }
    }
    require(first.defined(), who, ": there are no parameters to train");
}

/// Returns the learning rate of a group in a step.
inline double rate(const Group& group, double lr) { return group.fixed_lr.value_or(lr * group.lr_scale); }

/// Returns the weight decay of a group in a step: a scheduled one replaces a non-zero one.
inline double decay(const Group& group, std::optional<double> scheduled) {
    return group.weight_decay > 0 ? scheduled.value_or(group.weight_decay) : 0;
}

/// Returns `t` on the device and in the memory layout of `w`: fused kernels index memory directly, so their tensors
/// must have the layout of the parameter, which may have moved or become channels-last since the optimizer was built.
inline Tensor with_layout_of(const Tensor& w, const Tensor& t) {
    bool same = t.device() == w.device();
    for (std::int64_t d = 0; d < w.dim(); ++d) same &= w.size(d) == 1 || t.stride(d) == w.stride(d);
    return same ? t : at::empty_like(w).copy_(t);
}

/// `bad` as torch's fused kernels take it: where it is 1 they leave everything as it is.
inline std::optional<Tensor> found_inf(const Tensor& bad) {
    return bad.defined() ? std::optional(bad.to(at::kFloat).view({1})) : std::nullopt;
}

inline void require_dense(const char* who, const std::string& name, const Tensor& gradient) {
    require(gradient.layout() == at::kStrided, who, ": the gradient of ", name, " is sparse, expected a dense one");
}

/// Calls `visit(index in the group, parameter, gradient)` for each parameter of a group that has a gradient.
template <class Visit>
void each_active(const char* who, const Group& group, Visit&& visit) {
    for (std::size_t j = 0; j < group.parameters.size(); ++j) {
        const auto& [name, w] = group.parameters[j];
        if (!w.grad().defined()) continue;
        require_dense(who, name, w.grad());
        visit(j, w, with_layout_of(w, w.grad()));
    }
}

/// The momentum of all parameters; empty if momentum is 0.
class Velocities {
public:
    Velocities() = default;
    Velocities(const Groups& groups, double momentum) {
        if (momentum == 0) return;
        const at::NoGradGuard no_grad;
        for (const auto& group : groups) {
            auto& own = all_.emplace_back();
            for (const auto& [name, w] : group.parameters) own.push_back(at::zeros_like(w));
        }
    }

    /// The parameters of a group that have a gradient, with gradient and momentum.
    struct Active {
        std::vector<Tensor> parameters, gradients, velocities;
    };
    Active active(const char* who, const Groups& groups, std::size_t i) {
        Active found;
        each_active(who, groups[i], [&](std::size_t j, const Tensor& w, const Tensor& gradient) {
            found.parameters.push_back(w);
            found.gradients.push_back(gradient);
            if (all_.empty()) return;
            all_[i][j] = with_layout_of(w, all_[i][j]);
            found.velocities.push_back(all_[i][j]);
        });
        return found;
    }

    /// Visits the momentum tensors by name: "momentum.<parameter>".
    template <class Visitor>
    void state(const Groups& groups, Visitor&& visit) {
        for (std::size_t i = 0; i < all_.size(); ++i)
            for (std::size_t j = 0; j < all_[i].size(); ++j)
                visit("momentum." + groups[i].parameters[j].first, all_[i][j]);
    }

private:
    std::vector<std::vector<Tensor>> all_;  // in the order of the groups
};

/// Drops the gradients, so that the next backward pass writes them instead of adding.
inline void drop_gradients(Groups& groups) {
    for (auto& group : groups)
        for (auto& item : group.parameters) item.second.mutable_grad().reset();
}

/// Returns a warning that the learning rate is outside the optimizer's usual range.
inline std::string learning_rate_warning(const std::string& who, double peak, const char* how, const char* other) {
    std::ostringstream text;
    text << who << ": a peak learning rate of " << peak << " is very " << how << "; is it meant for " << other << '?';
    return text.str();
}

/// Returns "; 'predictor.': learning rate 0.05 throughout; …" for describe() of an optimizer.
inline std::string text_of(const Rules& rules) {
    std::string text;
    for (const auto& rule : rules) text += "; " + rule.describe();
    return text;
}

}  // namespace doppel::optim::detail
