// SPDX-License-Identifier: Apache-2.0
// Any optimizer's options behind one type: what a preset holds.
#pragma once

#include <doppel/optim/optimizer.hpp>

#include <concepts>
#include <memory>
#include <string>
#include <utility>

namespace doppel::optim {

/// Type-erased optimizer options; build(parameters) creates the optimizer. Cheap to copy.
///
///     optim::AnyOptimizerSpec spec = optim::Sgd{.weight_decay = 5e-4};
///     optim::AnyOptimizer optimizer = spec.with_lr(0.06).build(method.trainable());
class AnyOptimizerSpec {
public:
    template <class S>
        requires(!std::same_as<S, AnyOptimizerSpec>)
    AnyOptimizerSpec(S spec)  // NOLINT: implicit by intent
        : self_(std::make_shared<const Model<S>>(std::move(spec))) {
        static_assert(OptimizerSpec<S>, "an optimizer's options need a member lr and build(NamedParameters) giving an optimizer with "
                                        "step(lr), zero_grad(), state(visitor) and groups(), as optim::Sgd");
    }

    AnyOptimizer build(const NamedParameters& parameters) const { return self_->build(parameters); }
    /// The same options with another learning rate of their own: the peak of a preset's schedule.
    AnyOptimizerSpec with_lr(double lr) const { return self_->with_lr(lr); }
    /// One line for logs and config.json; "custom" for an optimizer that does not describe itself.
    std::string describe() const { return self_->describe(); }
    /// A warning when a peak learning rate looks like one for another optimizer, else "". Throws Error where it is out of
    /// all proportion.
    std::string doubt(double peak) const { return self_->doubt(peak); }

private:
    struct Interface {
        virtual ~Interface() = default;
        virtual AnyOptimizer build(const NamedParameters&) const = 0;
        virtual AnyOptimizerSpec with_lr(double) const = 0;
        virtual std::string describe() const = 0;
        virtual std::string doubt(double) const = 0;
    };
    template <class S>
    struct Model final : Interface {
        explicit Model(S s) : spec(std::move(s)) {}
        AnyOptimizer build(const NamedParameters& parameters) const override {
            if constexpr (OptimizerSpec<S>)
                return AnyOptimizer(spec.build(parameters));
            else
                std::abort();  // refused by the constructor
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
        std::string doubt([[maybe_unused]] double peak) const override {
            if constexpr (requires { { spec.doubt(peak) } -> std::convertible_to<std::string>; })
                return spec.doubt(peak);
            else
                return "";
        }
        S spec;
    };
    std::shared_ptr<const Interface> self_;
};

}  // namespace doppel::optim
