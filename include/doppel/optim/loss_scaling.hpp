// SPDX-License-Identifier: Apache-2.0
// Loss scaling for float16: small gradients are kept from becoming zero.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/optim/optimizer.hpp>

#include <ATen/ops/_amp_foreach_non_finite_check_and_unscale.h>
#include <ATen/ops/_amp_update_scale.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace doppel::optim {

/// Divides the gradients by `scale` [1]; returns [] float32: 1 if one is not finite, else 0. The host does not wait.
inline Tensor unscale(const Tensor& scale, const Groups& groups) {
    const at::NoGradGuard no_grad;
    std::vector<Tensor> gradients;
    for (const auto& group : groups)
        for (const auto& [name, parameter] : group.parameters)
            if (parameter.grad().defined()) gradients.push_back(parameter.grad());
    Tensor found = at::zeros({1}, scale.options());
    if (!gradients.empty()) at::_amp_foreach_non_finite_check_and_unscale_(gradients, found, scale.reciprocal());
    return found.squeeze(0);
}

/// An optimizer whose gradients are those of scale · loss. A step with gradients that are not finite is left out and halves the
/// scale; `patience` steps in a row without one double it. All of it stays on the device. The scale is part of the state.
/// Source: Micikevicius et al., "Mixed Precision Training", 2017, arXiv:1710.03740, section 3.2; torch's GradScaler.
///
///     optim::LossScaling optimizer(spec.build(method.trainable()), device);
///     (loss * optimizer.scale).backward();
///     const Tensor bad = optim::unscale(optimizer.scale, optimizer.groups());
///     optimizer.step(lr, {}, bad), method->commit(bad);
class LossScaling {
public:
    LossScaling(AnyOptimizer inner, at::Device device, double from = 65536, std::int64_t patience = 2000)
        : scale(at::full({1}, from, at::TensorOptions(device).dtype(at::kFloat))),
          inner_(std::move(inner)), good_(at::zeros({1}, at::TensorOptions(device).dtype(at::kInt))), patience_(patience) {
        require(inner_.takes_verdict(), "fp16 needs an optimizer that can leave out a step: step(lr, weight_decay, bad)");
    }

    Tensor scale;  ///< [1] float32 on the device

    void step(double lr) { inner_.step(lr); }
    void step(double lr, std::optional<double> weight_decay, const Tensor& bad) {
        const at::NoGradGuard no_grad;
        inner_.step(lr, weight_decay, bad);
        at::_amp_update_scale_(scale, good_, bad.view({1}), 2, 0.5, patience_);
    }
    void zero_grad() { inner_.zero_grad(); }
    void state(const StateVisitor& visit) {
        inner_.state(visit);
        visit("loss_scale", scale);
        visit("loss_scale.good_steps", good_);
    }
    const Groups& groups() const { return inner_.groups(); }

private:
    AnyOptimizer inner_;
    Tensor good_;
    std::int64_t patience_;
};

static_assert(Optimizer<LossScaling>);

}  // namespace doppel::optim
