// SPDX-License-Identifier: Apache-2.0
// LARS: SGD with momentum and a layer-wise trust ratio.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/device/lars.hpp>
#include <doppel/optim/detail/common.hpp>
#include <doppel/optim/optimizer.hpp>

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>

#include <cstddef>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace doppel::optim {

/// LARS in its four published variants. For each parameter w with gradient g, u = g + wd·w and trust ratio q (‖·‖ is
/// the 2-norm of the parameter), starting from v = 0:
///
///     byol      q = eta·‖w‖/‖u‖,                     v ← momentum·v + q·u,      w ← w − lr·v
///     simclr    q = eta·‖w‖/‖u‖,                     v ← momentum·v + lr·q·u,   w ← w − v
///     larc      q = eta·‖w‖/(‖g‖ + wd·‖w‖ + 1e-8),   v ← momentum·v + q·u,      w ← w − lr·v
///     clipped   larc with min(q/lr, 1) in place of q: no step is larger than SGD's
///
/// q = 1 if ‖w‖ = 0 or ‖u‖ = 0; larc and clipped use g itself, without decay, if ‖w‖ = 0 or ‖g‖ = 0.
/// Nesterov: w ← w − lr·(q·u + momentum·v); simclr: w ← w − (lr·q·u + momentum·v).
/// Biases and normalization parameters neither decay nor are adapted (q = 1), except with larc. Without adaptation they
/// move with the full learning rate; Barlow Twins uses a separate one for them (`except`). With simclr, a change of the
/// learning rate affects later gradients only, because it is part of v.
/// A step skips parameters without gradient and their v. Parameters are float32 (or float64), of one dtype on one
/// device. Norms stay on the device: no sync. Adapted gradients are copied once per step.
/// Throws Error for options out of range, for no parameters, for a negative or non-finite learning rate.
/// Differs: BYOL's code excludes parameters by name (bias, norm), here by shape; lightly's LARS is larc that excludes
/// parameters without weight decay.
/// Source: You, Gitman, Ginsburg, "Large batch training of convolutional networks", 2017, arXiv:1708.03888; the code of
/// BYOL, SimCLR, apex (LARC with clip=False, as in SwAV) and solo-learn (clip).
///
///     auto lars = optim::Lars{.weight_decay = 1.5e-6}.build(method.trainable());            // BYOL, MoCo v3
///     optim::Lars{.except = {{.shapes = optim::Shapes::norm_and_bias, .lr_scale = 0.024}}}  // Barlow Twins
struct Lars {
    /// The variant.
    enum class Rule {
        byol,     ///< BYOL, Barlow Twins, VICReg, MoCo v3, DINO's ResNet, MMCR
        simclr,   ///< SimCLR: the learning rate is inside the velocity
        larc,     ///< SwAV, SimSiam's linear evaluation; all parameters are adapted and decay
        clipped,  ///< solo-learn's presets
    };

    double lr = 0.2;                            ///< learning rate of step() without argument; ≥ 0
    double momentum = 0.9;                      ///< from 0 to below 1
    double weight_decay = 1e-6;                 ///< ≥ 0
    Rule rule = Rule::byol;                     ///< variant
    double eta = 0;                             ///< trust coefficient; 0: 0.001, or 0.02 with Rule::clipped
    bool nesterov = false;                      ///< Nesterov momentum; needs momentum > 0
    std::optional<bool> adapt_norm_and_bias{};  ///< adapt and decay them too; by default only with Rule::larc
    Rules except{};                             ///< exceptions for some parameters

    class State;

    /// Returns the trust coefficient in effect.
    double trust() const { return eta > 0 ? eta : rule == Rule::clipped ? 0.02 : 0.001; }

    /// Returns one line for logs and config.json.
    std::string describe() const {
        std::ostringstream text;
        text << name() << ", eta " << trust() << ", momentum " << momentum << (nesterov ? " (Nesterov)" : "")
             << ", weight decay " << weight_decay << (norm_and_bias() ? "" : ", not on biases and normalization")
             << detail::text_of(except);
        return text.str();
    }

    /// Returns a warning if the peak learning rate is outside the usual range, else "".
    std::string check_learning_rate(double peak) const {
        return peak > 0 && peak < 1e-3 ? detail::learning_rate_warning(name(), peak, "low", "AdamW") : "";
    }

    /// Creates the optimizer, with groups from weight_decay, adapt_norm_and_bias and `except`.
    State build(const NamedParameters& parameters) const;

    /// Creates the optimizer for custom groups, with their weight decay, learning rates and adaptation.
    State build_groups(Groups groups) const;

private:
    bool norm_and_bias() const { return adapt_norm_and_bias.value_or(rule == Rule::larc); }
    const char* name() const {
        switch (rule) {
            case Rule::simclr: return "LARS (SimCLR's)";
            case Rule::larc: return "LARC";
            case Rule::clipped: return "LARC, clipped";
            default: return "LARS";
        }
    }
};

