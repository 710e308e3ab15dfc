// SPDX-License-Identifier: Apache-2.0
#include <doppel/options/range.hpp>

#include "support/support.hpp"

#include <cmath>

using namespace doppel::options;

TEST_CASE("a range has its ends, but not an open one, and no number that is none") {
    CHECK(between(0, 1).contains(0));
    CHECK(between(0, 1).contains(1));
    CHECK(!between(0, 1).contains(std::nextafter(1.0, 2.0)));
    CHECK(!above(0).contains(0));
    CHECK(above(0).contains(5e-324));
    CHECK(above(0, 3).contains(3));
    CHECK(!at_least(2).contains(1.999));
    for (const Range& range : {Range{}, between(0, 1), above(0), at_least(0)})
        for (const double none : {std::nan(""), HUGE_VAL, -HUGE_VAL}) CHECK(!range.contains(none));
}

TEST_CASE("a range says itself in words") {
    CHECK(between(0, 1).text() == "0 to 1");
    CHECK(above(0).text() == "above 0");
    CHECK(above(0, 10).text() == "above 0 and at most 10");
    CHECK(at_least(1).text() == "at least 1");
    CHECK(Range{.max = 1e-6}.text() == "at most 1e-06");
    CHECK(between(1, 65536).text() == "1 to 65536");
    CHECK(Range{}.text().empty());
}
