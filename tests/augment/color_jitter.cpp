// SPDX-License-Identifier: Apache-2.0
#include <doppel/augment/color_jitter.hpp>

#include "support/operations.hpp"

#include <array>
#include <set>

using namespace doppel;
using namespace doppel::test;
using augment::ColorJitter;
using augment::Jitter;
using augment::JitterParameters;

TEST_CASE("ColorJitter applies fixed factors in the given order as torchvision does") {
    JitterParameters drawn{.brightness = 1.3, .contrast = 0.6, .saturation = 1.4, .hue = 0.07};
    const auto applied = [&] {
        return changed(expected("source/smooth"), [&](Image& image) { ColorJitter{}.apply(image, drawn); });
    };
    CHECK(applied() == expected("jitter/brightness-contrast-saturation-hue"));
    drawn.order = {Jitter::hue, Jitter::contrast, Jitter::brightness, Jitter::saturation};
    CHECK(applied() == expected("jitter/hue-contrast-brightness-saturation"));
    CHECK(applied() != expected("jitter/brightness-contrast-saturation-hue"));
}

TEST_CASE("ColorJitter draws factors in range, all 24 orders, and nothing with probability 1 - p") {
    const ColorJitter jitter{.brightness = 0.4, .contrast = 1.5, .saturation = 0, .hue = 0.1, .p = 0.8};
    std::set<std::array<Jitter, 4>> orders;
    int drawn_count = 0;
    constexpr int draws = 2000;
    for (std::uint64_t i = 0; i < draws; ++i) {
        auto draw = stream_of(i);
        const auto drawn = jitter.draw(draw);
        if (!drawn) continue;
        ++drawn_count;
        orders.insert(drawn->order);
        REQUIRE((*drawn->brightness >= 0.6 && *drawn->brightness <= 1.4));
        REQUIRE((*drawn->contrast >= 0 && *drawn->contrast <= 2.5));
        REQUIRE(!drawn->saturation);
        REQUIRE((*drawn->hue >= -0.1 && *drawn->hue <= 0.1));
    }
    CHECK(orders.size() == 24);
    CHECK(drawn_count / double{draws} == Approx(0.8).margin(0.04));  // standard error 0.009
}

TEST_CASE("ColorJitter's draws depend on its stream alone") {
    const ColorJitter jitter{.p = 1};
    auto first = stream_of(5, 0), other_view = stream_of(5, 1), again = stream_of(5, 0);
    const double b = *jitter.draw(first)->brightness;
    CHECK(*jitter.draw(other_view)->brightness != b);
    CHECK(*jitter.draw(again)->brightness == b);
}

TEST_CASE("ColorJitter with p = 0 changes nothing, takes any image, and says which option is wrong") {
    auto draw = stream_of(1);
    CHECK(!ColorJitter{.p = 0}.draw(draw));
    takes_any_image(ColorJitter{.p = 1});
    CHECK(ColorJitter{}.describe() == "color_jitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, p=0.8)");
    CHECK(mentions(refusal_of(ColorJitter{.hue = 0.7}), {"ColorJitter", "hue", "0.7"}));
    CHECK(mentions(refusal_of(ColorJitter{.contrast = -1}), {"ColorJitter", "-1"}));
}
