// SPDX-License-Identifier: Apache-2.0
// optim::Lars in its four forms against independent ones (fixture: reference/make_optim_fixtures.py), its properties,
// state and errors.
#include <doppel/optim/lars.hpp>

#include "support/kernels_on_cpu.hpp"
#include "support/optim_support.hpp"

namespace {

using doppel::Tensor;
using doppel::optim::AnyOptimizerSpec;
using doppel::optim::Lars;
using doppel::optim::NamedParameters;
using doppel::test::lars_shapes;
using doppel::test::mentions;
using doppel::test::message_of;
using doppel::test::noise;
using doppel::test::parameters_of;
using doppel::test::run;
using doppel::test::set_gradients;
using doppel::test::state_of;

/// Up from zero, again and again.
auto rising_to(double base) {
    return [base](std::int64_t step) { return base * (static_cast<double>(step % 7) / 6.0); };
}

void equals_reference(const Lars& spec, const std::string& wanted, double base_lr) {
    auto parameters = parameters_of(lars_shapes());
    auto lars = spec.build(parameters);
    run(lars, parameters, 0, 20, rising_to(base_lr));
    doppel::test::equals_fixture("lars.txt", wanted, parameters, lars);
}

/// How far a step at `lr` moves a parameter of this shape with its gradient times `scale`.
Tensor moved(const Lars& spec, at::IntArrayRef shape, double scale, double lr) {
    Tensor w = noise(shape, 1);
    const Tensor before = w.clone();
    w.mutable_grad() = noise(shape, 2) * scale;
    spec.build({{"w", w}}).step(lr);
    return w - before;
}

}  // namespace

TEST_CASE("Lars equals the equations of BYOL's form, MoCo v3's and VICReg's") {
    equals_reference({.weight_decay = 0.05, .eta = 0.02}, "byol", 1.5);
    equals_reference({.momentum = 0, .weight_decay = 0, .eta = 0.02}, "byol_no_decay", 1.5);
    equals_reference({.weight_decay = 0.05, .eta = 0.02, .nesterov = true}, "byol_nesterov", 1.5);
}

TEST_CASE("Lars equals Barlow Twins' form, with a learning rate of their own for biases and normalization") {
    equals_reference({.weight_decay = 0.05,
                      .eta = 0.02,
                      .except = {{.shapes = doppel::optim::Shapes::norm_and_bias, .lr_scale = 0.024}}},
                     "barlow", 1.5);
}

TEST_CASE("Lars leaves a fixed learning rate out of the schedule") {
    equals_reference({.weight_decay = 0.05, .eta = 0.02, .except = {{.matches = "fc.", .fixed_lr = 0.3}}}, "fixed",
                     1.5);
}

TEST_CASE("Lars equals the equations of SimCLR's form, whose velocity holds the learning rate") {
    equals_reference({.weight_decay = 0.05, .rule = Lars::Rule::simclr}, "simclr", 3.0);
    equals_reference({.weight_decay = 0.05, .rule = Lars::Rule::simclr, .eta = 0.02, .nesterov = true},
                     "simclr_nesterov", 1.5);
}

TEST_CASE("Lars equals the equations of apex's LARC, which leaves nothing out") {
    equals_reference({.weight_decay = 0.05, .rule = Lars::Rule::larc, .eta = 0.02}, "larc", 1.5);
    equals_reference({.weight_decay = 0, .rule = Lars::Rule::larc, .eta = 0.02}, "larc_no_decay", 1.5);
}

TEST_CASE("Lars equals lightly's, which is LARC that leaves biases and normalization out") {
    Lars spec{.weight_decay = 0.05, .rule = Lars::Rule::larc, .eta = 0.02, .adapt_norm_and_bias = false};
    equals_reference(spec, "lightly", 1.5);
    spec.nesterov = true;
    equals_reference(spec, "lightly_nesterov", 1.5);
}

TEST_CASE("Lars equals the equations of solo-learn's form, and timm's where no norm is zero") {
    Lars spec{.weight_decay = 0.05, .rule = Lars::Rule::clipped};
    equals_reference(spec, "clipped", 0.04);
    spec.adapt_norm_and_bias = true;
    equals_reference(spec, "clipped_all", 0.04);
    equals_reference(spec, "timm", 0.04);
}

