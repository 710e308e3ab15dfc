// SPDX-License-Identifier: Apache-2.0
#include <doppel/views/moco_v1.hpp>

#include "support/views.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("moco_v1 has two views of the authors' code: gray before a jitter of 0.4 each that always happens, no blur") {
    const auto pair = views::moco_v1();
    REQUIRE(pair.pipelines.size() == 2);
    CHECK(pair.name == "moco_v1");
    for (const auto& view : pair.pipelines)
        stands(view, {crop(224, "0.2, 1", "bilinear"), gray, jitter("0.4", "0.4", "0.4", "0.4", "1"), flip, imagenet});
}
