// SPDX-License-Identifier: Apache-2.0
#include <doppel/views/lejepa.hpp>

#include "support/views.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("lejepa has two global and six local views of one pipeline with solarize") {
    const auto crops = views::lejepa();
    REQUIRE(crops.pipelines.size() == 8);
    CHECK(crops.globals == 2);
    CHECK(crops.name == "lejepa");
    const auto color = jitter("0.4", "0.4", "0.2", "0.1", "0.8");
    for (std::size_t v = 0; v < 8; ++v)
        stands(crops.pipelines[v], {v < 2 ? crop(224, "0.3, 1", "bilinear") : crop(96, "0.05, 0.3", "bilinear"), flip, color, gray, blur("0.5"), solarize, imagenet});
    CHECK(views::lejepa({.crops = {.size = 32}, .locals = 1}).pipelines[2].size() == 16);
    CHECK(views::lejepa({.locals = 1, .local_size = 40}).pipelines[2].size() == 40);
}

TEST_CASE("lejepa says which option is wrong") {
    says([] { views::lejepa({.globals = 1, .locals = 0}); }, {"lejepa", "1 global and 0 local"});
    says([] { views::lejepa({.crops = {.min_scale = 0}}); }, {"lejepa", "min_scale", "0"});
    says([] { views::lejepa({.local_max_scale = 1.5}); }, {"lejepa", "local_max_scale", "1.5"});
}
