// SPDX-License-Identifier: Apache-2.0
#include <doppel/views/ressl.hpp>

#include "support/views.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("ressl has one strong and one weak view: SimCLR's at half strength, and crop and flip alone") {
    const auto pair = views::ressl();
    REQUIRE(pair.pipelines.size() == 2);
    CHECK(pair.name == "ressl");
    stands(pair.pipelines[0], {crop(224, "0.2, 1", "bilinear"), flip, jitter("0.4", "0.4", "0.4", "0.1", "0.8"), gray, blur("0.5"), imagenet});
    stands(pair.pipelines[1], {crop(224, "0.2, 1", "bilinear"), flip, imagenet});
    CHECK(views::ressl({.views = 7}).pipelines.size() == 2);
}
