// SPDX-License-Identifier: Apache-2.0
#include <doppel/views/multi_crop.hpp>

#include "support/views.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("multi_crop has global views first, then local ones of their own size and area") {
    const auto crops = views::multi_crop({.global_size = 32, .local_size = 16, .globals = 2, .locals = 3});
    REQUIRE(crops.pipelines.size() == 5);
    CHECK(crops.globals == 2);
    CHECK(crops.eval.size() == 32);
    for (std::size_t v = 0; v < 5; ++v) {
        CHECK(crops.pipelines[v].size() == (v < 2 ? 32 : 16));
        CHECK(mentions(crops.pipelines[v].describe(), {v < 2 ? "scale=[0.4, 1]" : "scale=[0.05, 0.4]"}));
        CHECK(look(crops.pipelines[v], expected("source/busy"), address(0, 0, v)).size() == (v < 2 ? 3072U : 768U));
    }
}

TEST_CASE("local views have 3/7 of the global side in steps of 16 as DINO's 96 of 224, below 64 px the half") {
    CHECK(views::local_side(224) == 96);
    CHECK(views::local_side(96) == 48);
    CHECK(views::local_side(64) == 32);
    CHECK(views::local_side(32) == 16);
    CHECK(views::local_side(1) == 1);
}

TEST_CASE("multi_crop says how many views it needs") {
    says([] { views::multi_crop({.globals = 0}); }, {"multi_crop", "globals >= 1", "0"});
    says([] { views::multi_crop({.locals = -1}); }, {"multi_crop", "locals >= 0", "-1"});
}