TEST_CASE("Lars takes the same steps by the kernels of a GPU") {
    for (const auto rule : {Lars::Rule::byol, Lars::Rule::simclr, Lars::Rule::larc, Lars::Rule::clipped})
        for (const bool nesterov : {false, true}) {
            const Lars spec{.weight_decay = 0.05, .rule = rule, .eta = 0.02, .nesterov = nesterov};
            INFO(spec.describe());
            doppel::test::KernelsOnCpu backend;
            std::map<std::string, Tensor> found[2];
            for (const bool kernels : {false, true}) {
                const auto use = kernels ? std::make_unique<doppel::device::UseBackend>(backend) : nullptr;
                auto parameters = parameters_of(lars_shapes(), at::kFloat);
                auto lars = spec.build(parameters);
                run(lars, parameters, 0, 6, rising_to(1.5));
                for (auto& [name, tensor] : state_of(lars)) found[kernels].emplace(name, tensor.clone());
                for (auto& [name, tensor] : parameters) found[kernels].emplace(name, tensor.detach().clone());
            }
            for (const auto& [name, tensor] : found[0]) CHECK(at::allclose(found[1].at(name), tensor, 1e-5, 1e-6));
            CHECK(backend.launches["lars_step"] == 6 * (rule == Lars::Rule::larc ? 1 : 2));
            CHECK(backend.launches["lars_squares"] == 6);
        }
}

TEST_CASE("Lars does not see the size of a weight's gradient, but that of a bias's") {
    for (const auto rule : {Lars::Rule::byol, Lars::Rule::simclr, Lars::Rule::larc, Lars::Rule::clipped}) {
        const Lars spec{.weight_decay = 0, .rule = rule, .adapt_norm_and_bias = false};
        INFO(spec.describe());
        const double lr = 50;  // so large that nothing is clipped
        for (const double scale : {1e-3, 7.0, 1e4}) {
            CHECK(at::allclose(moved(spec, {3, 4}, scale, lr), moved(spec, {3, 4}, 1, lr), 1e-4, 1e-14));
            CHECK(at::allclose(moved(spec, {2, 3, 2, 2}, scale, lr), moved(spec, {2, 3, 2, 2}, 1, lr), 1e-4, 1e-14));
            CHECK(at::allclose(moved(spec, {5}, scale, lr), scale * moved(spec, {5}, 1, lr), 1e-12, 1e-14));
            CHECK(at::allclose(moved(spec, {}, scale, lr), scale * moved(spec, {}, 1, lr), 1e-12, 1e-14));
        }
    }
}

TEST_CASE("Lars's first step has the length lr·eta·‖w‖, with and without decay") {
    const double norm = noise({3, 4}, 1).norm().item<double>();
    for (const auto rule : {Lars::Rule::byol, Lars::Rule::simclr})
        for (const double weight_decay : {0.0, 0.3}) {
            const Lars spec{.weight_decay = weight_decay, .rule = rule, .eta = 0.004};
            CHECK(moved(spec, {3, 4}, 1, 0.5).norm().item<double>() == Approx(0.5 * 0.004 * norm).epsilon(1e-12));
        }
    const Lars larc{.weight_decay = 0, .rule = Lars::Rule::larc};
    CHECK(moved(larc, {3, 4}, 1, 0.5).norm().item<double>() == Approx(0.5 * 0.001 * norm).epsilon(1e-6));
    // LARC decays inside the denominator: shorter, unless gradient and weight point the same way.
    CHECK(moved({.weight_decay = 0.3, .rule = Lars::Rule::larc}, {3, 4}, 1, 0.5).norm().item<double>() <
          0.99 * 0.5 * 0.001 * norm);
}

TEST_CASE("Lars, clipped, takes no longer a step than SGD, and at learning rate 0 none") {
    const Lars spec{.momentum = 0, .weight_decay = 0, .rule = Lars::Rule::clipped};
    const double gradient = noise({3, 4}, 2).norm().item<double>(), norm = noise({3, 4}, 1).norm().item<double>();
    CHECK(moved(spec, {3, 4}, 1, 1e-4).norm().item<double>() == Approx(1e-4 * gradient).epsilon(1e-12));
    CHECK(moved(spec, {3, 4}, 1, 5).norm().item<double>() == Approx(0.02 * norm).epsilon(1e-6));
    CHECK(moved(spec, {3, 4}, 1, 0).abs().sum().item<double>() == 0);
}

