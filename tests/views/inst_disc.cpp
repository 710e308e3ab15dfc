// SPDX-License-Identifier: Apache-2.0
#include <doppel/views/inst_disc.hpp>

#include "support/views.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("inst_disc is one view of MoCo v1's pipeline") {
    const auto one = views::inst_disc({.size = 32, .min_scale = 0.2});
    REQUIRE(one.pipelines.size() == 1);
    CHECK(one.globals == 1);
    CHECK(one.name == "inst_disc");
    CHECK(one.pipelines[0].describe() == views::moco_v1({.size = 32, .min_scale = 0.2}).pipelines[0].describe());
    CHECK(one.eval.size() == 32);
}
