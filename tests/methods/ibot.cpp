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
    // The paper's values.
    const methods::IbotOptions paper;
    CHECK(paper.dino.out == 8192);
    CHECK(paper.dino.locals.count == 10);
    CHECK(paper.dino.target_temperature == 0.07);
    CHECK(paper.dino.temperature_epochs == 30);
}
