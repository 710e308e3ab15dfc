// SPDX-License-Identifier: Apache-2.0
#include <doppel/methods/lejepa.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("three steps of LeJEPA equal lightly's loss for given directions: a pass a size, one of the projector") {
    const auto recipe = methods::lejepa(tiny(), {.locals = {.count = 2}, .hidden = 16, .out = 12}).recipe;
    const Tensor directions = unit(chirp({12, 7}, 0.19, 0.6).t()).t();
    const auto given = recipe.with_loss([loss = recipe.loss, directions](const Outputs& out) {
        return loss.with_directions(out, directions.to(out.online[0].scalar_type()));
    });
    steps_as("variant_steps.txt", "lejepa", given,
             {.batch = [](std::int64_t s) { return batch_of(6, static_cast<double>(s), 2); }});
}

TEST_CASE("LeJEPA has its paper's head and loss, and trains") {
    trains(methods::lejepa(tiny(), methods::lejepa_small), [](std::int64_t s) { return batch_of(6, static_cast<double>(s), 2); });
    trains(methods::lejepa(tiny(), methods::lejepa_vit), two_views);
    const auto recipe = methods::lejepa(tiny()).recipe;
    CHECK(layers(*recipe.projector.build(8).module) ==
          "Linear 8 2048 bias | BatchNorm 2048 | ReLU | Linear 2048 2048 bias | BatchNorm 2048 | ReLU | "
          "Linear 2048 128 bias");
    CHECK(recipe.loss.lambda == 0.05);
    CHECK(recipe.loss.directions == 1024);
    CHECK(recipe.loss.globals == 2);
    CHECK((recipe.layout.join_heads && recipe.layout.join_views));
}

TEST_CASE("LeJEPA's optimizer and schedule are the authors'") {
    const auto preset = methods::lejepa(tiny());
    CHECK(preset.optimizer.describe().find("AdamW,") == 0);
    CHECK(mentions(preset.optimizer.describe(), {"weight decay 0.0005"}));
    CHECK(preset.optimizer.describe().find("not on biases") == std::string::npos);
    CHECK(mentions(methods::lejepa(tiny(), methods::lejepa_vit).optimizer.describe(), {"weight decay 0.05"}));
    CHECK(rate(preset, 0) == Approx(5e-6));
    CHECK(rate(preset, 0.01) == Approx(5e-4));
    CHECK(rate(preset, 1) == Approx(5e-7));
    const auto small = methods::lejepa(tiny(), methods::lejepa_small);
    CHECK(small.optimizer.check_learning_rate(rate(small, 0.05)).empty());
    CHECK(small.batch_size == 64);
}

TEST_CASE("LeJEPA has views of two sizes, small images of one") {
    const auto sizes = [](const auto& preset) {
        std::vector<int> all;
        for (const auto& view : preset.views.pipelines) all.push_back(view.size());
        return all;
    };
    CHECK(sizes(methods::lejepa(tiny())) == std::vector<int>{224, 224, 96, 96, 96, 96, 96, 96});
    CHECK(sizes(methods::lejepa(tiny(), methods::lejepa_small)) == std::vector<int>{32, 32});
    CHECK(sizes(methods::lejepa(tiny(), {.locals = {.count = 0}, .globals = 4})) == std::vector<int>{224, 224, 224, 224});
    CHECK(methods::lejepa(tiny()).views.globals == 2);
    const auto large = methods::lejepa(tiny()).views.pipelines[0].describe();
    const auto small = methods::lejepa(tiny(), methods::lejepa_small).views.pipelines[0].describe();
    CHECK(mentions(large, {"jitter", "gray", "blur", "solarize"}));
    CHECK(mentions(small, {"jitter", "gray", "solarize"}));
    CHECK(small.find("blur") == std::string::npos);
}

TEST_CASE("LeJEPA says what is wrong with its options") {
    says([] { methods::lejepa(tiny(), {.globals = 0}); }, {"lejepa", "global", "0"});
    says([] { methods::lejepa(tiny(), {.locals = {.count = 0}, .globals = 1}); }, {"lejepa", "another view"});
    says([] { methods::lejepa(tiny(), {.crops = {.min_scale = 1.5}}); }, {"lejepa", "min_scale", "1.5"});
    says([] { methods::lejepa(tiny(), {.locals = {.min_scale = 0.5}}); }, {"lejepa", "scale", "0.5", "0.3"});
}
