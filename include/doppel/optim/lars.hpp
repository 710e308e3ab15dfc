// SPDX-License-Identifier: Apache-2.0
// LARS: gradient descent with momentum whose step is scaled to the norm of each parameter.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/optim/detail/at_work.hpp>
#include <doppel/optim/optimizer.hpp>

#include <cstddef>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace doppel::optim {

/// LARS in the four forms of the papers, which differ. For each parameter w with gradient g, u = g + wd·w and its trust
/// ratio q (‖·‖ is the 2-norm of the whole parameter), starting from v = 0:
///
///     byol      q = eta·‖w‖/‖u‖,                     v ← momentum·v + q·u,      w ← w − lr·v
///     simclr    q = eta·‖w‖/‖u‖,                     v ← momentum·v + lr·q·u,   w ← w − v
///     larc      q = eta·‖w‖/(‖g‖ + wd·‖w‖ + 1e-8),   v ← momentum·v + q·u,      w ← w − lr·v
///     clipped   larc with min(q/lr, 1) in place of q: no step is larger than SGD's
///
/// q = 1 where ‖w‖ = 0 or ‖u‖ = 0; larc and clipped leave g as it is, without decay, where ‖w‖ = 0 or ‖g‖ = 0.
/// Nesterov: w ← w − lr·(q·u + momentum·v); simclr: w ← w − (lr·q·u + momentum·v).
/// Biases and normalization parameters neither decay nor are adapted (q = 1), larc's do both. They then move with the
/// full learning rate; Barlow Twins gives them one of their own (`except`). With simclr a change of the rate acts on
/// later gradients only, because the rate is inside of v.
/// Parameters without gradient stand still, with v. Parameters are float32 (or float64), of one type on one device.
/// Norms stay on the device: no sync. Adapted gradients are copied for the step, once.
/// Throws Error for options out of range, for no parameters, for a learning rate that is negative or not finite.
/// Differs: BYOL's code excludes by the name (bias, norm), here it is the shape; lightly's LARS is larc that excludes
/// whatever has no weight decay.
/// Source: You, Gitman, Ginsburg, "Large batch training of convolutional networks", 2017, arXiv:1708.03888; the code of
/// BYOL, SimCLR, apex (LARC with clip=False, as in SwAV) and solo-learn (clip).
///
///     auto lars = optim::Lars{.weight_decay = 1.5e-6}.build(method.trainable());            // BYOL, MoCo v3
///     optim::Lars{.except = {{.shapes = optim::Shapes::norm_and_bias, .lr_scale = 0.024}}}  // Barlow Twins
struct Lars {
    enum class Rule {
        byol,     ///< BYOL, Barlow Twins, VICReg, MoCo v3, DINO's ResNet, MMCR
        simclr,   ///< SimCLR: the learning rate is inside the velocity
        larc,     ///< SwAV, SimSiam's linear evaluation; all parameters are adapted and decay
        clipped,  ///< solo-learn's presets
    };

    double lr = 0.2;                            ///< learning rate of step() without one; ≥ 0
    double momentum = 0.9;                      ///< from 0 to below 1
    double weight_decay = 1e-6;                 ///< ≥ 0
    Rule rule = Rule::byol;                     ///< which form
    double eta = 0;                             ///< trust coefficient; 0: 0.001, and 0.02 with Rule::clipped
    bool nesterov = false;                      ///< look ahead; needs momentum > 0
    std::optional<bool> adapt_norm_and_bias{};  ///< adapt and decay them too; by default only with Rule::larc
    Rules except{};                             ///< parameters that are trained differently

    class State;

    /// The trust coefficient that counts.
    double trust() const { return eta > 0 ? eta : rule == Rule::clipped ? 0.02 : 0.001; }

    /// One line for logs and config.json.
    std::string describe() const {
        std::ostringstream text;
        text << name() << ", eta " << trust() << ", momentum " << momentum << (nesterov ? " (Nesterov)" : "")
             << ", weight decay " << weight_decay << (norm_and_bias() ? "" : ", not on biases and normalization")
             << detail::text_of(except);
        return text.str();
    }

    /// A warning for a highest learning rate that looks like one for another optimizer, else "".
    std::string doubt(double peak) const {
        return peak > 0 && peak < 1e-3 ? detail::doubt_text(name(), peak, "low", "AdamW") : "";
    }

    /// The optimizer at work, with groups by weight_decay, adapt_norm_and_bias and `except`.
    State build(const NamedParameters& parameters) const;

    /// The optimizer at work on groups of one's own; weight decay, rates and adaptation are the groups'.
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

class Lars::State {
public:
    State(const Lars& options, Groups groups) : options_(options), groups_(std::move(groups)) {
        check();
        velocities_ = detail::Velocities(groups_, options_.momentum);
    }

    void step() { step(options_.lr); }

    /// With `weight_decay`, the groups that decay do so by it in this step.
    void step(double lr, std::optional<double> weight_decay = {}) {
        detail::require_rate("Lars", "learning rate", lr);
        if (weight_decay) detail::require_rate("Lars", "weight decay", *weight_decay);
        const at::NoGradGuard no_grad;
        for (std::size_t i = 0; i < groups_.size(); ++i)
            step_group(i, detail::rate(groups_[i], lr), detail::decay(groups_[i], weight_decay));
    }

    /// Drops the gradients, so that the next backward pass writes instead of adding.
    void zero_grad() { detail::drop_gradients(groups_); }

    /// Names the tensors that belong to a checkpoint: "momentum.<parameter>", none without momentum.
    template <class Visitor>
    void state(Visitor&& visit) {
        velocities_.state(groups_, visit);
    }

    const Groups& groups() const { return groups_; }

private:
    using Tensors = std::vector<Tensor>;

    void step_group(std::size_t i, double lr, double weight_decay) {
        auto [parameters, gradients, velocities] = velocities_.active("Lars", groups_, i);
        if (parameters.empty()) return;
        const bool inside = options_.rule == Rule::simclr;  // the learning rate is inside of v
        if (groups_[i].adapt) {
            gradients = adapted(parameters, gradients, weight_decay, lr);
            weight_decay = 0;
        } else if (inside) {
            if (weight_decay > 0) gradients = at::_foreach_add(gradients, parameters, weight_decay);
            gradients = at::_foreach_mul(gradients, lr);
            weight_decay = 0;
        }
        at::_fused_sgd_(parameters, gradients, velocities, weight_decay, options_.momentum, inside ? 1 : lr,
                        /*dampening=*/0, options_.nesterov, /*maximize=*/false, /*is_first_step=*/false);
    }

    /// q·u of each parameter, with simclr lr·q·u.
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
            q = at::where(w_norm > 0, q * (g_norm > 0), one);  // without gradient u is the decay alone: nothing is left
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
