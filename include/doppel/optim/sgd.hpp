// SPDX-License-Identifier: Apache-2.0
// Stochastic gradient descent with momentum, one fused pass over all parameters.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/optim/optimizer.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace doppel::optim {

/// SGD as in torch.optim.SGD (no dampening): for each parameter w with gradient g,
///
///     d ← g + wd·w,   v ← momentum·v + d,   w ← w − lr·v   (Nesterov: w ← w − lr·(d + momentum·v))
///
/// v starts at zero, and stands still with w where the gradient is undefined. The learning rate is outside of v: it may
/// change from step to step. By default biases and normalisation parameters do not decay (see split_by_decay).
/// Parameters are float32 (or float64), of one type on one device. At work on CPU and CUDA, without a device sync.
/// Throws Error for options out of range, for no parameters, and for a learning rate that is negative or not finite.
/// Source: Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and momentum", ICML 2013, with the
/// learning rate moved as in PyTorch.
///
///     auto sgd = optim::Sgd{.momentum = 0.9, .weight_decay = 5e-4}.build(method.trainable());
///     loss.backward(); sgd.step(lr); sgd.zero_grad();
struct Sgd {
    double lr = 0.1;                   ///< learning rate of step() without one; a preset's schedule peaks at it; ≥ 0
    double momentum = 0.9;             ///< from 0 to below 1
    double weight_decay = 1e-4;        ///< ≥ 0
    bool nesterov = false;             ///< look ahead; needs momentum > 0
    bool decay_norm_and_bias = false;  ///< decay parameters of at most one dimension too

    class State;

    /// One line for logs and config.json.
    std::string describe() const {
        std::ostringstream text;
        text << "SGD, momentum " << momentum << (nesterov ? " (Nesterov)" : "") << ", weight decay " << weight_decay
             << (decay_norm_and_bias ? "" : ", not on biases and normalisation");
        return text.str();
    }

    /// The optimiser at work, with a group that decays and one that does not.
    State build(const NamedParameters& parameters) const;

    /// The optimiser at work on groups of one's own; weight decay is the groups'.
    State build_groups(Groups groups) const;
};

class Sgd::State {
public:
    State(const Sgd& options, Groups groups) : options_(options), groups_(std::move(groups)) {
        check();
        if (options_.momentum == 0) return;
        const at::NoGradGuard no_grad;
        for (const auto& group : groups_) {
            auto& velocity = velocities_.emplace_back();
            for (const auto& [name, w] : group.parameters) velocity.push_back(at::zeros_like(w));
        }
    }

    void step() { step(options_.lr); }

    void step(double lr) {
        require(lr >= 0 && std::isfinite(lr), "Sgd: learning rate must be finite and not negative, got ", lr);
        const at::NoGradGuard no_grad;
        for (std::size_t i = 0; i < groups_.size(); ++i) step_group(i, lr * groups_[i].lr_scale);
    }

    /// Drops the gradients, so that the next backward pass writes instead of adding.
    void zero_grad() {
        for (auto& group : groups_)
            for (auto& item : group.parameters) item.second.mutable_grad().reset();
    }

    /// Names the tensors that belong to a checkpoint: "momentum.<parameter>", none without momentum.
    template <class Visitor>
    void state(Visitor&& visit) {
        for (std::size_t i = 0; i < velocities_.size(); ++i)
            for (std::size_t j = 0; j < velocities_[i].size(); ++j)
                visit("momentum." + groups_[i].parameters[j].first, velocities_[i][j]);
    }

    const Groups& groups() const { return groups_; }

private:
    void step_group(std::size_t i, double lr) {
        std::vector<Tensor> parameters, gradients, velocities;
        for (std::size_t j = 0; j < groups_[i].parameters.size(); ++j) {
            const auto& [name, w] = groups_[i].parameters[j];
            if (!w.grad().defined()) continue;
            require(w.grad().layout() == at::kStrided, "Sgd: the gradient of ", name, " must be dense, it is sparse");
            parameters.push_back(w);
            gradients.push_back(laid_out_as(w, w.grad()));
            if (velocities_.empty()) continue;
            auto& velocity = velocities_[i][j];
            velocity = laid_out_as(w, velocity);
            velocities.push_back(velocity);
        }
        if (parameters.empty()) return;
        at::_fused_sgd_(parameters, gradients, velocities, groups_[i].weight_decay, options_.momentum, lr,
                        /*dampening=*/0, options_.nesterov, /*maximize=*/false, /*is_first_step=*/false);
    }

    /// The fused kernel walks through memory, so all its tensors must lie as the parameter does (it may have become
    /// channels-last, or have moved to another device, since the optimiser was built).
    static Tensor laid_out_as(const Tensor& w, const Tensor& t) {
        bool same = t.device() == w.device();
        for (std::int64_t d = 0; d < w.dim(); ++d) same &= w.size(d) == 1 || t.stride(d) == w.stride(d);
        return same ? t : at::empty_like(w).copy_(t);
    }

    void check() const {
        const auto& o = options_;
        require(o.lr >= 0 && std::isfinite(o.lr), "Sgd: lr must be finite and not negative, got ", o.lr);
        require(o.momentum >= 0 && o.momentum < 1, "Sgd: momentum must be from 0 to below 1, got ", o.momentum);
        require(!o.nesterov || o.momentum > 0, "Sgd: nesterov needs momentum above 0, got ", o.momentum);
        require(o.weight_decay >= 0 && std::isfinite(o.weight_decay),
                "Sgd: weight_decay must be finite and not negative, got ", o.weight_decay);
        Tensor first;
        for (const auto& group : groups_) {
            require(group.weight_decay >= 0 && std::isfinite(group.weight_decay),
                    "Sgd: a group's weight_decay must be finite and not negative, got ", group.weight_decay);
            require(group.lr_scale >= 0 && std::isfinite(group.lr_scale),
                    "Sgd: a group's lr_scale must be finite and not negative, got ", group.lr_scale);
            for (const auto& [name, w] : group.parameters) {
                require(w.defined(), "Sgd: parameter ", name, " is undefined");
                require(w.scalar_type() == at::kFloat || w.scalar_type() == at::kDouble,
                        "Sgd: parameters must be float32 or float64, ", name, " is ", w.scalar_type());
                require(w.is_non_overlapping_and_dense(), "Sgd: parameter ", name, " is a view with gaps or overlaps");
                if (!first.defined()) first = w;
                require(w.device() == first.device() && w.scalar_type() == first.scalar_type(),
                        "Sgd: parameters must share type and device, ", name, " is ", w.scalar_type(), " on ",
                        w.device(), ", others are ", first.scalar_type(), " on ", first.device());
            }
        }
        require(first.defined(), "Sgd: there are no parameters to train");
    }

    Sgd options_;
    Groups groups_;
    std::vector<std::vector<Tensor>> velocities_;  // as groups_; empty without momentum
};

inline Sgd::State Sgd::build(const NamedParameters& parameters) const {
    if (decay_norm_and_bias) return State(*this, {{.parameters = parameters, .weight_decay = weight_decay}});
    return State(*this, split_by_decay(parameters, weight_decay));
}

inline Sgd::State Sgd::build_groups(Groups groups) const { return State(*this, std::move(groups)); }

static_assert(Optimizer<Sgd::State> && OptimizerSpec<Sgd>);

}  // namespace doppel::optim
