// SPDX-License-Identifier: Apache-2.0
// Type-erased optimizer options.
#pragma once

#include <doppel/optim/optimizer.hpp>

#include <concepts>
#include <memory>
#include <string>
#include <utility>

namespace doppel::optim {

/// Type-erased optimizer options, as in a preset; build(parameters) creates the optimizer once the parameters are on
/// their device. Cheap to copy.
///
///     optim::AnyOptimizerSpec spec = optim::Sgd{.weight_decay = 5e-4};
///     optim::AnyOptimizer optimizer = spec.with_lr(0.06).build(method.trainable());
class AnyOptimizerSpec {
public:
    template <class S>
        requires(!std::same_as<S, AnyOptimizerSpec>)
    AnyOptimizerSpec(S spec)  // NOLINT: implicit by intent
        : self_(std::make_shared<const Model<S>>(std::move(spec))) {
        static_assert(OptimizerSpec<S>,
                      "an optimizer's options need a member lr and build(NamedParameters) giving an optimizer with "
                      "step(lr), zero_grad(), state(visitor) and groups(), as optim::Sgd");
    }

    AnyOptimizer build(const NamedParameters& parameters) const { return self_->build(parameters); }
    /// Returns the options with another lr: the peak of a preset's schedule.
    AnyOptimizerSpec with_lr(double lr) const { return self_->with_lr(lr); }
    /// Returns one line for logs and config.json; "custom" if the options have no describe().
    std::string describe() const { return self_->describe(); }
    /// Returns a warning if the peak learning rate is outside the optimizer's usual range, else "".
    /// Throws Error if it is far outside.
    std::string check_learning_rate(double peak) const { return self_->check_learning_rate(peak); }

private:
    struct Interface {
        virtual ~Interface() = default;
        virtual AnyOptimizer build(const NamedParameters&) const = 0;
        virtual AnyOptimizerSpec with_lr(double) const = 0;
        virtual std::string describe() const = 0;
        virtual std::string check_learning_rate(double) const = 0;
    };
    template <class S>
    struct Model final : Interface {
        explicit Model(S s) : spec(std::move(s)) {}
        AnyOptimizer build(const NamedParameters& parameters) const override {
            if constexpr (OptimizerSpec<S>)
                return AnyOptimizer(spec.build(parameters));
            else
                std::abort();  // rejected by the constructor
        }
        AnyOptimizerSpec with_lr(double lr) const override {
            S other = spec;
            if constexpr (requires { other.lr = lr; }) other.lr = lr;
            return other;
        }
        std::string describe() const override {
            if constexpr (requires { { spec.describe() } -> std::convertible_to<std::string>; })
                return spec.describe();
            else
                return "custom";
        }
        std::string check_learning_rate([[maybe_unused]] double peak) const override {
            if constexpr (requires { { spec.check_learning_rate(peak) } -> std::convertible_to<std::string>; })
                return spec.check_learning_rate(peak);
            else
                return "";
        }
        S spec;
    };
    std::shared_ptr<const Interface> self_;
};

}  // namespace doppel::optim
