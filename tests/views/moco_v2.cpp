// SPDX-License-Identifier: Apache-2.0
#include <doppel/views/moco_v2.hpp>

#include "support/views.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("moco_v2 adds blur to MoCo v1's views, has a weaker hue, and flips last") {
    const auto pair = views::moco_v2();
    REQUIRE(pair.pipelines.size() == 2);
    CHECK(pair.name == "moco_v2");
    for (const auto& view : pair.pipelines)
        stands(view, {crop(224, "0.2, 1", "bilinear"), jitter("0.4", "0.4", "0.4", "0.1", "0.8"), gray, blur("0.5"), flip, imagenet});
}
