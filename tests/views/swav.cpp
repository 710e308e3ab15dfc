// SPDX-License-Identifier: Apache-2.0
#include <doppel/views/swav.hpp>

#include "support/views.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("swav has two global and six local views of one pipeline, of strength 1 and the authors' statistics") {
    const auto crops = views::swav();
    REQUIRE(crops.pipelines.size() == 8);
    CHECK(crops.globals == 2);
    CHECK(crops.name == "swav");
    const auto color = jitter("0.8", "0.8", "0.8", "0.2", "0.8");
    const std::string authors = "normalize(mean=[0.485, 0.456, 0.406], std=[0.228, 0.224, 0.225])";
    for (std::size_t v = 0; v < 8; ++v)
        stands(crops.pipelines[v], {v < 2 ? crop(224, "0.14, 1", "bilinear") : crop(96, "0.05, 0.14", "bilinear"), flip, color, gray, blur("0.5"), authors});
    const auto small = views::swav({.crops = {.size = 32, .min_scale = 0.4}, .locals = 1, .strength = 0.5});
    REQUIRE(small.pipelines.size() == 3);
    stands(small.pipelines[2], {crop(16, "0.05, 0.14", "bilinear"), flip, jitter("0.4", "0.4", "0.4", "0.1", "0.8"), gray, cifar});
}

TEST_CASE("swav says which option is wrong") {
    says([] { views::swav({.crops = {.min_scale = 2}}); }, {"swav", "min_scale", "2"});
    says([] { views::swav({.local_min_scale = 0}); }, {"swav", "local_min_scale", "0 and 0.14"});
    says([] { views::swav({.strength = 3}); }, {"swav", "strength", "3"});
}
