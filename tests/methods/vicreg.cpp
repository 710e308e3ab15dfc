// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/resnet.hpp>
#include <doppel/methods/vicreg.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("three steps of VICReg equal lightly's loss on the authors' layers, and the paper's sum of variances") {
    const Steps how{.tight = 1e-10, .loose = 5e-3, .lr = 0.01};
    steps_as("redundancy.txt", "steps_vicreg", methods::vicreg(tiny(), {.hidden = 16, .out = 12}).recipe, how);
    steps_as("redundancy.txt", "steps_vicreg_paper",
             methods::vicreg(tiny(), {.sum_variance = true, .hidden = 16, .out = 12}).recipe, how);
}

TEST_CASE("VICReg's head and loss are the authors'") {
    CHECK(layers(*methods::vicreg(tiny(), {.hidden = 16, .out = 12}).recipe.projector.build(8).module) ==
          "Linear 8 16 bias | BatchNorm 16 | ReLU | Linear 16 16 bias | BatchNorm 16 | ReLU | Linear 16 12");
    const auto recipe = methods::vicreg(encoders::ResNet{.depth = 50}).recipe;
    CHECK(recipe.projector.hidden == std::vector<std::int64_t>{8192, 8192});
    CHECK(recipe.projector.out == 8192);
    CHECK(recipe.encoder.zero_init_residual);
    CHECK(!methods::vicreg(encoders::ResNet{}, methods::vicreg_small).recipe.encoder.zero_init_residual);
    CHECK(recipe.loss.invariance == 25);
    CHECK(recipe.loss.variance == 25);
    CHECK(recipe.loss.covariance == 1);
    CHECK(recipe.loss.convention == losses::Vicreg::Convention::code);
    CHECK(methods::vicreg(tiny(), {.sum_variance = true}).recipe.loss.convention == losses::Vicreg::Convention::paper);
    CHECK(!recipe.layout.join_views);
}

TEST_CASE("VICReg's schedule, optimizer and views are the paper's") {
    is_trained_by_lars(methods::vicreg(tiny()), "vicreg");
    is_small(methods::vicreg(tiny(), methods::vicreg_small));
    const double peak = 0.2 * 2048 / 256;
    has_rates(methods::vicreg(tiny(), {.train = {.batch_size = 2048}, .hidden = 16, .out = 12}), peak, peak);
    CHECK(rate(methods::vicreg(tiny(), {.train = {.lr = 0.7}}), 0.1) == Approx(0.7));
}
