// SPDX-License-Identifier: Apache-2.0
#include <doppel/methods/wmse.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("three steps of W-MSE equal the authors' formula for given partitions") {
    const auto batch = [](int count) { return [count](std::int64_t s) { return noisy_views(s, count); }; };
    const methods::WmseOptions whole{.w_size = 0, .iterations = 1, .hidden = 16, .out = 4};
    steps_as("variant_steps.txt", "wmse", methods::wmse(tiny(), whole).recipe, {.lr = 0.01, .batch = batch(2)});
    steps_as("variant_steps.txt", "wmse_four", methods::wmse(tiny(), whole).recipe, {.lr = 0.01, .batch = batch(4)});
    const auto parts =
        methods::wmse(tiny(), {.train = {.batch_size = 12}, .w_size = 6, .iterations = 2, .hidden = 16, .out = 4}).recipe;
    const auto given = parts.with_loss([loss = parts.loss](const Tensor& z0, const Tensor& z1) {
        const Tensor i = at::arange(12, at::kLong);
        const Tensor first = (i * 5 + 2).remainder(12), second = (i * 7 + 4).remainder(12);
        return (loss.in_order(z0, z1, first) + loss.in_order(z0, z1, second)) / 2;
    });
    steps_as("variant_steps.txt", "wmse_parts", given, {.lr = 0.01, .batch = batch(2)});
}

TEST_CASE("W-MSE has its paper's head, loss and pairing, and trains") {
    trains(methods::wmse(tiny(), methods::wmse_small), [](std::int64_t s) { return noisy_views(s, 2, 64); });
    const auto recipe = methods::wmse(tiny()).recipe;
    CHECK(layers(*recipe.projector.build(8).module) ==
          "Linear 8 1024 bias | BatchNorm 1024 | ReLU | Linear 1024 128 bias");
    CHECK(recipe.loss.w_size == 256);
    CHECK(recipe.loss.iterations == 4);
    CHECK(recipe.loss.eps == 0);
    CHECK((recipe.pairing(2, 2) == std::vector<pairings::Pair>{{0, 1}}));
    CHECK(recipe.pairing(4, 4).size() == 6);
    CHECK((recipe.layout.join_heads && !recipe.layout.join_views));
    for (const auto& o : {methods::WmseOptions{}, methods::wmse_small}) {
        CHECK(o.train.batch_size % o.w_size == 0);
        CHECK(o.w_size >= 2 * o.out);
    }
}

TEST_CASE("W-MSE's optimizer and schedule are the authors'") {
    const auto preset = methods::wmse(tiny());
    CHECK(preset.optimizer.describe().find("Adam,") == 0);
    CHECK(preset.optimizer.describe().find("not on biases") == std::string::npos);
    CHECK(rate(preset, 0.025) == Approx(2e-3));
    CHECK(peak_epoch(preset) == 2.5);
    CHECK(rate(methods::wmse(tiny(), {.train = {.lr = 3e-3}}), 0.025) == Approx(3e-3));
    CHECK(preset.batch_size == 512);
    const auto small = methods::wmse(tiny(), methods::wmse_small);
    CHECK(small.optimizer.check_learning_rate(rate(small, 0.05)).empty());
    CHECK(small.batch_size == 64);
}

TEST_CASE("W-MSE changes colors before the crop") {
    const auto views = methods::wmse(tiny(), {.views = 4}).views;
    CHECK(views.pipelines.size() == 4);
    CHECK(views.globals == 4);
    const std::string text = views.pipelines[3].describe();
    INFO(text);
    CHECK(text == views.pipelines[0].describe());
    const auto at = [&](const char* what) { return text.find(what); };
    CHECK(at("color_jitter") < at("gray"));
    CHECK(at("gray") < at("random_resized_crop"));
    CHECK(at("random_resized_crop") < at("flip"));
    CHECK(at("flip") != std::string::npos);
    CHECK(at("blur") == std::string::npos);
}

TEST_CASE("W-MSE says what is wrong with its options") {
    says([] { methods::wmse(tiny(), {.views = 1}); }, {"wmse", "views", "1"});
    says([] { methods::wmse(tiny(), {.crops = {.min_scale = 0}}); }, {"wmse", "min_scale", "0"});
    says([] { methods::wmse(tiny(), {.train = {.batch_size = 32}, .w_size = 64}); }, {"wmse", "w_size", "32 images", "64"});
    Method method{methods::wmse(tiny(), {.train = {.batch_size = 5}, .w_size = 5, .hidden = 16, .out = 4}).recipe, {.seed = 1}};
    says([&] { method->forward(noisy_views(0, 2)); }, {"Wmse", "w_size must divide", "5", "12"});
}
