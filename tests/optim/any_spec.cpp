// SPDX-License-Identifier: Apache-2.0
#include <doppel/optim/any_spec.hpp>
#include <doppel/optim/sgd.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;
using optim::AnyOptimizerSpec;

namespace {

/// The least that optimizer options are.
struct Least {
    double lr = 0.1;
    struct State {
        optim::Groups all;
        void step(double rate) {
            for (auto& [name, w] : all.at(0).parameters) w.detach().sub_(rate);
        }
        void zero_grad() {}
        void state(const optim::StateVisitor&) {}
        const optim::Groups& groups() const { return all; }
    };
    State build(const optim::NamedParameters& parameters) const { return {{optim::Group{.parameters = parameters}}}; }
};

}  // namespace

TEST_CASE("erased optimizer options build what they hold, and are copied with another lr") {
    const Tensor w = at::ones({2});
    AnyOptimizerSpec(Least{}).build({{"w", w}}).step(0.25);
    CHECK(w[0].item<float>() == 0.75);
    const optim::Sgd sgd{.lr = 0.1, .weight_decay = 5e-4};
    const AnyOptimizerSpec any = sgd, other = any.with_lr(0.2);
    CHECK(any.describe() == sgd.describe());
    CHECK(other.describe() == any.describe());
    CHECK(any.check_learning_rate(0.1) == sgd.check_learning_rate(0.1));
}

TEST_CASE("options without describe() are custom, and doubt no learning rate") {
    CHECK(AnyOptimizerSpec(Least{}).describe() == "custom");
    CHECK(AnyOptimizerSpec(Least{}).check_learning_rate(1e6).empty());
}
