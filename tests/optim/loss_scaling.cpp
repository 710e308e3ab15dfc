// SPDX-License-Identifier: Apache-2.0
#include <doppel/optim/loss_scaling.hpp>
#include <doppel/optim/sgd.hpp>

#include "support/torch_support.hpp"

#include <limits>

using namespace doppel;

namespace {

struct Fixture {
    Tensor w = at::full({2}, 1.0f).requires_grad_(true);
    optim::LossScaling optimizer{optim::Sgd{.lr = 0.5, .momentum = 0}.build({{"w", w}}), at::kCPU, 8, /*patience=*/2};

    double scale() const { return optimizer.scale.item<double>(); }
    /// A step with a gradient of `slope` a weight, by the scaled loss.
    bool step(double slope) {
        (w.sum() * slope * optimizer.scale).sum().backward();
        const Tensor bad = optim::unscale(optimizer.scale, optimizer.groups());
        optimizer.step(0.5, {}, bad);
        optimizer.zero_grad();
        return bad.item<float>() != 0;
    }
};

}  // namespace

TEST_CASE("loss scaling gives the unscaled step, and the scale follows torch's rule") {
    Fixture f;
    CHECK(!f.step(1));
    CHECK(f.w[0].item<float>() == 0.5f);
    CHECK(f.scale() == 8);
    CHECK(!f.step(1));  // two in a row
    CHECK(f.scale() == 16);
    CHECK(f.step(std::numeric_limits<double>::infinity()));  // leaves the weights, halves the scale
    CHECK(f.w[0].item<float>() == 0.0f);
    CHECK(f.scale() == 8);
    CHECK(!f.step(2));
    CHECK(f.w[1].item<float>() == -1.0f);
    CHECK(f.scale() == 8);  // counted from the start again
}

TEST_CASE("the scale is part of the optimizer's state") {
    Fixture f;
    f.step(1);
    std::vector<std::string> names;
    f.optimizer.state([&](const std::string& name, Tensor& value) {
        names.push_back(name);
        if (name == "loss_scale") value.fill_(4);
    });
    CHECK(names == std::vector<std::string>{"loss_scale", "loss_scale.good_steps"});
    CHECK(f.scale() == 4);
}

TEST_CASE("an optimizer that cannot leave out a step is refused for float16") {
    struct Plain {
        optim::Groups all;
        void step(double) {}
        void zero_grad() {}
        void state(const optim::StateVisitor&) {}
        const optim::Groups& groups() const { return all; }
    };
    CHECK_THROWS_AS(optim::LossScaling(optim::AnyOptimizer(Plain{}), at::kCPU), Error);
}
