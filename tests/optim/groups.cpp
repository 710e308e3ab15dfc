// SPDX-License-Identifier: Apache-2.0
// Parameter groups made by rules.
#include <doppel/optim/groups.hpp>

#include "support/optim_support.hpp"

namespace {

using doppel::optim::Group;
using doppel::optim::Groups;
using doppel::optim::make_groups;
using doppel::optim::NamedParameters;
using doppel::optim::Rule;
using doppel::optim::Shapes;
using doppel::test::message_of;

NamedParameters network() {
    return {{"encoder.bn.weight", at::ones({2})},       {"encoder.conv.weight", at::ones({2, 2, 1, 1})},
            {"projector.0.weight", at::ones({2, 2})},   {"projector.0.bias", at::ones({2})},
            {"predictor.0.weight", at::ones({2, 2})},   {"predictor.0.bias", at::ones({2})},
            {"encoder.temperature", at::ones({})}};
}

/// The group of a parameter; none: it is in no group.
std::optional<Group> group_of(const Groups& groups, const std::string& name) {
    for (const auto& group : groups)
        for (const auto& item : group.parameters)
            if (item.first == name) return group;
    return {};
}

}  // namespace

TEST_CASE("Without rules make_groups is split_by_decay, or one group") {
    const auto groups = make_groups(network(), 0.25);
    REQUIRE(groups.size() == 2);
    CHECK(group_of(groups, "encoder.conv.weight")->weight_decay == 0.25);
    CHECK(group_of(groups, "encoder.conv.weight")->adapt);
    for (const auto* name : {"encoder.bn.weight", "projector.0.bias", "encoder.temperature"}) {
        CHECK(group_of(groups, name)->weight_decay == 0);
        CHECK_FALSE(group_of(groups, name)->adapt);
    }
    const auto split = doppel::optim::split_by_decay(network(), 0.25);
    REQUIRE(split.size() == 2);
    CHECK((split[0].adapt && !split[1].adapt));
    for (const auto& group : groups)
        for (const auto& item : group.parameters)
            CHECK(group_of(split, item.first)->weight_decay == group.weight_decay);
    const auto all = make_groups(network(), 0.25, {}, true);
    REQUIRE(all.size() == 1);
    CHECK(all[0].parameters.size() == 7);
    CHECK(all[0].parameters[3].first == "projector.0.bias");
    CHECK((all[0].adapt && all[0].weight_decay == 0.25));
}

TEST_CASE("A rule changes what it names for the parameters that it fits, and nothing else") {
    const auto groups = make_groups(network(), 0.25, {{.matches = "predictor.", .fixed_lr = 0.05}});
    CHECK(groups.size() == 4);
    for (const auto* name : {"predictor.0.weight", "predictor.0.bias"}) CHECK(group_of(groups, name)->fixed_lr == 0.05);
    CHECK(group_of(groups, "predictor.0.weight")->weight_decay == 0.25);
    CHECK(group_of(groups, "predictor.0.bias")->weight_decay == 0);
    CHECK(!group_of(groups, "projector.0.weight")->fixed_lr);

    const auto barlow = make_groups(network(), 0.25, {{.shapes = Shapes::norm_and_bias, .lr_scale = 0.024}});
    CHECK(barlow.size() == 2);
    CHECK(group_of(barlow, "encoder.bn.weight")->lr_scale == 0.024);
    CHECK(group_of(barlow, "encoder.conv.weight")->lr_scale == 1);

    const auto weights = make_groups(
        network(), 0.25, {{.matches = "pro", .shapes = Shapes::weights, .weight_decay = 0.5, .adapt = false}});
    CHECK(weights.size() == 3);
    CHECK(group_of(weights, "projector.0.weight")->weight_decay == 0.5);
    CHECK_FALSE(group_of(weights, "projector.0.weight")->adapt);
    CHECK(group_of(weights, "projector.0.bias")->weight_decay == 0);
    CHECK(group_of(weights, "predictor.0.weight")->adapt);

    const auto plain = make_groups(network(), 0.25, {{.matches = "projector.0.weight", .adapt = false}});
    CHECK_FALSE(group_of(plain, "projector.0.weight")->adapt);
    CHECK(group_of(plain, "predictor.0.weight")->adapt);

    const auto biases = make_groups(network(), 0.25, {{.matches = ".bias", .lr_scale = 2}});  // anywhere in the name
    for (const auto* name : {"projector.0.bias", "predictor.0.bias"}) CHECK(group_of(biases, name)->lr_scale == 2);
    CHECK(group_of(biases, "encoder.bn.weight")->lr_scale == 1);
}

TEST_CASE("Of rules for one parameter the last counts, a scale and a fixed rate put each other out") {
    const auto groups = make_groups(network(), 0.25,
                                    {{.shapes = Shapes::norm_and_bias, .lr_scale = 0.1, .weight_decay = 0.5},
                                     {.matches = "predictor.", .fixed_lr = 0.05},
                                     {.matches = "predictor.0.weight", .lr_scale = 3}});
    CHECK(group_of(groups, "predictor.0.bias")->fixed_lr == 0.05);
    CHECK(group_of(groups, "predictor.0.bias")->lr_scale == 1);
    CHECK(group_of(groups, "predictor.0.bias")->weight_decay == 0.5);
    CHECK(group_of(groups, "predictor.0.weight")->lr_scale == 3);
    CHECK(!group_of(groups, "predictor.0.weight")->fixed_lr);
}

TEST_CASE("Frozen parameters are in no group") {
    const auto groups = make_groups(network(), 0.25, {{.matches = "encoder.", .frozen = true}});
    CHECK(!group_of(groups, "encoder.conv.weight"));
    CHECK(!group_of(groups, "encoder.temperature"));
    CHECK(group_of(groups, "projector.0.weight"));
    CHECK(make_groups(network(), 0, {{.frozen = true}}).empty());
}

TEST_CASE("A rule that fits nothing or contradicts itself is an error that names it") {
    const auto complaint = [](const Rule& rule) { return message_of([&] { make_groups(network(), 0, {rule}); }); };
    CHECK(complaint({.matches = "prediktor.", .lr_scale = 2}) ==
          "optim::Rule: 'prediktor.' matches none of the 7 parameters (the first is 'encoder.bn.weight')");
    CHECK(complaint({.matches = "temperature", .shapes = Shapes::weights, .lr_scale = 2}) ==
          "optim::Rule: weights of 'temperature' matches none of the 7 parameters (the first is 'encoder.bn.weight')");
    CHECK(complaint({.matches = "encoder.", .lr_scale = 2, .fixed_lr = 1}) ==
          "optim::Rule: 'encoder.' can have lr_scale or fixed_lr, not both");
    CHECK(message_of([] { make_groups({}, 0, {{.frozen = true}}); }) ==
          "optim::Rule: all parameters matches none of the 0 parameters");
}

TEST_CASE("A rule describes itself") {
    CHECK(Rule{.matches = "predictor.", .fixed_lr = 0.05}.describe() == "'predictor.': learning rate 0.05 throughout");
    CHECK(Rule{.shapes = Shapes::norm_and_bias, .lr_scale = 0.024, .weight_decay = 0, .adapt = false}.describe() ==
          "biases and normalization: learning rate times 0.024, weight decay 0, not adapted");
    CHECK(Rule{.matches = "stem.", .shapes = Shapes::weights, .frozen = true}.describe() ==
          "weights of 'stem.': not trained");
}
