// SPDX-License-Identifier: Apache-2.0
// optim::AdamW against torch.optim.AdamW and Adam (fixture: reference/make_optim_fixtures.py), groups, state, errors.
#include <doppel/optim/adamw.hpp>

#include "support/optim_support.hpp"

namespace {

using doppel::Tensor;
using doppel::optim::AdamW;
using doppel::optim::NamedParameters;
using doppel::test::mentions;
using doppel::test::message_of;
using doppel::test::parameters_of;
using doppel::test::run;
using doppel::test::set_gradients;
using doppel::test::shapes;
using doppel::test::state_of;

double lr_at(std::int64_t step) { return 0.05 / static_cast<double>(1 + step); }

void equals_torch(const AdamW& spec, const std::string& wanted) {
    auto parameters = parameters_of(shapes());
    auto adamw = spec.build(parameters);
    run(adamw, parameters, 0, 20, lr_at);
    doppel::test::equals_fixture("adamw.txt", wanted, parameters, adamw);
}

/// What one step with gradients of ones does to ones.
Tensor after_a_step(const AdamW& spec, double lr) {
    const Tensor w = at::ones({2, 2}, at::kDouble);
    w.mutable_grad() = at::ones({2, 2}, at::kDouble);
    spec.build({{"w", w}}).step(lr);
    return w;
}

}  // namespace

TEST_CASE("AdamW without decay equals torch.optim.AdamW, with missing gradients") {
    equals_torch({.weight_decay = 0}, "no_decay");
}

TEST_CASE("AdamW equals torch.optim.AdamW with two groups") { equals_torch({.weight_decay = 0.5}, "adamw"); }

TEST_CASE("AdamW with other betas and eps that decays all equals torch.optim.AdamW with one group") {
    equals_torch({.beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.5, .decay_norm_and_bias = true},
                 "decay_all");
}

TEST_CASE("Adam equals torch.optim.Adam") { equals_torch({.weight_decay = 0.5, .decoupled = false}, "adam"); }

TEST_CASE("AdamW's weight decay may change from step to step, on the groups that decay") {
    auto parameters = parameters_of(shapes());
    auto adamw = AdamW{.weight_decay = 0.04}.build(parameters);
    for (std::int64_t step = 0; step < 20; ++step) {
        set_gradients(parameters, step);
        adamw.step(lr_at(step), 0.04 + 0.02 * static_cast<double>(step));
    }
    doppel::test::equals_fixture("adamw.txt", "scheduled", parameters, adamw);
}

TEST_CASE("AdamW's first step is lr whatever the gradient's size, and its decay is beside it") {
    // 1 − lr·wd − lr·1/(1 + eps)
    CHECK(after_a_step({.weight_decay = 0}, 0.01)[0][0].item<double>() == Approx(0.99).epsilon(1e-9));
    CHECK(after_a_step({.weight_decay = 0.5}, 0.01)[0][0].item<double>() == Approx(0.985).epsilon(1e-9));
    CHECK(after_a_step({.weight_decay = 0.5, .decoupled = false}, 0.01)[0][0].item<double>() ==
          Approx(0.99).epsilon(1e-9));
}

TEST_CASE("AdamW in float32 stays within rounding of float64, its state in float32") {
    auto single = parameters_of(shapes(), at::kFloat), twice = parameters_of(shapes());
    auto a = AdamW{.weight_decay = 0.1}.build(single);
    auto b = AdamW{.weight_decay = 0.1}.build(twice);
    run(a, single, 0, 20, lr_at);
    run(b, twice, 0, 20, lr_at);
    for (std::size_t i = 0; i < single.size(); ++i)
        CHECK(at::allclose(single[i].second.detach().to(at::kDouble), twice[i].second.detach(), 1e-5, 1e-6));
    for (const auto& [name, tensor] : state_of(a)) CHECK(tensor.scalar_type() == at::kFloat);
}

TEST_CASE("AdamW does nothing to a parameter without gradient: no decay, no momentum, no count") {
    auto parameters = parameters_of(shapes());
    auto adamw = AdamW{.weight_decay = 0.5}.build(parameters);
    run(adamw, parameters, 0, 3, lr_at);
    const Tensor before = parameters[4].second.detach().clone();
    const Tensor moment = state_of(adamw)["exp_avg.late.weight"].clone();
    CHECK(state_of(adamw)["step.late.weight"].item<double>() == 1);
    set_gradients(parameters, 7);  // without late.weight's
    adamw.step(0.01);
    CHECK(at::equal(before, parameters[4].second));
    CHECK(at::equal(moment, state_of(adamw)["exp_avg.late.weight"]));
    CHECK(state_of(adamw)["step.late.weight"].item<double>() == 1);
    CHECK(state_of(adamw)["step.fc.weight"].item<double>() == 4);
    adamw.zero_grad();
    for (const auto& [name, p] : parameters) CHECK(!p.grad().defined());
    adamw.step(0.1);
    CHECK(state_of(adamw)["step.fc.weight"].item<double>() == 4);
}

