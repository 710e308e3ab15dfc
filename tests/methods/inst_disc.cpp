// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/resnet.hpp>
#include <doppel/methods/inst_disc.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("three steps of InstDisc equal torch's, with the bank") {
    steps_as("method_steps.txt", "inst_disc",
             methods::inst_disc(tiny(), 16, {.temperature = 0.1, .out = 12, .bank_momentum = 0.5}).recipe,
             {.tight = 1e-6, .loose = 2e-5, .samples = 16, .batch = [](std::int64_t s) {
                  Batch batch = batch_of(6, static_cast<double>(s));
                  batch.views.pop_back();
                  batch.index = (at::arange(6) * 5 + 3 * s).remainder(16);
                  return batch;
              }});
}

TEST_CASE("a bank's row follows its image's embeddings, and only its image's") {
    auto recipe = methods::inst_disc(tiny(), 9, {.out = 12, .bank_momentum = 0.3}).recipe;
    AnyMethod method = Method{recipe, {.seed = 1}};
    method.begin({.samples = 9, .steps = 4});
    const Tensor start = state_of(method).at("queue.rows").clone();
    CHECK(largest_difference(start.norm(2, 1), at::ones({9})) < 1e-6);
    Batch batch = batch_of(4);
    batch.views.pop_back();
    batch.index = at::tensor({7, 0, 3, 8}, at::kLong);
    auto optimizer = sgd(method);
    half_step(method, optimizer, batch);
    CHECK(bit_equal(state_of(method).at("queue.rows"), start));  // forward reads
    const Tensor v = unit(method.last()[0].online[0]);
    method.commit();
    const Tensor rows = state_of(method).at("queue.rows");
    CHECK(largest_difference(rows.index_select(0, batch.index),
                             unit(start.index_select(0, batch.index) * 0.3 + v * 0.7)) < 1e-6);
    const Tensor rest = at::tensor({1, 2, 4, 5, 6}, at::kLong);
    CHECK(bit_equal(rows.index_select(0, rest), start.index_select(0, rest)));
    CHECK(mentions(message_of([&] { method.begin({.samples = 10, .steps = 4}); }), {"Bank", "9", "10 images"}));
    CHECK(mentions(message_of([] { queues::MemoryBank{}.build(4); }), {"Bank", "size", "0"}));
    CHECK(mentions(message_of([] { queues::MemoryBank{.size = 3, .momentum = 1}.build(4); }),
                   {"Bank", "momentum", "below 1", "1"}));
}

TEST_CASE("InstDisc's head is the authors'") {
    const auto recipe = methods::inst_disc(encoders::ResNet{.depth = 50}, 4).recipe;
    CHECK(layers(*recipe.projector.build(2048).module) == "Linear 2048 128 bias");
    CHECK(recipe.queue.size == 4);
    CHECK(recipe.loss.temperature == 0.07);
}

TEST_CASE("InstDisc's values are the authors', but for the flip of small images") {
    // cifar.py and main.py of zhirongw/lemniscate.pytorch: no flip for CIFAR-10, a flip for ImageNet
    const auto large = methods::inst_disc(tiny(), 4), small = methods::inst_disc(tiny(), 4, methods::inst_disc_small);
    const std::string colors = "grayscale(p=0.2) > color_jitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.4, p=1)";
    for (const auto& preset : {large, small}) {
        REQUIRE(preset.views.pipelines.size() == 1);
        CHECK(mentions(preset.views.pipelines[0].describe(), {"scale=[0.2, 1]", colors, "horizontal_flip(p=0.5)"}));
        CHECK(rate(preset, 0.59) == Approx(0.03));
        CHECK(rate(preset, 0.61) == Approx(0.003));
    }
    CHECK((small.batch_size == 128 && small.recipe.loss.temperature == 0.1));
}
