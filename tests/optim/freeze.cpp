// SPDX-License-Identifier: Apache-2.0
#include <doppel/optim/adamw.hpp>
#include <doppel/optim/freeze.hpp>
#include <doppel/optim/lars.hpp>
#include <doppel/optim/sgd.hpp>
#include <doppel/optim/any_spec.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {
optim::NamedParameters parameters() {
    return {{"body.weight", wave({3, 2}).requires_grad_()}, {"head.last.weight", wave({2, 3}).requires_grad_()}};
}
void give_gradients(const optim::NamedParameters& all) {
    for (const auto& [name, w] : all) Tensor(w).mutable_grad() = at::ones_like(w);
}
}  // namespace

TEST_CASE("what is frozen stays bit for bit as it is, decay and momentum too, and then moves") {
    const auto all = parameters();
    auto adamw = optim::AdamW{.lr = 0.01, .weight_decay = 0.5}.build(all);
    const Tensor before = all[1].second.detach().clone();
    for (std::int64_t step = 0; step < 4; ++step) {
        give_gradients(all);
        optim::drop_frozen({{.matches = "head.last", .epochs = 1.5}}, adamw.groups(), step, /*steps_per_epoch=*/2);
        adamw.step(0.01);
        adamw.zero_grad();
        INFO("step " << step);
        CHECK(bit_equal(all[1].second.detach(), before) == (step < 3));
    }
}

TEST_CASE("a freeze lasts its epochs or its steps, whichever is longer, and names what it cannot find") {
    CHECK(optim::Freeze{.matches = "a", .epochs = 1}.until(10) == 10);
    CHECK(optim::Freeze{.matches = "a", .epochs = 1, .steps = 313}.until(10) == 313);
    CHECK(optim::Freeze{.matches = "head", .epochs = 1}.describe() == "'head' for 1 epoch");
    CHECK(optim::Freeze{.matches = "head", .steps = 313}.describe() == "'head' for 313 steps");
    const auto all = parameters();
    const auto sgd = optim::Sgd{}.build(all);
    CHECK(mentions(message_of([&] { optim::drop_frozen({{.matches = "hed", .epochs = 1}}, sgd.groups(), 0, 1); }),
                   {"Freeze", "'hed'", "no parameter"}));
    CHECK(mentions(message_of([&] { optim::drop_frozen({{.matches = "head", .epochs = -1}}, sgd.groups(), 0, 1); }),
                   {"Freeze", "'head'", "-1"}));
}

TEST_CASE("a freeze that outlasts the run is said") {
    const optim::Freeze freeze{.matches = "projector.last_layer", .epochs = 1};
    CHECK(freeze.begin({.steps = 11, .steps_per_epoch = 10}).empty());
    CHECK(freeze.begin({.steps = 10, .steps_per_epoch = 10}) ==
          "optim::Freeze: 'projector.last_layer' for 1 epoch in a run of 10 steps: they are never trained; train longer or "
          "freeze them for less");
    CHECK(mentions(optim::Freeze{.matches = "loss.prototypes", .steps = 313}.begin({.steps = 40, .steps_per_epoch = 10}),
                   {"loss.prototypes", "313 steps", "40 steps"}));
}

TEST_CASE("a learning rate of another optimizer's size is doubted, or refused where it would ruin the run") {
    const optim::AnyOptimizerSpec sgd = optim::Sgd{}, adamw = optim::AdamW{}, lars = optim::Lars{};
    CHECK(sgd.check_learning_rate(0.2).empty());
    CHECK(adamw.check_learning_rate(1e-3).empty());
    CHECK(lars.check_learning_rate(4.8).empty());
    CHECK(mentions(sgd.check_learning_rate(1.5e-4), {"SGD", "0.00015", "AdamW"}));
    CHECK(mentions(sgd.check_learning_rate(12), {"SGD", "12", "LARS"}));
    CHECK(mentions(lars.check_learning_rate(1.5e-4), {"LARS", "AdamW"}));
    CHECK(mentions(adamw.check_learning_rate(0.05), {"AdamW", "0.05", "SGD"}));
    CHECK(mentions(message_of([&] { adamw.check_learning_rate(0.3); }), {"AdamW", "0.3", "SGD or LARS"}));
}
