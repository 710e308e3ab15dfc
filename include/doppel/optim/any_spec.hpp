// SPDX-License-Identifier: Apache-2.0
// Type-erased optimizer options.
#pragma once

#include <doppel/optim/optimizer.hpp>

#include <functional>
#include <string>
#include <utility>

namespace doppel::optim {

/// Type-erased optimizer options, as in a preset; build(parameters) creates the optimizer once the parameters are on
/// their device.
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
    /// Returns one line for logs and config.json; "custom" if the options have no describe().
    const std::string& describe() const { return text_; }
    /// Returns a warning if the peak learning rate is outside the optimizer's usual range, else "".
    /// Throws Error if it is far outside.
    std::string check_learning_rate(double peak) const { return check_ ? check_(peak) : ""; }

private:
    std::function<AnyOptimizer(const NamedParameters&)> build_;
    std::function<std::string(double)> check_{};
    std::string text_ = "custom";
};

}  // namespace doppel::optim