TEST_CASE("AdamW gives groups a learning rate of their own, by scale or fixed") {
    const NamedParameters all = {
        {"encoder.a", at::ones({2, 2})}, {"predictor.b", at::ones({2, 2})}, {"head.c", at::ones({2, 2})}};
    for (const auto& [name, w] : all) w.mutable_grad() = at::ones({2, 2});
    auto adamw = AdamW{.lr = 0.01,
                       .weight_decay = 0,
                       .except = {{.matches = "predictor.", .fixed_lr = 0.05}, {.matches = "head.", .lr_scale = 0.5}}}
                     .build(all);
    adamw.step();
    CHECK(all[0].second[0][0].item<double>() == Approx(0.99));
    CHECK(all[1].second[0][0].item<double>() == Approx(0.95));
    CHECK(all[2].second[0][0].item<double>() == Approx(0.995));
    adamw.step(0);
    CHECK(all[0].second[0][0].item<double>() == Approx(0.99));
    CHECK(all[1].second[0][0].item<double>() == Approx(0.90));
}

TEST_CASE("AdamW's state is complete before the first step and resumes bit for bit") {
    doppel::test::resumes_from_its_state(AdamW{.weight_decay = 0.1}, shapes(), 15);  // two moments and a count a parameter
}

TEST_CASE("AdamW gives the same result whatever the memory layout of parameters and gradients") {
    doppel::test::does_not_depend_on_memory_layout(AdamW{}, shapes());
}

TEST_CASE("AdamW describes itself in one line") {
    CHECK(AdamW{}.describe() ==
          "AdamW, betas 0.9 and 0.999, eps 1e-08, weight decay 0.05, not on biases and normalization");
    CHECK(AdamW{.weight_decay = 1e-6, .decay_norm_and_bias = true, .decoupled = false}.describe() ==
          "Adam, betas 0.9 and 0.999, eps 1e-08, weight decay 1e-06");
    CHECK(mentions(AdamW{.except = {{.matches = "head.", .lr_scale = 0.1}}}.describe(),
                   {"; 'head.': learning rate times 0.1"}));
}

TEST_CASE("AdamW complaint which option or parameter is wrong") {
    const NamedParameters one = {{"w", at::ones({2})}};
    const auto complaint = [&](const AdamW& spec) { return message_of([&] { spec.build(one); }); };
    CHECK(complaint({}) == "");
    CHECK(complaint({.lr = -1}) == "AdamW: learning rate must be from 0 to 0.1, got -1");
    CHECK(complaint({.lr = 0.45}) == "AdamW: learning rate must be from 0 to 0.1, got 0.45; is it meant for SGD or LARS?");
    CHECK(complaint({.beta1 = 1}) == "AdamW: beta1 must be from 0 to below 1, got 1");
    CHECK(complaint({.beta2 = -0.5}) == "AdamW: beta2 must be from 0 to below 1, got -0.5");
    CHECK(complaint({.eps = 0}) == "AdamW: eps must be finite and above 0, got 0");
    CHECK(complaint({.weight_decay = -0.1}) == "AdamW: weight_decay must be finite and not negative, got -0.1");
    CHECK(mentions(complaint({.weight_decay = -1, .decoupled = false}), {"Adam: weight_decay"}));
    CHECK(mentions(complaint({.except = {{.matches = "predictor.", .lr_scale = 2}}}), {"'predictor.' matches none"}));
    CHECK(mentions(message_of([&] { AdamW{}.build(one).step(0.2); }), {"learning rate", "0.2", "LARS"}));
    CHECK(mentions(message_of([&] { AdamW{}.build(one).step(std::nan("")); }), {"learning rate", "nan"}));
    CHECK(mentions(message_of([&] { AdamW{}.build(one).step(0.1, -2); }), {"weight decay", "-2"}));
    CHECK(mentions(message_of([&] { AdamW{}.build(NamedParameters{}); }), {"AdamW", "no parameters"}));
    CHECK(mentions(message_of([&] { AdamW{}.build({{"h", at::ones({2}, at::kHalf)}}); }), {"float32", "h is Half"}));
    CHECK(mentions(message_of([&] { AdamW{}.build({{"a", at::ones({2})}, {"b", at::ones({2}, at::kDouble)}}); }),
                   {"share type", "b is Double"}));
    CHECK(mentions(message_of([&] { AdamW{}.build({{"a", one[0].second}, {"again", one[0].second}}); }),
                   {"again", "twice"}));
    const Tensor w = at::ones({2, 2});
    w.mutable_grad() = at::ones({2, 2}).to_sparse();
    CHECK(message_of([&] { AdamW{}.build({{"embedding", w}}).step(0.1); }) ==
          "AdamW: the gradient of embedding is sparse, expected a dense one");
}
