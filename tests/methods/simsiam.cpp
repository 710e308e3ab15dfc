// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/resnet.hpp>
#include <doppel/methods/simsiam.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

template <class Encoder>
auto small_simsiam(Encoder encoder) {
    return methods::simsiam(std::move(encoder), {.out = 12, .bottleneck = 4}).recipe;
}

}  // namespace

TEST_CASE("three steps of SimSiam equal lightly's") {
    steps_as("method_steps.txt", "simsiam", small_simsiam(tiny()), {.tight = 1e-10, .loose = 5e-3});
}

TEST_CASE("nothing flows back into SimSiam's target, and predictions are made by the online branch alone") {
    gives_its_target_no_gradient(small_simsiam(tiny()));
}

TEST_CASE("SimSiam's heads are the authors', and its predictor's learning rate stays where it starts") {
    const auto preset = methods::simsiam(encoders::ResNet{.depth = 50});
    CHECK(layers(*preset.recipe.projector.build(2048).module) ==
          "Linear 2048 2048 | BatchNorm 2048 | ReLU | Linear 2048 2048 | BatchNorm 2048 | ReLU | "
          "Linear 2048 2048 frozen bias | BatchNorm 2048 plain");
    CHECK(layers(*preset.recipe.predictor.build(2048).module) ==
          "Linear 2048 512 | BatchNorm 512 | ReLU | Linear 512 2048 bias");
    CHECK(layers(*methods::simsiam(tiny(), methods::simsiam_small).recipe.projector.build(512).module) ==
          "Linear 512 512 | BatchNorm 512 | ReLU | Linear 512 512 frozen bias | BatchNorm 512 plain");
    CHECK(preset.recipe.encoder.zero_init_residual);

    for (const bool fixed : {true, false}) {
        const auto small =
            methods::simsiam(tiny(), {.train = {.weight_decay = 0}, .out = 12, .bottleneck = 4, .fix_predictor_lr = fixed});
        AnyMethod method = Method{small.recipe, {.seed = 1}};
        fill(method);
        auto optimizer = small.build_optimizer(method.trainable(), small.lr.at(small.batch_size), {.samples = 1000, .steps = 1000});
        std::size_t parameters = 0;
        for (const auto& group : optimizer.groups())
            for (const auto& [name, value] : group.parameters) {
                INFO(name);
                const bool predictor = name.rfind("predictor.", 0) == 0;
                CHECK(group.fixed_lr.has_value() == (fixed && predictor));
                if (group.fixed_lr) CHECK(*group.fixed_lr == Approx(0.05 * 512 / 256));
                ++parameters;
            }
        CHECK(parameters == method.trainable().size());
        const auto start = copy_of(method);
        method.forward(batch_of(6)).backward();
        optimizer.step(0);  // the end of the cosine
        for (const auto& [name, value] : method.trainable()) {
            INFO(name);
            const bool moved = !bit_equal(value.detach(), start.at(name));
            CHECK(moved == (fixed && name.rfind("predictor.", 0) == 0));
        }
        CHECK(!start.at("projector.6.bias").requires_grad());
    }
    CHECK(rate(preset, 0) == Approx(0.1));
    CHECK(rate(preset, 1) == Approx(0).margin(1e-12));
}