/// A LARS optimizer and its state.
class Lars::State {
public:
    State(const Lars& options, Groups groups) : options_(options), groups_(std::move(groups)) {
        check();
        velocities_ = detail::Velocities(groups_, options_.momentum);
    }

    void step() { step(options_.lr); }

    /// Takes a step. `weight_decay` replaces the non-zero weight decay of each group in this step.
    /// Nothing moves where `bad` [] on the device is 1.
    void step(double lr, std::optional<double> weight_decay = {}, const Tensor& bad = {}) {
        detail::require_rate("Lars", "learning rate", lr);
        if (weight_decay) detail::require_rate("Lars", "weight decay", *weight_decay);
        const at::NoGradGuard no_grad;
        for (std::size_t i = 0; i < groups_.size(); ++i)
            step_group(i, detail::rate(groups_[i], lr), detail::decay(groups_[i], weight_decay), bad);
    }

    /// Drops the gradients, so that the next backward pass writes them instead of adding.
    void zero_grad() { detail::drop_gradients(groups_); }

    /// Visits the tensors of a checkpoint by name: "momentum.<parameter>"; none without momentum.
    template <class Visitor>
    void state(Visitor&& visit) {
        velocities_.state(groups_, visit);
    }

    const Groups& groups() const { return groups_; }

private:
    using Tensors = std::vector<Tensor>;

    void step_group(std::size_t i, double lr, double weight_decay, const Tensor& bad) {
        auto [parameters, gradients, velocities] = velocities_.active("Lars", groups_, i);
        if (parameters.empty()) return;
        if (device::kernels_usable(parameters.front().device())) {  // in place of a launch for each parameter
            device::lars(parameters, gradients, velocities,
                         {.rule = static_cast<int>(options_.rule),
                          .adapts = groups_[i].adapt,
                          .eta = options_.trust(),
                          .momentum = options_.momentum,
                          .nesterov = options_.nesterov},
                         lr, weight_decay, bad);
            return;
        }
        const bool inside = options_.rule == Rule::simclr;  // the learning rate is part of v
        if (groups_[i].adapt) {
            gradients = adapted(parameters, gradients, weight_decay, lr);
            weight_decay = 0;
        } else if (inside) {
            if (weight_decay > 0) gradients = at::_foreach_add(gradients, parameters, weight_decay);
            gradients = at::_foreach_mul(gradients, lr);
            weight_decay = 0;
        }
        at::_fused_sgd_(parameters, gradients, velocities, weight_decay, options_.momentum, inside ? 1 : lr,
                        /*dampening=*/0, options_.nesterov, /*maximize=*/false, /*is_first_step=*/false, /*grad_scale=*/{}, detail::found_inf(bad));
    }

    /// Returns q·u of each parameter; with simclr lr·q·u.
    Tensors adapted(const Tensors& parameters, const Tensors& gradients, double weight_decay, double lr) const {
        const bool decays = weight_decay > 0;
        Tensors u = decays ? at::_foreach_add(gradients, parameters, weight_decay) : gradients;
        const Tensor w_norm = at::stack(at::_foreach_norm(parameters));  // [parameters]
        const Tensor one = at::ones_like(w_norm);
        Tensor q;  // [parameters]
        if (options_.rule == Rule::byol || options_.rule == Rule::simclr) {
            const Tensor u_norm = at::stack(at::_foreach_norm(u));
            q = at::where((w_norm > 0).logical_and(u_norm > 0), w_norm * options_.trust() / u_norm, one);
            if (options_.rule == Rule::simclr) q = q * lr;
        } else {
            const Tensor g_norm = at::stack(at::_foreach_norm(gradients));
            q = w_norm * options_.trust() / (g_norm + w_norm * weight_decay + 1e-8);
            if (options_.rule == Rule::clipped) q = lr > 0 ? (q / lr).clamp_max(1) : one;
            q = at::where(w_norm > 0, q * (g_norm > 0), one);  // with a zero gradient, u is the decay only: no step
        }
        const Tensors scales = q.unbind();
        if (!decays) return at::_foreach_mul(u, scales);
        at::_foreach_mul_(u, scales);
        return u;
    }

    void check() const {
        const auto& o = options_;
        detail::require_rate("Lars", "lr", o.lr);
        require(o.momentum >= 0 && o.momentum < 1, "Lars: momentum must be from 0 to below 1, got ", o.momentum);
        require(!o.nesterov || o.momentum > 0, "Lars: nesterov needs momentum above 0, got ", o.momentum);
        detail::require_rate("Lars", "weight_decay", o.weight_decay);
        detail::require_rate("Lars", "eta", o.eta);
        detail::check("Lars", groups_);
    }

    Lars options_;
    Groups groups_;
    detail::Velocities velocities_;
};

inline Lars::State Lars::build(const NamedParameters& parameters) const {
    return State(*this, make_groups(parameters, weight_decay, at_peak(except, lr), norm_and_bias()));
}

inline Lars::State Lars::build_groups(Groups groups) const { return State(*this, std::move(groups)); }

static_assert(Optimizer<Lars::State> && OptimizerSpec<Lars>);

}  // namespace doppel::optim
