// SPDX-License-Identifier: Apache-2.0
#include <doppel/augment/gaussian_blur.hpp>

#include "support/operations.hpp"

using namespace doppel;
using namespace doppel::test;
using augment::GaussianBlur;

TEST_CASE("GaussianBlur draws its width in range with probability p, and blurs as Pillow's reference does") {
    int drawn = 0;
    constexpr int draws = 2000;
    for (std::uint64_t i = 0; i < draws; ++i) {
        auto draw = stream_of(i);
        const auto sigma = GaussianBlur{.p = 0.5, .sigma = {0.5, 0.75}}.draw(draw);
        if (!sigma) continue;
        ++drawn;
        REQUIRE((*sigma >= 0.5 && *sigma < 0.75));
    }
    CHECK(drawn / double{draws} == Approx(0.5).margin(0.045));  // four standard errors of 0.011
    auto draw = stream_of(0);
    CHECK(!GaussianBlur{.p = 0}.draw(draw));
    CHECK(GaussianBlur{.p = 1}.draw(draw));
    CHECK(difference(changed(expected("source/busy"), [](Image& image) { GaussianBlur{}.apply(image, 0.8); }),
                     expected("blur/gaussian/0.8")) <= 1);
}

TEST_CASE("GaussianBlur takes any image, describes itself, and says which option is wrong") {
    takes_any_image(GaussianBlur{.p = 1});
    CHECK(GaussianBlur{}.describe() == "gaussian_blur(p=0.5, sigma=[0.1, 2], kind=gaussian)");
    CHECK(mentions(refusal_of(GaussianBlur{.sigma = {-1, 2}}), {"GaussianBlur", "[-1, 2]"}));
}
