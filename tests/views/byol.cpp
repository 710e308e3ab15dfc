// SPDX-License-Identifier: Apache-2.0
#include <doppel/views/byol.hpp>

#include "support/views.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("byol's two views are those of the paper's table 6: blur 1 and 0.1, solarize 0 and 0.2") {
    const auto pair = views::byol();
    REQUIRE(pair.pipelines.size() == 2);
    CHECK(pair.globals == 2);
    CHECK(pair.name == "byol");
    const auto start = [](int size, const std::string& filter) { return crop(size, "0.08, 1", filter); };
    const auto color = jitter("0.4", "0.4", "0.2", "0.1", "0.8");
    stands(pair.pipelines[0], {start(224, "bicubic"), flip, color, gray, blur("1"), imagenet});
    stands(pair.pipelines[1], {start(224, "bicubic"), flip, color, gray, blur("0.1"), solarize, imagenet});
    const auto small = views::byol({.size = 32});
    stands(small.pipelines[0], {start(32, "bilinear"), flip, color, gray, cifar});
    stands(small.pipelines[1], {start(32, "bilinear"), flip, color, gray, solarize, cifar});
}
