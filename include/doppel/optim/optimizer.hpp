// SPDX-License-Identifier: Apache-2.0
// What an optimizer is to the training loop.
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

/// Called with the name and the tensor of each piece of state; a loader may copy into the tensor.
using StateVisitor = std::function<void(const std::string&, Tensor&)>;

/// An optimizer at work on the parameters of its groups.
/// step(lr) moves them along their gradients, skipping those without one; step(lr, weight_decay), where there is such,
/// takes a weight decay that changes from step to step; zero_grad() drops the gradients;
/// state(visitor) names everything that a resumed run needs, complete from before the first step.
template <class O>
concept Optimizer = std::move_constructible<O> && requires(O& o, const O& c, const StateVisitor& visit) {
    o.step(double{});
    o.zero_grad();
    o.state(visit);
    { c.groups() } -> std::convertible_to<const Groups&>;
};

/// A description of an optimizer, which parameters turn into one at work.
template <class S>
concept OptimizerSpec = requires(const S& spec, const NamedParameters& parameters) {
    { spec.build(parameters) } -> Optimizer;
    { spec.lr } -> std::convertible_to<double>;
};

/// Any optimizer behind one type, so that the training loop is compiled once. Can be moved, not copied.
///
///     optim::AnyOptimizer optimizer = optim::Sgd{.lr = 0.06}.build(method.trainable());
///     optimizer.step(schedule(at));
class AnyOptimizer {
public:
    template <class O>
        requires(!std::same_as<O, AnyOptimizer> && Optimizer<O>)
    AnyOptimizer(O optimizer)  // NOLINT: implicit by intent
        : self_(std::make_unique<Model<O>>(std::move(optimizer))) {}

    /// Throws Error for a weight decay given to an optimizer whose step() takes none.
    void step(double lr, std::optional<double> weight_decay = {}) { self_->step(lr, weight_decay); }
    void zero_grad() { self_->zero_grad(); }
    void state(const StateVisitor& visit) { self_->state(visit); }
    const Groups& groups() const { return self_->groups(); }

private:
    struct Interface {
        virtual ~Interface() = default;
        virtual void step(double, std::optional<double>) = 0;
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
                require(!weight_decay, "this optimizer takes no weight decay by schedule: it has no step(lr, weight_decay)");
                optimizer.step(lr);
            }
        }
        void zero_grad() override { optimizer.zero_grad(); }
        void state(const StateVisitor& visit) override { optimizer.state(visit); }
        const Groups& groups() const override { return optimizer.groups(); }
        O optimizer;
    };
    std::unique_ptr<Interface> self_;
};

}  // namespace doppel::optim
