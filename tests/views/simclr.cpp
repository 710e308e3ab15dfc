// SPDX-License-Identifier: Apache-2.0
#include <doppel/views/simclr.hpp>

#include "support/views.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("simclr has the order and the values of the paper's appendix A") {
    const auto pair = views::simclr();
    CHECK(pair.name == "simclr");
    CHECK(pair.globals == 2);
    REQUIRE(pair.pipelines.size() == 2);
    CHECK(pair.pipelines[0].channels() == 3);
    for (const auto& view : pair.pipelines)
        stands(view, {crop(224, "0.08, 1", "bicubic"), flip, jitter("0.8", "0.8", "0.8", "0.2", "0.8"), gray, blur("0.5"), imagenet});
    // strength s: 0.8s, 0.8s, 0.8s, 0.2s
    CHECK(mentions(views::simclr({.strength = 0.5}).pipelines[0].describe(), {jitter("0.4", "0.4", "0.4", "0.1", "0.8")}));
}

TEST_CASE("simclr_small has the values of appendix B.9: strength 0.5 and no blur") {
    const auto pair = views::simclr_small();
    for (const auto& view : pair.pipelines)
        stands(view, {crop(32, "0.08, 1", "bilinear"), flip, jitter("0.4", "0.4", "0.4", "0.1", "0.8"), gray, cifar});
    CHECK(pair.eval.normalize() == augment::cifar10_normalize);
}

TEST_CASE("simclr says which option is wrong") {
    says([] { views::simclr({.strength = -1}); }, {"simclr", "strength", "-1"});
    says([] { views::simclr({.blur = 2}); }, {"GaussianBlur", "2"});
    says([] { views::simclr({.views = 0}); }, {"simclr", "views", "0"});
}
