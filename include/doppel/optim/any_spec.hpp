// SPDX-License-Identifier: Apache-2.0
// Any description of an optimizer behind one type: what a preset holds.
#pragma once

#include <doppel/optim/optimizer.hpp>

#include <functional>
#include <string>
#include <utility>

namespace doppel::optim {

/// Builds an optimizer for parameters once they are where they will be trained.
///
///     optim::AnyOptimizerSpec spec = optim::Sgd{.weight_decay = 5e-4};
///     optim::AnyOptimizer optimizer = spec.build(method.trainable());
class AnyOptimizerSpec {
public:
    template <class S>
        requires(!std::same_as<S, AnyOptimizerSpec> && OptimizerSpec<S>)
    AnyOptimizerSpec(S spec)  // NOLINT: implicit by intent
        : build_([spec](const NamedParameters& parameters) { return AnyOptimizer(spec.build(parameters)); }) {
        if constexpr (requires { { spec.describe() } -> std::convertible_to<std::string>; }) text_ = spec.describe();
        if constexpr (requires { { spec.check_learning_rate(double{}) } -> std::convertible_to<std::string>; })
            check_ = [spec](double peak) { return spec.check_learning_rate(peak); };
    }

    AnyOptimizer build(const NamedParameters& parameters) const { return build_(parameters); }
    /// One line for logs and config.json; "custom" for an optimizer that does not describe itself.
    const std::string& describe() const { return text_; }
    /// A warning when a highest learning rate of `peak` looks like one for another optimizer, else "".
    /// Throws Error where it is out of all proportion.
    std::string check_learning_rate(double peak) const { return check_ ? check_(peak) : ""; }

private:
    std::function<AnyOptimizer(const NamedParameters&)> build_;
    std::function<std::string(double)> check_{};
    std::string text_ = "custom";
};

}  // namespace doppel::optim
