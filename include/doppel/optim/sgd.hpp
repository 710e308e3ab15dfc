// SPDX-License-Identifier: Apache-2.0
// Stochastic gradient descent with momentum, fused over all parameters.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/optim/detail/common.hpp>
#include <doppel/optim/optimizer.hpp>

#include <ATen/ops/_fused_sgd.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace doppel::optim {

/// SGD as in torch.optim.SGD (no dampening): for each parameter w with gradient g,
///
///     d ← g + wd·w,   v ← momentum·v + d,   w ← w − lr·v   (Nesterov: w ← w − lr·(d + momentum·v))
///
/// v starts at zero; a step skips w and v if the gradient is undefined. The learning rate is not part of v, so it may
/// change from step to step. By default, biases and normalization parameters do not decay (see split_by_decay).
/// Parameters are float32 (or float64), of one dtype on one device. Runs on CPU and CUDA, without a device sync.
/// Throws Error for options out of range, for no parameters, and for a negative or non-finite learning rate.
/// Source: Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and momentum", ICML 2013, with the
/// learning rate moved as in PyTorch.
///
///     auto sgd = optim::Sgd{.momentum = 0.9, .weight_decay = 5e-4}.build(method.trainable());
///     loss.backward(); sgd.step(lr); sgd.zero_grad();
struct Sgd {
    double lr = 0.1;                   ///< learning rate of step() without argument; peak of a preset's schedule; ≥ 0
    double momentum = 0.9;             ///< from 0 to below 1
    double weight_decay = 1e-4;        ///< ≥ 0
    bool nesterov = false;             ///< Nesterov momentum; needs momentum > 0
    bool decay_norm_and_bias = false;  ///< decay parameters of at most one dimension too
    Rules except{};                    ///< exceptions for some parameters

    class State;

    /// Returns one line for logs and config.json.
    std::string describe() const {
        std::ostringstream text;
        text << "SGD, momentum " << momentum << (nesterov ? " (Nesterov)" : "") << ", weight decay " << weight_decay
             << (decay_norm_and_bias ? "" : ", not on biases and normalization") << detail::text_of(except);
        return text.str();
    }

    /// Returns a warning if the peak learning rate is outside the usual range, else "".
    std::string check_learning_rate(double peak) const {
        if (peak > 0 && peak < 1e-3) return detail::learning_rate_warning("SGD", peak, "low", "AdamW");
        return peak > 10 ? detail::learning_rate_warning("SGD", peak, "high", "LARS") : "";
    }

    /// Creates the optimizer, with groups from weight_decay and `except`.
    State build(const NamedParameters& parameters) const;

    /// Creates the optimizer for custom groups, with their weight decay and learning rates.
    State build_groups(Groups groups) const;
};

/// An SGD optimizer and its state.
class Sgd::State {
public:
    State(const Sgd& options, Groups groups) : options_(options), groups_(std::move(groups)) {
        check();
        velocities_ = detail::Velocities(groups_, options_.momentum);
    }

    void step() { step(options_.lr); }

    /// Takes a step. `weight_decay` replaces the non-zero weight decay of each group in this step.
    /// Nothing moves where `bad` [] on the device is 1.
    void step(double lr, std::optional<double> weight_decay = {}, const Tensor& bad = {}) {
        detail::require_rate("Sgd", "learning rate", lr);
        if (weight_decay) detail::require_rate("Sgd", "weight decay", *weight_decay);
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
    void step_group(std::size_t i, double lr, double weight_decay, const Tensor& bad) {
        auto [parameters, gradients, velocities] = velocities_.active("Sgd", groups_, i);
        if (parameters.empty()) return;
        at::_fused_sgd_(parameters, gradients, velocities, weight_decay, options_.momentum, lr,
                        /*dampening=*/0, options_.nesterov, /*maximize=*/false, /*is_first_step=*/false, /*grad_scale=*/{}, detail::found_inf(bad));
    }

    void check() const {
        const auto& o = options_;
        require(o.lr >= 0 && std::isfinite(o.lr), "Sgd: lr must be finite and not negative, got ", o.lr);
        require(o.momentum >= 0 && o.momentum < 1, "Sgd: momentum must be from 0 to below 1, got ", o.momentum);
        require(!o.nesterov || o.momentum > 0, "Sgd: nesterov needs momentum above 0, got ", o.momentum);
        require(o.weight_decay >= 0 && std::isfinite(o.weight_decay),
                "Sgd: weight_decay must be finite and not negative, got ", o.weight_decay);
        detail::check("Sgd", groups_);
    }

    Sgd options_;
    Groups groups_;
    detail::Velocities velocities_;
};

inline Sgd::State Sgd::build(const NamedParameters& parameters) const {
    return State(*this, make_groups(parameters, weight_decay, at_peak(except, lr), decay_norm_and_bias));
}

inline Sgd::State Sgd::build_groups(Groups groups) const { return State(*this, std::move(groups)); }

static_assert(Optimizer<Sgd::State> && OptimizerSpec<Sgd>);

}  // namespace doppel::optim
