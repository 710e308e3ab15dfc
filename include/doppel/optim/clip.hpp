// SPDX-License-Identifier: Apache-2.0
// Gradient clipping, per parameter or by the global norm.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/device/clip.hpp>
#include <doppel/optim/detail/common.hpp>
#include <doppel/optim/groups.hpp>

#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <sstream>
#include <string>
#include <vector>

namespace doppel::optim {

namespace detail {

inline std::vector<Tensor> gradients_to_clip(const char* who, const Groups& groups, double max_norm) {
    require(max_norm > 0 && std::isfinite(max_norm), who, ": the norm must be finite and above 0, got ", max_norm);
    std::vector<Tensor> gradients;
    for (const auto& group : groups)
        for (const auto& [name, w] : group.parameters) {
            if (!w.grad().defined()) continue;
            require_dense(who, name, w.grad());
            gradients.push_back(w.grad());
        }
    return gradients;
}

/// Returns the factor for gradients of these norms; 1 if the norm is at most `max_norm`.
inline Tensor clip_factor(const Tensor& norm, double max_norm) { return (max_norm / (norm + 1e-6)).clamp_max(1); }

}  // namespace detail

/// Clips each gradient to norm `max_norm` separately: g ← g·min(1, max_norm/(‖g‖ + 1e-6)). Returns the gradient norms
/// before clipping, [gradients]. Unlike clip_global, it does not change small gradients of other parameters.
/// No device sync. Throws Error for max_norm out of range.
/// Source: DINO's code (clip_gradients; 3.0 there).
///
///     loss.backward(); optim::clip_each(optimizer.groups(), 3.0); optimizer.step(lr);
inline Tensor clip_each(const Groups& groups, double max_norm) {
    const auto gradients = detail::gradients_to_clip("clip_each", groups, max_norm);
    if (gradients.empty()) return at::zeros({0});
    return device::clip_each(gradients, max_norm);
}

/// Scales all gradients by one factor, so that their joint norm is at most `max_norm`, as
/// torch.nn.utils.clip_grad_norm_ does. Returns the norm before clipping, []. No device sync.
/// Throws Error for max_norm out of range.
inline Tensor clip_global(const Groups& groups, double max_norm) {
    const auto gradients = detail::gradients_to_clip("clip_global", groups, max_norm);
    if (gradients.empty()) return at::zeros({});
    const at::NoGradGuard no_grad;
    const Tensor norm = at::stack(at::_foreach_norm(gradients)).norm();
    at::_foreach_mul_(gradients, detail::clip_factor(norm, max_norm));
    return norm;
}

/// Options of gradient clipping before each optimizer step.
///
///     preset.clip = {.each = 3};     // DINO
struct Clip {
    double each = 0;    ///< maximum norm per parameter (clip_each); 0: no limit
    double global = 0;  ///< maximum joint norm (clip_global), applied after `each`; 0: no limit

    /// Clips the gradients of all groups.
    void operator()(const Groups& groups) const {
        if (each != 0) clip_each(groups, each);
        if (global != 0) clip_global(groups, global);
    }

    /// Returns "none" or "each to 3", for config.json.
    std::string describe() const {
        std::ostringstream text;
        if (each != 0) text << "each to " << each;
        if (global != 0) text << (each != 0 ? ", " : "") << "all together to " << global;
        return each == 0 && global == 0 ? "none" : text.str();
    }
};

}  // namespace doppel::optim
