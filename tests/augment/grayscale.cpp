// SPDX-License-Identifier: Apache-2.0
#include <doppel/augment/grayscale.hpp>

#include "support/operations.hpp"

using namespace doppel;
using namespace doppel::test;
using augment::Grayscale;

TEST_CASE("Grayscale sets every channel to the luma as torchvision does, with probability p") {
    happens_with_its_probability(Grayscale{}, "grayscale");
}

TEST_CASE("Grayscale takes any image, describes itself, and says which option is wrong") {
    takes_any_image(Grayscale{.p = 1});
    CHECK(Grayscale{}.describe() == "grayscale(p=0.2)");
    CHECK(mentions(refusal_of(Grayscale{.p = -0.5}), {"Grayscale", "-0.5"}));
}
