// SPDX-License-Identifier: Apache-2.0
// What the tests of optimizers share: inputs by the formula of reference/make_optim_fixtures.py, and its outputs.
#pragma once

#include <doppel/optim/any_spec.hpp>
#include <doppel/optim/optimizer.hpp>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "support/noise.hpp"
#include "support/state.hpp"
#include "support/support.hpp"  // after torch, which has a CHECK of its own

namespace doppel::test {

using Shapes = std::vector<std::pair<std::string, std::vector<std::int64_t>>>;

inline const Shapes& shapes() {
    static const Shapes all = {{"conv.weight", {2, 3, 3, 3}}, {"bn.weight", {4}},      {"bn.bias", {4}},
                               {"fc.weight", {3, 4}},         {"late.weight", {2, 2}}};
    return all;
}

/// For LARS: bn.bias and zero.weight start at zero.
inline const Shapes& lars_shapes() {
    static const Shapes all = {{"conv.weight", {2, 3, 2, 2}}, {"bn.weight", {3}},      {"bn.bias", {3}},
                               {"fc.weight", {3, 4}},         {"late.weight", {2, 2}}, {"zero.weight", {2, 3}},
                               {"scale", {}}};
    return all;
}

inline optim::NamedParameters parameters_of(const Shapes& shapes, at::ScalarType type = at::kDouble) {
    optim::NamedParameters parameters;
    for (const auto& [name, shape] : shapes) {
        Tensor p = noise(shape, static_cast<std::int64_t>(parameters.size())).to(type);
        if (&shapes == &lars_shapes() && (name == "bn.bias" || name == "zero.weight")) p.zero_();
        parameters.emplace_back(name, p.set_requires_grad(true));
    }
    return parameters;
}

/// late.weight has no gradient in three steps; for LARS two have zeros in two steps.
inline void set_gradients(optim::NamedParameters& parameters, std::int64_t step) {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        auto& [name, p] = parameters[i];
        const bool skipped = name == "late.weight" && (step == 0 || step == 1 || step == 7);
        const bool zeros = parameters.size() == lars_shapes().size() && (step == 0 || step == 4) &&
                           (name == "fc.weight" || name == "zero.weight");
        Tensor gradient = noise(p.sizes(), 100 + 10 * step + static_cast<std::int64_t>(i)).to(p.scalar_type());
        p.mutable_grad() = skipped ? Tensor{} : zeros ? at::zeros_like(gradient) : gradient;
    }
}

/// `lr` is a function of the step.
template <class Optimizer, class Rate>
void run(Optimizer& optimizer, optim::NamedParameters& parameters, std::int64_t from, std::int64_t to, Rate&& lr) {
    for (std::int64_t step = from; step < to; ++step) {
        set_gradients(parameters, step);
        optimizer.step(lr(step));
        optimizer.zero_grad();
    }
}

/// Compares parameters and state with a case of a fixture: with all that the fixture holds of it.
template <class Optimizer>
void equals_fixture(const std::string& file_name, const std::string& wanted, const optim::NamedParameters& parameters,
                    Optimizer& optimizer) {
    auto got = state_of(optimizer);
    for (const auto& [name, p] : parameters) got["parameter." + name] = p.detach();
    std::size_t found = 0;
    for (const auto& words : fixture_lines(file_name)) {  // case, "parameter" or "state", name, values
        if (words.at(0) != wanted) continue;
        ++found;
        const auto name = words.at(1) + "." + words.at(2);
        INFO(wanted << ' ' << name);
        REQUIRE(got.count(name) == 1);
        const Tensor own = got[name].to(at::kDouble).flatten(), expected = at::tensor(values_of(words, 3), at::kDouble);
        INFO("largest difference " << (own - expected).abs().max().template item<double>());
        CHECK(at::allclose(own, expected, 1e-12, 1e-13));
    }
    CHECK(found == (wanted == "timm" ? 8 : got.size()));
}

/// A rate that falls from step to step.
inline double falling_rate(std::int64_t step) { return 0.1 / static_cast<double>(1 + step); }

/// Twelve steps in one go equal five, and seven of another optimizer that is given their state, of which all `tensors` are
/// there before the first step.
template <class Spec>
void resumes_from_its_state(const Spec& spec, const Shapes& shapes, std::size_t tensors) {
    auto whole = parameters_of(shapes, at::kFloat), parts = parameters_of(shapes, at::kFloat);
    optim::AnyOptimizer uninterrupted = optim::AnyOptimizerSpec(spec).build(whole);
    CHECK(state_of(uninterrupted).size() == tensors);
    run(uninterrupted, whole, 0, 12, falling_rate);
    State saved;
    {
        optim::AnyOptimizer first = optim::AnyOptimizerSpec(spec).build(parts);
        run(first, parts, 0, 5, falling_rate);
        for (auto& [name, tensor] : state_of(first)) saved[name] = tensor.clone();
    }
    optim::AnyOptimizer second = optim::AnyOptimizerSpec(spec).build(parts);
    second.state([&](const std::string& name, Tensor& tensor) { tensor.copy_(saved.at(name)); });
    run(second, parts, 5, 12, falling_rate);
    for (std::size_t i = 0; i < whole.size(); ++i) CHECK(at::equal(whole[i].second, parts[i].second));
}

/// A weight that is channels-last from the third step on, and a transposed gradient, change nothing.
template <class Spec>
void does_not_depend_on_memory_layout(const Spec& spec, const Shapes& shapes) {
    auto plain = parameters_of(shapes), mixed = parameters_of(shapes);
    auto a = spec.build(plain);
    auto b = spec.build(mixed);
    run(a, plain, 0, 2, falling_rate);
    run(b, mixed, 0, 2, falling_rate);
    mixed[0].second.set_data(mixed[0].second.detach().contiguous(at::MemoryFormat::ChannelsLast));  // after the build
    run(a, plain, 2, 5, falling_rate);
    run(b, mixed, 2, 5, falling_rate);
    set_gradients(plain, 5);
    set_gradients(mixed, 5);
    auto& gradient = mixed[3].second.mutable_grad();
    gradient = gradient.t().contiguous().t();
    a.step(0.1);
    b.step(0.1);
    for (std::size_t i = 0; i < plain.size(); ++i) CHECK(at::allclose(plain[i].second, mixed[i].second, 1e-13, 1e-14));
    CHECK(mixed[0].second.is_contiguous(at::MemoryFormat::ChannelsLast));
}

}  // namespace doppel::test
