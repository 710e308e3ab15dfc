// SPDX-License-Identifier: Apache-2.0
#include <doppel/methods/mmcr_momentum.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("three steps of MMCR-Momentum equal the authors' formula") {
    auto options = tiny_heads(methods::MmcrOptions{});
    options.lambda = 0.1;
    steps_as("variant_steps.txt", "mmcr_momentum", methods::mmcr_momentum(tiny(), {.mmcr = options, .momentum = 0.9}).recipe,
             {.lr = 0.01});
}

TEST_CASE("MMCR-Momentum's target takes part in the centroids, and gets no gradient") {
    const methods::MmcrMomentumOptions options{.mmcr = {.views = 2, .hidden = 16, .hidden_layers = 1, .out = 5}, .momentum = 0.9};
    Method method{methods::mmcr_momentum(tiny(), options).recipe, {.seed = 1}};
    auto optimizer = sgd(method, 0.05, 0);
    step(method, optimizer, views_of(2));
    const Tensor loss = method->forward(views_of(2, 1));
    const auto& out = method->last()[0];
    REQUIRE(out.target.size() == 2);
    CHECK(largest_difference(out.target[0], out.online[0]) > 1e-5);
    Outputs alone = out;
    alone.target.clear();
    CHECK(loss.item<double>() == Approx(losses::Mmcr{}(out).item<double>()).epsilon(1e-5));
    CHECK(loss.item<double>() != Approx(losses::Mmcr{}(alone).item<double>()).epsilon(1e-7));
    for (const auto& item : method->named_parameters())
        if (item.key().starts_with("target.")) CHECK(!item.value().grad().defined());
}

TEST_CASE("MMCR-Momentum's target has the authors' momentum, after the step") {
    const auto preset = methods::mmcr_momentum(tiny(), {.mmcr = {.views = 4}});
    CHECK(preset.name == "mmcr_momentum");
    CHECK(preset.recipe.target.schedule({}) == 0.99);
    CHECK(preset.recipe.target.timing == targets::EmaTiming::after_step);
    CHECK(preset.views.pipelines.size() == 4);
}
