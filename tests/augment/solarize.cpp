// SPDX-License-Identifier: Apache-2.0
#include <doppel/augment/solarize.hpp>

#include "support/operations.hpp"

using namespace doppel;
using namespace doppel::test;
using augment::Solarize;

TEST_CASE("Solarize inverts the pixels from the threshold on as torchvision does, with probability p") {
    happens_with_its_probability(Solarize{}, "solarize/128");
}

TEST_CASE("Solarize takes any image, describes itself, and says which option is wrong") {
    takes_any_image(Solarize{.p = 1});
    CHECK(Solarize{.p = 0.1}.describe() == "solarize(p=0.1, threshold=128)");
    CHECK(mentions(refusal_of(Solarize{.threshold = 300}), {"Solarize", "300"}));
}
