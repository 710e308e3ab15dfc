// SPDX-License-Identifier: Apache-2.0
#include <doppel/core/error.hpp>

#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("require throws its parts as one text when the condition does not hold, and only then") {
    CHECK_NOTHROW(require(true, "never"));
    CHECK(message_of([] { require(false, "Thing: size must be above 0, got ", -1.5, " px"); }) ==
          "Thing: size must be above 0, got -1.5 px");
    CHECK_THROWS_AS(fail("x"), Error);
}

TEST_CASE("an error is one line, whatever stands in names and values") {
    CHECK(message_of([] { fail("a\nb\x1b[31m", '\t', "größe\x7f"); }) == "a?b?[31m?größe?");
}

TEST_CASE("an image that cannot be read is a damaged image, and both are errors") {
    CHECK_THROWS_AS(throw UnreadableImage("x"), DamagedImage);
    CHECK_THROWS_AS(throw DamagedImage("x"), Error);
}
