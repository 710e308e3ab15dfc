// SPDX-License-Identifier: Apache-2.0
#include <doppel/augment/horizontal_flip.hpp>

#include "support/operations.hpp"

using namespace doppel;
using namespace doppel::test;
using augment::HorizontalFlip;

TEST_CASE("HorizontalFlip mirrors an image left to right as torchvision does, with probability p") {
    happens_with_its_probability(HorizontalFlip{}, "flip");
}

TEST_CASE("HorizontalFlip takes any image, describes itself, and says which option is wrong") {
    takes_any_image(HorizontalFlip{.p = 1});
    CHECK(HorizontalFlip{}.describe() == "horizontal_flip(p=0.5)");
    CHECK(mentions(refusal_of(HorizontalFlip{.p = 1.5}), {"HorizontalFlip", "1.5"}));
}
