// SPDX-License-Identifier: Apache-2.0
// optim::Sgd against torch.optim.SGD (fixture: reference/make_optim_fixtures.py), its groups, state and errors.
#include <doppel/optim/sgd.hpp>

#include "support/optim_support.hpp"

namespace {

using doppel::Tensor;
using doppel::optim::AnyOptimizer;
using doppel::optim::Group;
using doppel::optim::Groups;
using doppel::optim::NamedParameters;
using doppel::optim::Sgd;
using doppel::test::mentions;
using doppel::test::message_of;
using doppel::test::parameters_of;
using doppel::test::set_gradients;
using doppel::test::shapes;

struct WithoutState {
    void step(double) {}
    void zero_grad() {}
    const Groups& groups() const;
};
static_assert(!doppel::optim::Optimizer<WithoutState>);
static_assert(doppel::optim::Optimizer<AnyOptimizer>);

NamedParameters five_parameters(at::ScalarType type = at::kDouble) { return parameters_of(shapes(), type); }

template <class Optimizer>
void run(Optimizer& optimizer, NamedParameters& parameters, std::int64_t from, std::int64_t to) {
    doppel::test::run(optimizer, parameters, from, to, doppel::test::falling_rate);
}

void equals_torch(const Sgd& spec, const std::string& wanted) {
    auto parameters = five_parameters();
    AnyOptimizer optimizer = spec.build(parameters);
    run(optimizer, parameters, 0, 20);
    doppel::test::equals_fixture("sgd.txt", wanted, parameters, optimizer);
}

}  // namespace

TEST_CASE("Sgd without momentum and decay equals torch.optim.SGD") {
    equals_torch({.momentum = 0, .weight_decay = 0}, "plain");
}

TEST_CASE("Sgd with momentum, decay and missing gradients equals torch.optim.SGD with two groups") {
    equals_torch({.momentum = 0.9, .weight_decay = 0.01}, "momentum");
}

TEST_CASE("Sgd with Nesterov's momentum equals torch.optim.SGD") {
    equals_torch({.momentum = 0.8, .weight_decay = 0.05, .nesterov = true}, "nesterov");
}

TEST_CASE("Sgd that decays norm and bias too equals torch.optim.SGD with one group") {
    equals_torch({.momentum = 0.9, .weight_decay = 0.1, .decay_norm_and_bias = true}, "decay_all");
}

TEST_CASE("Sgd in float32 stays within rounding of float64") {
    auto single = five_parameters(at::kFloat), twice = five_parameters(at::kDouble);
    auto a = Sgd{.weight_decay = 0.01}.build(single);
    auto b = Sgd{.weight_decay = 0.01}.build(twice);
    run(a, single, 0, 20);
    run(b, twice, 0, 20);
    for (std::size_t i = 0; i < single.size(); ++i)
        CHECK(at::allclose(single[i].second.detach().to(at::kDouble), twice[i].second.detach(), 1e-5, 1e-6));
    a.state([](const std::string&, Tensor& tensor) { CHECK(tensor.scalar_type() == at::kFloat); });
}

TEST_CASE("split_by_decay leaves parameters of at most one dimension undecayed, in the order of the network") {
    const auto groups = doppel::optim::split_by_decay(five_parameters(), 0.25);
    REQUIRE(groups.size() == 2);
    CHECK(groups[0].weight_decay == 0.25);
    CHECK(groups[1].weight_decay == 0);
    REQUIRE(groups[0].parameters.size() == 3);
    REQUIRE(groups[1].parameters.size() == 2);
    CHECK(groups[0].parameters[1].first == "fc.weight");
    CHECK(groups[1].parameters[0].first == "bn.weight");
    CHECK(doppel::optim::split_by_decay({{"scale", at::ones({})}}, 0.25).size() == 1);
}

TEST_CASE("Sgd multiplies a group's learning rate by lr_scale") {
    const Tensor fast = at::ones({2}), slow = at::ones({2}), still = at::ones({2});
    for (const Tensor& w : {fast, slow, still}) w.mutable_grad() = at::ones({2});
    auto sgd = Sgd{.lr = 0.5, .momentum = 0}.build_groups({{.parameters = {{"fast", fast}}},
                                                          {.parameters = {{"slow", slow}}, .lr_scale = 0.5},
                                                          {.parameters = {{"still", still}}, .lr_scale = 0}});
    sgd.step();
    CHECK(fast[0].item<double>() == 0.5);
    CHECK(slow[0].item<double>() == 0.75);
    CHECK(still[0].item<double>() == 1);
}

TEST_CASE("Sgd's zero_grad leaves no gradient, and a step without gradients changes nothing") {
    auto parameters = five_parameters();
    auto sgd = Sgd{}.build(parameters);
    set_gradients(parameters, 3);
    sgd.zero_grad();
    sgd.step(1);
    const auto before = five_parameters();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        CHECK(!parameters[i].second.grad().defined());
        CHECK(at::equal(parameters[i].second, before[i].second));
    }
    sgd.state([](const std::string&, Tensor& tensor) { CHECK(tensor.abs().sum().item<double>() == 0); });
}

TEST_CASE("Sgd's state is complete before the first step and resumes bit for bit") {
    doppel::test::resumes_from_its_state(Sgd{.weight_decay = 0.01, .nesterov = true}, shapes(), 5);
}

TEST_CASE("Sgd gives the same result whatever the memory layout of parameters and gradients") {
    doppel::test::does_not_depend_on_memory_layout(Sgd{}, shapes());
}

TEST_CASE("Sgd says which option or parameter is wrong") {
    const NamedParameters one = {{"w", at::ones({2})}};
    CHECK(mentions(message_of([&] { Sgd{.lr = -1}.build(one); }), {"Sgd: lr", "-1"}));
    CHECK(mentions(message_of([&] { Sgd{.momentum = 1}.build(one); }), {"Sgd: momentum", "below 1", "got 1"}));
    CHECK(mentions(message_of([&] { Sgd{.momentum = 0, .nesterov = true}.build(one); }), {"nesterov", "momentum"}));
    CHECK(mentions(message_of([&] { Sgd{.weight_decay = -0.1}.build(one); }), {"weight_decay", "-0.1"}));
    CHECK(mentions(message_of([&] { Sgd{}.build(NamedParameters{}); }), {"no parameters"}));
    CHECK(mentions(message_of([&] { Sgd{}.build({{"h", at::ones({2}, at::kHalf)}}); }), {"float32", "h is Half"}));
    CHECK(mentions(message_of([&] { Sgd{}.build({{"a", at::ones({2})}, {"b", at::ones({2}, at::kDouble)}}); }),
                   {"share type", "b is Double"}));
    CHECK(mentions(message_of([&] { Sgd{}.build({{"part", at::ones({4, 4}).narrow(1, 0, 2)}}); }), {"part", "view"}));
    CHECK(mentions(message_of([&] { Sgd{}.build({{"gone", Tensor{}}}); }), {"gone is undefined"}));
    CHECK(mentions(message_of([&] { Sgd{}.build(one).step(std::nan("")); }), {"learning rate", "nan"}));
    CHECK(mentions(message_of([&] { Sgd{}.build(one).step(-1); }), {"learning rate", "got -1"}));
    CHECK(mentions(message_of([&] { Sgd{}.build_groups({{.parameters = one, .lr_scale = -2}}); }), {"lr_scale", "-2"}));
    CHECK(mentions(message_of([&] { Sgd{}.build_groups({{.parameters = one, .weight_decay = -3}}); }),
                   {"group's weight_decay", "-3"}));
}
