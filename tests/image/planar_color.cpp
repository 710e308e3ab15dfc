// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/planar_color.hpp>

#include "support/planes.hpp"

using namespace doppel;
using namespace doppel::test;
using image::Planes;
using image::Simd;

TEST_CASE("color adjustments of planes equal those of images for colors of all kinds") {
    Image colors(52 * 52, 52, 3);  // every fifth level of each channel, and the extremes
    for (int i = 0, r = 0; r < 52; ++r)
        for (int g = 0; g < 52; ++g)
            for (int b = 0; b < 52; ++b)
                for (const int level : {r, g, b}) colors.pixels[static_cast<std::size_t>(i++)] = static_cast<std::uint8_t>(5 * level);
    const auto both = [&](const Image& from, const auto& on_image, const auto& on_planes) {
        Image wanted = from;
        on_image(wanted);
        check_planes(from, wanted, [&](const Planes& planes, Simd simd) {
            on_planes(planes, simd);
            return planes;
        });
    };
    for (const double turns : {-0.5, -0.07, 0.0, 0.26})
        both(colors, [=](Image& i) { image::hue(i, turns); }, [=](const Planes& p, Simd s) { image::hue(p, turns, s); });
    for (const Image& from : {noise(67, 3, 3), noise(130, 1, 1), noise(2, 2, 3), noise(9, 4, 5)}) {
        for (const double factor : {0.0, 0.37, 1.0, 1.8, 1e9}) {
            both(from, [=](Image& i) { image::brightness(i, factor); }, [=](const Planes& p, Simd s) { image::brightness(p, factor, s); });
            both(from, [=](Image& i) { image::contrast(i, factor); }, [=](const Planes& p, Simd s) { image::contrast(p, factor, s); });
            both(from, [=](Image& i) { image::saturation(i, factor); }, [=](const Planes& p, Simd s) { image::saturation(p, factor, s); });
        }
        both(from, [](Image& i) { image::hue(i, 0.2); }, [](const Planes& p, Simd s) { image::hue(p, 0.2, s); });
        both(from, [](Image& i) { image::grayscale(i); }, [](const Planes& p, Simd s) { image::grayscale(p, s); });
        for (const int threshold : {0, 100, 128, 256})
            both(from, [=](Image& i) { image::solarize(i, threshold); }, [=](const Planes& p, Simd s) { image::solarize(p, threshold, s); });
    }
}
