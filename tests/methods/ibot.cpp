// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/vit.hpp>
#include <doppel/methods/ibot.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("the preset of iBOT is DINO with masked patches, and with KoLeo where it is wanted") {
    const encoders::Vit vit{.kind = VitKind::ti, .patch = 4, .image_size = 12, .dim = 24, .depth = 2, .heads = 3};
    methods::IbotOptions o = methods::ibot_small;
    o.dino.hidden = 16;
    o.dino.bottleneck = 8;
    o.dino.out = 12;
    o.dino.drop_path = 0;
    const auto loss_of = [&](const auto& preset, Method<std::remove_cvref_t<decltype(preset.recipe)>>* keep = nullptr) {
        Method method{preset.recipe, {.seed = 1}};
        method->begin({.samples = 100, .steps = 10, .steps_per_epoch = 5});
        Tensor loss = method->forward(batch_of(6, 0, 2));
        if (keep) *keep = method;
        return loss;
    };
    const double dino = loss_of(methods::dino(vit, o.dino)).template item<double>();
    o.mask_probability = 0;  // nothing hidden: DINO
    CHECK(loss_of(methods::ibot(vit, o)).template item<double>() == Approx(dino).epsilon(1e-6));
    o.mask_probability = 1;
    o.patch_weight = 0;  // hidden, but not asked about: the class token sees less
    const double hidden = loss_of(methods::ibot(vit, o)).template item<double>();
    CHECK(std::abs(hidden - dino) > 1e-4);
    o.patch_weight = 2;
    o.koleo = 0.5;
    const auto preset = methods::ibot(vit, o);
    CHECK(preset.name == "ibot");
    CHECK(preset.export_encoder == Network::target);
    CHECK(preset.frozen.size() == 1);
    Method method{preset.recipe, {.seed = 1}};
    method->begin({.samples = 100, .steps = 10, .steps_per_epoch = 5});
    const Tensor loss = method->forward(batch_of(6, 0, 2));
    const Outputs& seen = method->last().back();
    const auto& parts = method->recipe.loss.parts;
    const double patches = std::get<1>(parts).loss(seen).template item<double>(), spread = std::get<2>(parts).loss(seen).template item<double>();
    CHECK(patches > 0);
    CHECK(loss.item<double>() == Approx(hidden + 2 * patches + 0.5 * spread).epsilon(1e-5));
    loss.backward();
    int tokens = 0;
    for (const auto& item : method->named_parameters())
        if (item.key() == "encoder.mask_token") {
            ++tokens;
            CHECK(item.value().grad().abs().max().item<float>() > 0);
        }
    CHECK(tokens == 1);
    method->commit();
}

TEST_CASE("iBOT's values are the authors' for a ViT-S/16 and 800 epochs") {
    // github.com/bytedance/ibot, README ("iBOT Pre-Training with ViTs") and the defaults of main_ibot.py.
    const methods::IbotOptions o;
    const auto preset = methods::ibot(encoders::Vit{.kind = VitKind::s});
    CHECK(preset.epochs == 800);
    CHECK(preset.batch_size == 16 * 64);
    CHECK(rate(preset, 10 / 800.) == Approx(5e-4 * 1024 / 256));
    CHECK(peak_epoch(preset) == 10);
    CHECK(rate(preset, 1) == Approx(1e-6));
    REQUIRE(preset.weight_decay);
    CHECK((*preset.weight_decay)(at_share(0)) == Approx(0.04));
    CHECK((*preset.weight_decay)(at_share(1)) == Approx(0.4));
    CHECK(preset.clip.each == 3);
    REQUIRE(preset.frozen.size() == 1);
    CHECK(preset.frozen[0].until(100) == 100);
    CHECK(preset.recipe.encoder.drop_path == 0.1);
    CHECK(preset.recipe.target.schedule(at_share(0)) == 0.996);
    const auto& head = preset.recipe.projector;
    CHECK((head.out == 8192 && head.hidden == 2048 && head.bottleneck == 256 && head.layers == 3 && !head.norm));
    CHECK(head.trained_gain);  // norm_last_layer false
    const auto& parts = preset.recipe.loss.parts;
    const auto& tokens = std::get<0>(parts).loss;
    const auto& patches = std::get<1>(parts).loss;
    CHECK((std::get<0>(parts).weight == 1 && std::get<1>(parts).weight == 1 && std::get<2>(parts).weight == 0));
    for (const auto& temperature : {tokens.target_temperature, patches.target_temperature})
        CHECK((temperature.from == 0.04 && temperature.to == 0.07 && temperature.epochs == 30));
    CHECK((tokens.temperature == 0.1 && patches.temperature == 0.1 && tokens.center_momentum == 0.9 && patches.center_momentum == 0.9));
    // pred_ratio 0 0.3, pred_ratio_var 0 0.2: half of the views, by 0.1 to 0.5
    CHECK((patches.blocks.probability == 0.5 && patches.blocks.ratio.low == 0.1 && patches.blocks.ratio.high == 0.5));
    CHECK(patches.blocks.smallest == 0);  // (min(H, W) // 3) ** 2 of loader.py
    CHECK(patches.blocks.aspect.low == Approx(0.3));
    REQUIRE(preset.views.pipelines.size() == 12);
    for (std::size_t v = 0; v < 12; ++v)
        CHECK(mentions(preset.views.pipelines[v].describe(), {v < 2 ? "size=224, scale=[0.25, 1]" : "size=96, scale=[0.05, 0.25]"}));
    CHECK(methods::ibot_small.smallest_block == 4);
    CHECK(!methods::ibot_small.dino.trained_gain);
}
