// SPDX-License-Identifier: Apache-2.0
// What the tests of optimizers share: inputs by the formula of reference/make_optim_fixtures.py, and its outputs.
#pragma once

#include <doppel/optim/optimizer.hpp>

#include <fstream>
#include <map>
#include <sstream>
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
    std::ifstream file(reference_folder() / file_name);
    std::size_t found = 0;
    for (std::string text; std::getline(file, text);) {
        std::istringstream words(text);
        std::string name_of_case, kind, name;
        words >> name_of_case >> kind >> name;
        if (name_of_case != wanted) continue;
        ++found;
        std::vector<double> values;
        for (double value; words >> value;) values.push_back(value);
        INFO(wanted << ' ' << kind << ' ' << name);
        REQUIRE(got.count(kind + "." + name) == 1);
        const Tensor own = got[kind + "." + name].to(at::kDouble).flatten(), expected = at::tensor(values, at::kDouble);
        INFO("largest difference " << (own - expected).abs().max().template item<double>());
        CHECK(at::allclose(own, expected, 1e-12, 1e-13));
    }
    CHECK(found == (wanted == "timm" ? 8 : got.size()));
}

}  // namespace doppel::test
