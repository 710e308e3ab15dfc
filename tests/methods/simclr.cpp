// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/resnet.hpp>
#include <doppel/methods/simclr.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;
using methods::ProjectorNorm;

namespace {

std::string head(ProjectorNorm norm) {
    return layers(*methods::simclr(tiny(), {.norm = norm, .hidden = 16, .out = 12}).recipe.projector.build(8).module);
}

}  // namespace

TEST_CASE("SimCLR's projector is the authors', as the paper describes it, or without BatchNorm") {
    // projection_head() of model_util.py: dense layers without bias, BatchNorm after each, the last without offset
    CHECK(head(ProjectorNorm::all) == "Linear 8 16 | BatchNorm 16 | ReLU | Linear 16 12 | BatchNorm 12");
    CHECK(head(ProjectorNorm::hidden) == "Linear 8 16 | BatchNorm 16 | ReLU | Linear 16 12 bias");
    CHECK(head(ProjectorNorm::none) == "Linear 8 16 bias | ReLU | Linear 16 12 bias");
    const auto built = methods::simclr(tiny(), {.hidden = 16, .out = 12}).recipe.projector.build(8).module;
    for (const auto& item : built->named_parameters()) {
        INFO(item.key());
        CHECK(item.value().requires_grad() == (item.key() != "4.bias"));  // a scale alone
    }
    CHECK(methods::simclr_small.norm == ProjectorNorm::hidden);
}

TEST_CASE("SimCLR trains, by SGD and by LARS") {
    auto options = tiny_heads(methods::simclr_small);
    trains(methods::simclr(tiny(), options), two_views);
    options = tiny_heads(methods::simclr_lars);
    trains(methods::simclr(tiny(), options), two_views);
    says([] { methods::simclr(tiny(), {.optimizer = methods::Optimizer::adamw}); },
         {"simclr: optimizer must be sgd or lars, got adamw"});
}

TEST_CASE("simclr_lars has the authors' values for ImageNet") {
    // README of google-research/simclr: --train_batch_size=4096 --train_epochs=100 --learning_rate=0.3
    // --weight_decay=1e-6 --temperature=0.1, and run.py: warmup_epochs 10, LARS, momentum 0.9
    const auto preset = methods::simclr(encoders::ResNet{.depth = 50}, methods::simclr_lars);
    CHECK(preset.batch_size == 4096);
    CHECK(preset.epochs == 100);
    CHECK(peak_epoch(preset) == 10);
    CHECK(rate(preset, 0.1) == Approx(4.8));
    CHECK(rate(preset, 1) == Approx(0).margin(1e-12));
    CHECK(mentions(preset.optimizer.describe(), {"LARS (SimCLR's)", "eta 0.001", "momentum 0.9", "1e-06", "not on biases"}));
    CHECK(preset.recipe.loss.temperature == 0.1);
    CHECK(preset.recipe.layout.join_views);  // one BatchNorm batch
    CHECK(preset.recipe.encoder.zero_init_residual);
    CHECK(preset.recipe.projector.last_norm == heads::LastNorm::scale_only);
}

TEST_CASE("warm-up epochs stay epochs in longer and shorter runs, shares stay shares") {
    for (const std::int64_t epochs : {20, 100, 200}) {
        CHECK(peak_epoch(methods::simclr(tiny(), {.train = {.epochs = epochs}})) == 10);
        CHECK(peak_epoch(methods::simclr(tiny(), {.train = {.epochs = epochs}, .warmup = 0.5})) == static_cast<double>(epochs) / 2);
    }
}

TEST_CASE("the blur of SimCLR's views is a sampled Gaussian, or Pillow's") {
    const auto blur = [](bool pillow) {
        return methods::simclr(tiny(), {.crops = {.pillow_blur = pillow}}).views.pipelines[0].describe();
    };
    CHECK(mentions(blur(false), {"kind=gaussian"}));
    CHECK(mentions(blur(true), {"kind=boxes"}));
}
