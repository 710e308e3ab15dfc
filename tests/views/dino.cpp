// SPDX-License-Identifier: Apache-2.0
#include <doppel/views/dino.hpp>

#include "support/views.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("dino has BYOL's two global views, and local ones with blur 0.5") {
    const auto crops = views::dino();
    REQUIRE(crops.pipelines.size() == 10);
    CHECK(crops.globals == 2);
    CHECK(crops.name == "dino");
    const auto color = jitter("0.4", "0.4", "0.2", "0.1", "0.8");
    stands(crops.pipelines[0], {crop(224, "0.4, 1", "bicubic"), flip, color, gray, blur("1"), imagenet});
    stands(crops.pipelines[1], {crop(224, "0.4, 1", "bicubic"), flip, color, gray, blur("0.1"), solarize, imagenet});
    for (std::size_t v = 2; v < 10; ++v)
        stands(crops.pipelines[v], {crop(96, "0.05, 0.4", "bicubic"), flip, color, gray, blur("0.5"), imagenet});
}

TEST_CASE("dino says which option is wrong") {
    says([] { views::dino({.locals = -1}); }, {"dino", "locals", "-1"});
    says([] { views::dino({.local_min_scale = 0.5, .local_max_scale = 0.4}); }, {"dino", "scales", "0.5 and 0.4"});
}