TEST_CASE("Lars's SimCLR form keeps the step of an earlier learning rate") {
    const Tensor a = at::ones({2, 2}, at::kDouble), b = at::ones({2, 2}, at::kDouble);
    auto byol = Lars{.weight_decay = 0, .rule = Lars::Rule::byol}.build({{"a", a}});
    auto simclr = Lars{.weight_decay = 0, .rule = Lars::Rule::simclr}.build({{"b", b}});
    for (const double lr : {0.5, 0.0}) {
        a.mutable_grad() = at::ones({2, 2}, at::kDouble);
        b.mutable_grad() = at::ones({2, 2}, at::kDouble);
        byol.step(lr);
        simclr.step(lr);
    }
    CHECK(a[0][0].item<double>() == Approx(1 - 0.5 * 0.001).epsilon(1e-12));
    CHECK(b[0][0].item<double>() == Approx(1 - 0.5 * 0.001 * 1.9).epsilon(1e-12));
}

TEST_CASE("Lars's weight decay may change from step to step, on the groups that decay") {
    auto one = parameters_of(lars_shapes()), other = parameters_of(lars_shapes());
    auto scheduled = Lars{.weight_decay = 0.1}.build(one);
    for (std::int64_t step = 0; step < 2; ++step) {
        const double weight_decay = 0.2 + static_cast<double>(step);
        auto fresh = Lars{.weight_decay = weight_decay}.build(other);
        if (step > 0)
            fresh.state([&, now = state_of(scheduled)](const std::string& name, Tensor& v) { v.copy_(now.at(name)); });
        set_gradients(one, step);
        set_gradients(other, step);
        scheduled.step(0.5, weight_decay);
        fresh.step(0.5);
        for (std::size_t i = 0; i < one.size(); ++i) CHECK(at::equal(one[i].second, other[i].second));
    }
}

TEST_CASE("Lars in float32 stays within rounding of float64") {
    for (const auto rule : {Lars::Rule::byol, Lars::Rule::simclr, Lars::Rule::larc, Lars::Rule::clipped}) {
        auto single = parameters_of(lars_shapes(), at::kFloat), twice = parameters_of(lars_shapes());
        const Lars spec{.weight_decay = 0.05, .rule = rule, .eta = 0.02};
        auto a = spec.build(single);
        auto b = spec.build(twice);
        run(a, single, 0, 20, rising_to(0.5));
        run(b, twice, 0, 20, rising_to(0.5));
        for (std::size_t i = 0; i < single.size(); ++i)
            CHECK(at::allclose(single[i].second.detach().to(at::kDouble), twice[i].second.detach(), 1e-5, 1e-6));
    }
}

TEST_CASE("Lars leaves gradients as they are") {
    for (const auto rule : {Lars::Rule::byol, Lars::Rule::simclr, Lars::Rule::larc, Lars::Rule::clipped})
        for (const double weight_decay : {0.0, 0.05}) {
            auto stepped = parameters_of(lars_shapes()), untouched = parameters_of(lars_shapes());
            auto lars = Lars{.weight_decay = weight_decay, .rule = rule}.build(stepped);
            set_gradients(stepped, 3);
            set_gradients(untouched, 3);
            lars.step(0.5);
            for (std::size_t i = 0; i < stepped.size(); ++i)
                CHECK(at::equal(stepped[i].second.grad(), untouched[i].second.grad()));
        }
}

TEST_CASE("Lars does nothing to a parameter without gradient") {
    for (const auto rule : {Lars::Rule::byol, Lars::Rule::simclr}) {
        auto parameters = parameters_of(lars_shapes());
        auto lars = Lars{.weight_decay = 0.5, .rule = rule}.build(parameters);
        run(lars, parameters, 0, 3, rising_to(1));
        const Tensor before = parameters[4].second.detach().clone(), v = state_of(lars)["momentum.late.weight"].clone();
        CHECK(v.abs().sum().item<double>() > 0);
        set_gradients(parameters, 7);  // without late.weight's
        lars.step(1);
        CHECK(at::equal(before, parameters[4].second));
        CHECK(at::equal(v, state_of(lars)["momentum.late.weight"]));
        lars.zero_grad();
        for (const auto& [name, p] : parameters) CHECK(!p.grad().defined());
        lars.step(1);
        CHECK(at::equal(before, parameters[4].second));
    }
}

TEST_CASE("Lars's state is complete before the first step and resumes bit for bit") {
    doppel::test::resumes_from_its_state(Lars{.weight_decay = 0.01, .rule = Lars::Rule::simclr}, lars_shapes(), 7);
    doppel::test::resumes_from_its_state(Lars{.momentum = 0}, lars_shapes(), 0);
}

TEST_CASE("Lars gives the same result whatever the memory layout of parameters and gradients") {
    for (const double weight_decay : {0.0, 0.1})
        doppel::test::does_not_depend_on_memory_layout(Lars{.weight_decay = weight_decay}, lars_shapes());
}

