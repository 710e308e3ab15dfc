// SPDX-License-Identifier: Apache-2.0
// Centering and sharpening of a target's scores against collapse: DINO, iBOT, DINOv2.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/rows.hpp>
#include <doppel/losses/sinkhorn.hpp>

#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>

namespace doppel::losses {

/// The method that keeps a target's distribution from collapsing to one class.
enum class Centering {
    mean,      ///< subtracts a moving average of the target's scores (DINO, iBOT)
    sinkhorn,  ///< Sinkhorn-Knopp over the batch (DINOv2)
};

/// The temperature of the target in each epoch: from + (to − from) · e/(n − 1) in epoch e of the first n, then `to`.
/// Low temperatures sharpen the target, which keeps it from collapsing to the uniform distribution.
/// Source: Caron et al., DINO, 2021, arXiv:2104.14294, section 3.1; the authors' code.
struct TargetTemperature {
    double from = 0.04;       ///< in the first epoch, > 0
    double to = 0.04;         ///< after `epochs`, > 0; above 0.07 training tends to fail
    std::int64_t epochs = 0;  ///< n ≥ 0, length of the warm-up

    double operator()(const TrainingStep& at) const {
        const std::int64_t e = at.epoch();
        if (e >= epochs) return to;
        return epochs == 1 ? from : from + (to - from) * static_cast<double>(e) / static_cast<double>(epochs - 1);
    }
    /// Returns a warning if the temperature should rise, but the length of an epoch is unknown or the run is too short.
    std::string begin(std::string_view who, const Horizon& horizon) const {
        if (epochs == 0 || from == to) return "";
        std::ostringstream text;
        if (horizon.steps_per_epoch <= 0)
            text << who << ": the target's temperature stays at its initial value, since the steps per epoch are not known";
        else if (horizon.steps_per_epoch * epochs > horizon.steps)
            text << who << ": the target's temperature rises over " << epochs << " epochs, longer than the run of " << horizon.steps
                 << " steps, and never reaches " << to;
        return text.str();
    }
    void check(std::string_view who) const {
        detail::require_temperature(who, from);
        detail::require_temperature(who, to);
        require(epochs >= 0, who, ": the temperature's epochs must be at least 0, got ", epochs);
    }
};

/// Returns the target's distribution P [B, K] for scores S [B, K] at temperature τ: softmax((S − c)/τ) with the center
/// c [1, K], or sinkhorn(S, ε = τ). No gradient flows. float32 (float64 for float64 scores), also under autocast.
/// `counted` and `group` as for sinkhorn().
///
///     Tensor p = losses::centered(scores, center, 0.04, Centering::mean);
inline Tensor centered(const Tensor& scores, const Tensor& center, double temperature, Centering how, const Tensor& counted = {},
                       const Group& group = {}) {
    const at::NoGradGuard no_grad;
    const Autocast float32(scores.device().type(), Precision::fp32);
    if (how == Centering::sinkhorn) return sinkhorn(scores, {.epsilon = temperature}, counted, group);
    const Tensor s = detail::at_least_float(scores);
    return ((s - center.to(s.scalar_type())) / temperature).softmax(-1);
}

}  // namespace doppel::losses
