// SPDX-License-Identifier: Apache-2.0
#include <doppel/recipe/branch.hpp>
#include <doppel/heads/mlp.hpp>
#include <doppel/schedules/linear.hpp>
#include <doppel/targets/ema.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {
using Branch = doppel::detail::Branch<decltype(tiny()), heads::Mlp>;
Branch branch() { return Branch(tiny(), heads::Mlp{.hidden = {4}, .out = 3}); }
void update(Branch& target, Branch& online, double m) {
    targets::Ema{.schedule = m}.update(target.parameters(), online.parameters(), {});
}
}  // namespace

TEST_CASE("m = 0 copies the online weights, m = 1 leaves the target as it is") {
    auto online = branch(), target = branch(), other = branch();
    target.copy_from(other);
    const Tensor before = target.encoder->conv->weight.detach().clone();
    update(target, online, 1);
    CHECK(bit_equal(target.encoder->conv->weight, before));
    update(target, online, 0);
    CHECK(bit_equal(target.encoder->conv->weight, online.encoder->conv->weight));
    for (std::size_t i = 0; i < online.projector->parameters().size(); ++i)
        CHECK(bit_equal(target.projector->parameters()[i], online.projector->parameters()[i]));
}

TEST_CASE("an Ema never touches buffers") {
    auto online = branch(), target = branch();
    online.encoder->bn->running_mean.fill_(7);
    update(target, online, 0.5);
    CHECK(target.encoder->bn->running_mean.abs().max().item<double>() == 0);
}

TEST_CASE("a thousand tiny updates stay close to float64") {  // half types would stop moving
    auto online = branch(), target = branch();
    const at::NoGradGuard no_grad;
    for (auto& p : online.encoder->parameters()) p.fill_(1);
    for (auto& p : target.encoder->parameters()) p.fill_(0);
    double exact = 0;
    for (int i = 0; i < 1000; ++i) {
        update(target, online, 0.999);
        exact = 0.999 * exact + 0.001;
    }
    CHECK(target.encoder->conv->weight.mean().item<double>() == Approx(exact).epsilon(1e-4));
}

TEST_CASE("an Ema's schedule is a number, a schedule or a lambda, and is checked before training") {
    const auto weight = [](const targets::Ema& ema, std::int64_t step) {
        std::vector<Tensor> target{at::zeros({1})}, online{at::ones({1})};
        ema.update(target, online, {.step = step, .of = {.steps = 10}});
        return target[0].item<double>();
    };
    CHECK(weight({.schedule = 0.75}, 0) == 0.25);
    CHECK(weight({.schedule = 1}, 0) == 0);
    CHECK(weight({.schedule = schedules::Linear{.from = 0.5, .to = 1}}, 5) == 0.25);
    CHECK(weight({.schedule = [](const TrainingStep& at) { return at.step < 3 ? 0.0 : 1.0; }}, 2) == 1);
    const targets::Ema wild{.schedule = schedules::Linear{.from = 0.9, .to = 1.5}};
    CHECK(mentions(message_of([&] { wild.begin({.steps = 10}); }), {"Ema", "between 0 and 1", "1.2", "step 5"}));
    CHECK(mentions(message_of([&] { weight({.schedule = -0.5}, 0); }), {"Ema", "between 0 and 1", "-0.5"}));
}
