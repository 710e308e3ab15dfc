// SPDX-License-Identifier: Apache-2.0
#include <doppel/views/mmcr.hpp>

#include "support/views.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("mmcr has BYOL's views by turns, and below 64 px SimCLR's") {
    const auto turns = views::mmcr({}, 5), byol = views::byol();
    REQUIRE(turns.pipelines.size() == 5);
    CHECK(turns.globals == 5);
    CHECK(turns.name == "mmcr");
    for (std::size_t v = 0; v < 5; ++v) CHECK(turns.pipelines[v].describe() == byol.pipelines[v % 2].describe());
    const auto small = views::mmcr({.size = 32}, 3);
    REQUIRE(small.pipelines.size() == 3);
    CHECK(small.name == "mmcr");
    for (const auto& view : small.pipelines) CHECK(view.describe() == views::simclr_small().pipelines[0].describe());
    says([] { views::mmcr({}, 1); }, {"mmcr", "at least 2", "1"});
}
