// SPDX-License-Identifier: Apache-2.0
#include <doppel/run/view_groups.hpp>

#include "support/support.hpp"

using namespace doppel;

TEST_CASE("views are shown by pipeline: equal ones together, global and local ones apart") {
    const auto of = [](int side) { return views::PipelineSpec{.size = side}; };
    const auto equal = views::make_views("equal", {of(32), of(32)});
    CHECK(run::view_groups(equal) == std::vector<std::pair<std::size_t, std::size_t>>{{0, 1}});
    const auto crops = views::make_views("crops", {of(32), of(32)}, {of(16), of(16), of(16)});
    CHECK(run::view_groups(crops) == std::vector<std::pair<std::size_t, std::size_t>>{{0, 1}, {2, 4}});
    const auto alike = views::make_views("alike", {of(32)}, {of(32)});
    CHECK(run::view_groups(alike) == std::vector<std::pair<std::size_t, std::size_t>>{{0, 0}, {1, 1}});
    CHECK(run::view_title(0, 1, 2, 2) == "Views 1 and 2");
    CHECK(run::view_title(0, 0, 2, 2) == "View 1");
    CHECK(run::view_title(0, 1, 2, 5) == "Global views 1 and 2");
    CHECK(run::view_title(2, 4, 2, 5) == "Local views 3 to 5");
}
