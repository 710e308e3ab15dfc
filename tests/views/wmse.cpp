// SPDX-License-Identifier: Apache-2.0
#include <doppel/views/wmse.hpp>

#include "support/views.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("wmse changes colors before the crop, has gray with p 0.1 and no blur, bicubic at every size") {
    const auto pair = views::wmse({.min_scale = 0.2}, 4);
    REQUIRE(pair.pipelines.size() == 4);
    CHECK(pair.globals == 4);
    CHECK(pair.name == "wmse");
    const auto color = jitter("0.4", "0.4", "0.4", "0.1", "0.8");
    for (const auto& view : pair.pipelines) stands(view, {color, "grayscale(p=0.1)", crop(224, "0.2, 1", "bicubic"), flip, imagenet});
    stands(views::wmse({.size = 32, .min_scale = 0.2}).pipelines[0], {color, "grayscale(p=0.1)", crop(32, "0.2, 1", "bicubic"), flip, cifar});
    says([] { views::wmse({}, 1); }, {"wmse", "at least 2", "1"});
}
