// SPDX-License-Identifier: Apache-2.0
#include <doppel/views/moco_v3.hpp>

#include "support/views.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("moco_v3 has BYOL's two views with the flip last, bilinear, crops from 0.2") {
    const auto pair = views::moco_v3();
    REQUIRE(pair.pipelines.size() == 2);
    CHECK(pair.name == "moco_v3");
    const auto color = jitter("0.4", "0.4", "0.2", "0.1", "0.8");
    stands(pair.pipelines[0], {crop(224, "0.2, 1", "bilinear"), color, gray, blur("1"), flip, imagenet});
    stands(pair.pipelines[1], {crop(224, "0.2, 1", "bilinear"), color, gray, blur("0.1"), solarize, flip, imagenet});
    stands(views::moco_v3({.size = 32}).pipelines[0], {crop(32, "0.08, 1", "bilinear"), color, gray, flip, cifar});
}
