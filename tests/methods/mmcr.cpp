// SPDX-License-Identifier: Apache-2.0
#include <doppel/methods/mmcr.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("three steps of MMCR equal the authors' formula") {
    auto options = tiny_heads(methods::MmcrOptions{});
    options.lambda = 0.1;
    steps_as("variant_steps.txt", "mmcr", methods::mmcr(tiny(), options).recipe, {.lr = 0.01});
}

TEST_CASE("MMCR's preset builds, steps and resumes, with any number of views") {
    for (const int views : {2, 3, 5}) {
        auto options = methods::mmcr_small;
        options.views = views;
        options.hidden = 16;
        options.out = 5;
        const auto preset = methods::mmcr(tiny(), options);
        CHECK(preset.views.pipelines.size() == static_cast<std::size_t>(views));
        CHECK(preset.views.globals == views);
        CHECK(preset.views.name == "mmcr");
        AnyMethod whole = Method{preset.recipe, {.seed = 1}}, half = Method{preset.recipe, {.seed = 1}},
                  other = Method{preset.recipe, {.seed = 2}};
        for (auto* method : {&whole, &half, &other}) method->begin({.samples = 64, .steps = 4});
        auto first = sgd(whole, 0.05, 0), second = sgd(half, 0.05, 0);
        for (int s = 0; s < 4; ++s) step(whole, first, views_of(views, s));
        for (int s = 0; s < 2; ++s) step(half, second, views_of(views, s));
        {
            const at::NoGradGuard no_grad;
            auto from = state_of(half), to = state_of(other);
            for (auto& [name, tensor] : to) tensor.copy_(from.at(name));
        }
        auto third = sgd(other, 0.05, 0);
        for (int s = 2; s < 4; ++s) step(other, third, views_of(views, s));
        for (const auto& [name, tensor] : state_of(whole)) CHECK(bit_equal(tensor, state_of(other).at(name)));
        CHECK(preset.optimizer.describe().starts_with("Adam,"));
        CHECK(rate(preset, 0.1) == Approx(1.5e-2));
    }
}

TEST_CASE("MMCR's preset has the paper's views, head and optimizer for large images") {
    const auto large = methods::mmcr(tiny());
    CHECK(large.views.pipelines.size() == 8);
    CHECK(large.views.globals == 8);
    CHECK(large.optimizer.describe().starts_with("LARS"));
    CHECK(large.recipe.projector.hidden == std::vector<std::int64_t>{8192, 8192});
    CHECK(large.recipe.projector.out == 512);
    says([] { methods::mmcr(tiny(), {.views = 1}); }, {"mmcr", "views", "at least 2", "1"});
}

TEST_CASE("a few steps of MMCR spread the images") {
    auto options = methods::mmcr_small;
    options.hidden = 16;
    options.out = 5;
    AnyMethod method = Method{methods::mmcr(tiny(), options).recipe, {.seed = 1}};
    method.begin({.samples = 64, .steps = 40});
    auto optimizer = sgd(method, 0.1, 0);
    const double before = step(method, optimizer, views_of(2));
    double after = 0;
    for (int s = 0; s < 40; ++s) after = step(method, optimizer, views_of(2));
    CHECK(after < before - 0.05);
    CHECK(after > -std::sqrt(6 * 5));
}