TEST_CASE("Lars decays a group without adaptation as SGD does, with SimCLR's form inside of the velocity") {
    for (const auto rule : {Lars::Rule::byol, Lars::Rule::simclr}) {
        const Tensor w = at::full({2}, 2.0, at::kDouble);
        auto lars = Lars{.rule = rule}.build_groups({{.parameters = {{"w", w}}, .weight_decay = 0.25, .adapt = false}});
        double expected = 2, v = 0;
        for (const double lr : {0.5, 0.125}) {
            w.mutable_grad() = at::ones({2}, at::kDouble);
            lars.step(lr);
            const double u = 1 + 0.25 * expected;
            v = 0.9 * v + (rule == Lars::Rule::simclr ? lr * u : u);
            expected -= rule == Lars::Rule::simclr ? v : lr * v;
        }
        CHECK(w[0].item<double>() == Approx(expected).epsilon(1e-14));
    }
}

TEST_CASE("Lars describes itself in one line") {
    CHECK(Lars{}.describe() == "LARS, eta 0.001, momentum 0.9, weight decay 1e-06, not on biases and normalization");
    CHECK(Lars{.rule = Lars::Rule::larc}.describe() == "LARC, eta 0.001, momentum 0.9, weight decay 1e-06");
    CHECK(Lars{.rule = Lars::Rule::clipped, .nesterov = true}.describe() ==
          "LARC, clipped, eta 0.02, momentum 0.9 (Nesterov), weight decay 1e-06, not on biases and normalization");
    CHECK(mentions(Lars{.rule = Lars::Rule::simclr, .except = {{.matches = "head.", .adapt = false}}}.describe(),
                   {"LARS (SimCLR's)", "; 'head.': not adapted"}));
    CHECK(AnyOptimizerSpec(Lars{.weight_decay = 0}).describe() == Lars{.weight_decay = 0}.describe());
}

TEST_CASE("Lars complaint which option or parameter is wrong") {
    const NamedParameters one = {{"w", at::ones({2, 2})}};
    const auto complaint = [&](const Lars& spec) { return message_of([&] { spec.build(one); }); };
    CHECK(complaint({}) == "");
    CHECK(complaint({.lr = -1}) == "Lars: lr must be finite and not negative, got -1");
    CHECK(complaint({.momentum = 1}) == "Lars: momentum must be from 0 to below 1, got 1");
    CHECK(complaint({.weight_decay = -0.1}) == "Lars: weight_decay must be finite and not negative, got -0.1");
    CHECK(complaint({.eta = -0.5}) == "Lars: eta must be finite and not negative, got -0.5");
    CHECK(complaint({.momentum = 0, .nesterov = true}) == "Lars: nesterov needs momentum above 0, got 0");
    CHECK(mentions(complaint({.except = {{.matches = "predictor.", .lr_scale = 2}}}), {"'predictor.' matches none"}));
    CHECK(mentions(complaint({.except = {{.frozen = true}}}), {"Lars: there are no parameters"}));
    CHECK(mentions(complaint({.except = {{.lr_scale = -2}}}), {"Lars: a group's lr_scale", "-2"}));
    CHECK(mentions(complaint({.except = {{.fixed_lr = -3}}}), {"Lars: a group's fixed_lr", "-3"}));
    CHECK(mentions(complaint({.except = {{.weight_decay = std::nan("")}}}), {"Lars: a group's weight_decay", "nan"}));
    CHECK(mentions(message_of([&] { Lars{}.build(one).step(-1); }), {"Lars: learning rate", "got -1"}));
    CHECK(mentions(message_of([&] { Lars{}.build(one).step(1, -1); }), {"Lars: weight decay", "got -1"}));
    CHECK(mentions(message_of([&] { Lars{}.build({{"h", at::ones({2}, at::kBFloat16)}}); }),
                   {"float32", "h is BFloat16"}));
    CHECK(mentions(message_of([&] { Lars{}.build({{"a", at::ones({2})}, {"b", at::ones({2}, at::kDouble)}}); }),
                   {"share type", "b is Double"}));
    CHECK(mentions(message_of([&] { Lars{}.build({{"part", at::ones({4, 4}).narrow(1, 0, 2)}}); }), {"part", "view"}));
    CHECK(mentions(message_of([&] { Lars{}.build({{"gone", Tensor{}}}); }), {"gone is undefined"}));
    const Tensor w = at::ones({2, 2});
    w.mutable_grad() = at::ones({2, 2}).to_sparse();
    CHECK(message_of([&] { Lars{}.build({{"embedding", w}}).step(0.1); }) ==
          "Lars: the gradient of embedding is sparse, expected a dense one");
}
