// SPDX-License-Identifier: Apache-2.0
// Clipping of gradients, each by its own norm or all by their common one.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/optim/detail/common.hpp>
#include <doppel/optim/groups.hpp>

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

/// What a gradient of this norm is multiplied by; 1 where it is short enough.
inline Tensor clip_factor(const Tensor& norm, double max_norm) { return (max_norm / (norm + 1e-6)).clamp_max(1); }

}  // namespace detail

/// Makes each gradient longer than `max_norm` as long as that, each by itself: g ← g·min(1, max_norm/(‖g‖ + 1e-6)).
/// Gives the norms as they were, [gradients]. No device sync. Throws Error for max_norm out of range.
/// Source: DINO's code (clip_gradients; 3.0 there). Layers with small gradients keep them, unlike with clip_global.
///
///     loss.backward(); optim::clip_each(optimizer.groups(), 3.0); optimizer.step(lr);
inline Tensor clip_each(const Groups& groups, double max_norm) {
    const auto gradients = detail::gradients_to_clip("clip_each", groups, max_norm);
    if (gradients.empty()) return at::zeros({0});
    const at::NoGradGuard no_grad;
    const Tensor norms = at::stack(at::_foreach_norm(gradients));
    at::_foreach_mul_(gradients, detail::clip_factor(norms, max_norm).unbind());
    return norms;
}

/// Scales all gradients by one factor, so that the norm of all of them together is at most `max_norm`; as
/// torch.nn.utils.clip_grad_norm_. Gives that norm as it was, []. No device sync. Throws Error for max_norm out of
/// range.
inline Tensor clip_global(const Groups& groups, double max_norm) {
    const auto gradients = detail::gradients_to_clip("clip_global", groups, max_norm);
    if (gradients.empty()) return at::zeros({});
    const at::NoGradGuard no_grad;
    const Tensor norm = at::stack(at::_foreach_norm(gradients)).norm();
    at::_foreach_mul_(gradients, detail::clip_factor(norm, max_norm));
    return norm;
}

/// How gradients are clipped before each optimizer step.
///
///     preset.clip = {.each = 3};     // DINO
struct Clip {
    double each = 0;    ///< longest gradient of one parameter (clip_each); 0: any
    double global = 0;  ///< longest gradient of all parameters together (clip_global), after `each`; 0: any

    void operator()(const Groups& groups) const {
        if (each != 0) clip_each(groups, each);
        if (global != 0) clip_global(groups, global);
    }

    /// "none", "each to 3".
    std::string describe() const {
        std::ostringstream text;
        if (each != 0) text << "each to " << each;
        if (global != 0) text << (each != 0 ? ", " : "") << "all together to " << global;
        return each == 0 && global == 0 ? "none" : text.str();
    }
};

}  // namespace doppel::optim
