// SPDX-License-Identifier: Apache-2.0
// The concepts of an optimizer and its options, and the type-erased optimizer.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/optim/groups.hpp>

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace doppel::optim {

/// A callback for the name and tensor of each piece of state; it may copy into the tensor to restore it.
using StateVisitor = std::function<void(const std::string&, Tensor&)>;

/// An optimizer of the parameters of its groups.
/// step(lr) updates the parameters that have a gradient; step(lr, weight_decay), which is optional, takes a scheduled
/// weight decay; step(lr, weight_decay, bad), which is optional too, leaves everything as it is where `bad` [] on the device
/// is 1, so that nobody must wait for the verdict on a step; zero_grad() drops the gradients; state(visitor) visits everything that a resumed run needs, and is
/// complete before the first step.
template <class O>
concept Optimizer = std::move_constructible<O> && requires(O& o, const O& c, const StateVisitor& visit) {
    o.step(double{});
    o.zero_grad();
    o.state(visit);
    { c.groups() } -> std::convertible_to<const Groups&>;
};

/// Optimizer options; `build(parameters)` creates the optimizer.
template <class S>
concept OptimizerSpec = requires(const S& spec, const NamedParameters& parameters) {
    { spec.build(parameters) } -> Optimizer;
    { spec.lr } -> std::convertible_to<double>;
};

/// Type-erased optimizer, so that the training loop is compiled once. Move-only.
///
///     optim::AnyOptimizer optimizer = optim::Sgd{.lr = 0.06}.build(method.trainable());
///     optimizer.step(schedule(at));
class AnyOptimizer {
public:
    template <class O>
        requires(!std::same_as<O, AnyOptimizer> && Optimizer<O>)
    AnyOptimizer(O optimizer)  // NOLINT: implicit by intent
        : self_(std::make_unique<Model<O>>(std::move(optimizer))) {}

    /// Takes a step. Throws Error for a weight decay if the optimizer has no step(lr, weight_decay).
    void step(double lr, std::optional<double> weight_decay = {}) { self_->step(lr, weight_decay); }
    /// Takes a step, or leaves no trace where `bad` [] is 1. Throws Error if the optimizer cannot: see takes_verdict().
    void step(double lr, std::optional<double> weight_decay, const Tensor& bad) { self_->step(lr, weight_decay, bad); }
    /// Whether the optimizer has step(lr, weight_decay, bad).
    bool takes_verdict() const { return self_->takes_verdict(); }
    void zero_grad() { self_->zero_grad(); }
    void state(const StateVisitor& visit) { self_->state(visit); }
    const Groups& groups() const { return self_->groups(); }

private:
    struct Interface {
        virtual ~Interface() = default;
        virtual void step(double, std::optional<double>) = 0;
        virtual void step(double, std::optional<double>, const Tensor&) = 0;
        virtual bool takes_verdict() const = 0;
        virtual void zero_grad() = 0;
        virtual void state(const StateVisitor&) = 0;
        virtual const Groups& groups() const = 0;
    };
    template <class O>
    struct Model final : Interface {
        explicit Model(O o) : optimizer(std::move(o)) {}
        void step(double lr, std::optional<double> weight_decay) override {
            if constexpr (requires { optimizer.step(lr, weight_decay); }) {
                optimizer.step(lr, weight_decay);
            } else {
                require(!weight_decay,
                        "this optimizer supports no weight decay schedule: it has no step(lr, weight_decay)");
                optimizer.step(lr);
            }
        }
        void step(double lr, std::optional<double> weight_decay, const Tensor& bad) override {
            if constexpr (requires { optimizer.step(lr, weight_decay, bad); })
                optimizer.step(lr, weight_decay, bad);
            else
                fail("this optimizer cannot leave out a step on the device: it has no step(lr, weight_decay, bad)");
        }
        bool takes_verdict() const override {
            return requires(O& o) { o.step(0.0, std::optional<double>{}, Tensor{}); };
        }
        void zero_grad() override { optimizer.zero_grad(); }
        void state(const StateVisitor& visit) override { optimizer.state(visit); }
        const Groups& groups() const override { return optimizer.groups(); }
        O optimizer;
    };
    std::unique_ptr<Interface> self_;
};

}  // namespace doppel::optim
