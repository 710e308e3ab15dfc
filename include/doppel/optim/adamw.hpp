// SPDX-License-Identifier: Apache-2.0
// AdamW and Adam, fused over all parameters.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/optim/detail/common.hpp>
#include <doppel/optim/optimizer.hpp>

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cstddef>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace doppel::optim {

/// AdamW as in torch.optim.AdamW: for each parameter w with gradient g, in its t-th step,
///
///     w ← w − lr·wd·w,   m ← β₁m + (1−β₁)g,   v ← β₂v + (1−β₂)g²,   w ← w − lr·m̂ / (√v̂ + eps)
///
/// with m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ). Adam (decoupled = false, torch.optim.Adam): g ← g + wd·w in place of the decay.
/// A step skips parameters without gradient: no decay, and t does not advance. By default, biases and normalization
/// parameters do not decay (DINO); with MoCo v3's ViT and torch all do. Weight decay may follow a schedule: step(lr,
/// wd).
/// Parameters are float32 (or float64), of one dtype on one device; state has their memory layout. No device sync.
/// Throws Error for options out of range, for no parameters, and for a learning rate above 0.1: a step changes each
/// weight by about lr, so such a rate is one for SGD or LARS.
/// Source: Loshchilov, Hutter, "Decoupled weight decay regularization", ICLR 2019, arXiv:1711.05101; Kingma, Ba,
/// "Adam", ICLR 2015, arXiv:1412.6980.
///
///     auto adamw = optim::AdamW{.weight_decay = 0.04}.build(method.trainable());           // DINO
///     optim::AdamW{.weight_decay = 1e-6, .decay_norm_and_bias = true, .decoupled = false}  // Adam: MMCR on CIFAR
struct AdamW {
    double lr = 1e-3;                  ///< learning rate of step() without argument; peak of a preset's schedule; ≤ 0.1
    double beta1 = 0.9;                ///< decay of the mean, from 0 to below 1
    double beta2 = 0.999;              ///< decay of the mean square, from 0 to below 1
    double eps = 1e-8;                 ///< > 0
    double weight_decay = 0.05;        ///< ≥ 0; DINO: 0.04 rising to 0.4, MoCo v3: 0.1
    bool decay_norm_and_bias = false;  ///< decay parameters of at most one dimension too
    bool decoupled = true;             ///< false: Adam
    Rules except{};                    ///< exceptions for some parameters

    class State;

    /// Returns one line for logs and config.json.
    std::string describe() const {
        std::ostringstream text;
        text << (decoupled ? "AdamW" : "Adam") << ", betas " << beta1 << " and " << beta2 << ", eps " << eps
             << ", weight decay " << weight_decay << (decay_norm_and_bias ? "" : ", not on biases and normalization")
             << detail::text_of(except);
        return text.str();
    }

    /// Returns a warning for a peak learning rate above 0.02, else "". Throws Error above 0.1.
    std::string check_learning_rate(double peak) const {
        require_lr(peak);
        return peak > 0.02 ? detail::learning_rate_warning(who(), peak, "high", "SGD or LARS") : "";
    }

    /// Creates the optimizer, with groups from weight_decay and `except`.
    State build(const NamedParameters& parameters) const;

    /// Creates the optimizer for custom groups, with their weight decay and learning rates.
    State build_groups(Groups groups) const;

private:
    const char* who() const { return decoupled ? "AdamW" : "Adam"; }

    void require_lr(double rate) const {
        require(rate >= 0 && rate <= 0.1, who(), ": learning rate must be from 0 to 0.1, got ", rate,
                rate > 0.1 ? "; is it meant for SGD or LARS?" : "");
    }
};

/// An AdamW or Adam optimizer and its state.
class AdamW::State {
public:
    State(const AdamW& options, Groups groups) : options_(options), groups_(std::move(groups)) {
        check();
        const at::NoGradGuard no_grad;
        for (const auto& group : groups_) {
            auto& moments = moments_.emplace_back();
            for (const auto& [name, w] : group.parameters)
                moments.push_back({at::zeros_like(w), at::zeros_like(w), at::zeros({}, w.options().dtype(at::kFloat))});
        }
    }

    void step() { step(options_.lr); }

    /// Takes a step. `weight_decay` replaces the non-zero weight decay of each group in this step.
    /// Nothing moves where `bad` [] on the device is 1.
    void step(double lr, std::optional<double> weight_decay = {}, const Tensor& bad = {}) {
        options_.require_lr(lr);
        if (weight_decay) detail::require_rate(options_.who(), "weight decay", *weight_decay);
        const at::NoGradGuard no_grad;
        for (std::size_t i = 0; i < groups_.size(); ++i)
            step_group(i, detail::rate(groups_[i], lr), detail::decay(groups_[i], weight_decay), bad);
    }

    /// Drops the gradients, so that the next backward pass writes them instead of adding.
    void zero_grad() { detail::drop_gradients(groups_); }

    /// Visits the tensors of a checkpoint by name: "exp_avg.<parameter>", "exp_avg_sq.<parameter>" and
    /// "step.<parameter>", the number of steps of that parameter.
    template <class Visitor>
    void state(Visitor&& visit) {
        for (std::size_t i = 0; i < moments_.size(); ++i)
            for (std::size_t j = 0; j < moments_[i].size(); ++j) {
                const auto& name = groups_[i].parameters[j].first;
                visit("exp_avg." + name, moments_[i][j].mean);
                visit("exp_avg_sq." + name, moments_[i][j].square);
                visit("step." + name, moments_[i][j].step);
            }
    }

    const Groups& groups() const { return groups_; }

private:
    struct Moments {
        Tensor mean, square, step;  // of the parameter's shape, of the parameter's shape, float32 []
    };

    void step_group(std::size_t i, double lr, double weight_decay, const Tensor& bad) {
        std::vector<Tensor> parameters, gradients, means, squares, steps;
        detail::each_active(options_.who(), groups_[i], [&](std::size_t j, const Tensor& w, const Tensor& gradient) {
            auto& [mean, square, step] = moments_[i][j];
            mean = detail::with_layout_of(w, mean);
            square = detail::with_layout_of(w, square);
            step = step.to(w.device());
            parameters.push_back(w);
            gradients.push_back(gradient);
            means.push_back(mean);
            squares.push_back(square);
            steps.push_back(step);
        });
        if (parameters.empty()) return;
        if (bad.defined())
            at::_foreach_add_(steps, bad.eq(0).to(at::kFloat));
        else
            at::_foreach_add_(steps, 1);
        const auto fused = [&](auto&& kernel) {
            kernel(parameters, gradients, means, squares, /*max_exp_avg_sqs=*/at::TensorList{}, steps, lr,
                   options_.beta1, options_.beta2, weight_decay, options_.eps, /*amsgrad=*/false, /*maximize=*/false,
                   /*grad_scale=*/std::optional<Tensor>{}, detail::found_inf(bad));
        };
        if (options_.decoupled)
            fused([](auto&&... all) { at::_fused_adamw_(all...); });
        else
            fused([](auto&&... all) { at::_fused_adam_(all...); });
    }

    void check() const {
        const auto& o = options_;
        options_.require_lr(o.lr);
        require(o.beta1 >= 0 && o.beta1 < 1, options_.who(), ": beta1 must be from 0 to below 1, got ", o.beta1);
        require(o.beta2 >= 0 && o.beta2 < 1, options_.who(), ": beta2 must be from 0 to below 1, got ", o.beta2);
        require(o.eps > 0 && std::isfinite(o.eps), options_.who(), ": eps must be finite and above 0, got ", o.eps);
        detail::require_rate(options_.who(), "weight_decay", o.weight_decay);
        detail::check(options_.who(), groups_);
    }

    AdamW options_;
    Groups groups_;
    std::vector<std::vector<Moments>> moments_;  // as groups_
};

inline AdamW::State AdamW::build(const NamedParameters& parameters) const {
    return State(*this, make_groups(parameters, weight_decay, at_peak(except, lr), decay_norm_and_bias));
}

inline AdamW::State AdamW::build_groups(Groups groups) const { return State(*this, std::move(groups)); }

static_assert(Optimizer<AdamW::State> && OptimizerSpec<AdamW>);

}  // namespace doppel::optim
