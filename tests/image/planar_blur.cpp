// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/planar_blur.hpp>

#include "support/planes.hpp"

using namespace doppel;
using namespace doppel::test;
using image::Planes;
using image::Simd;

TEST_CASE("a blur of planes equals that of an image") {
    image::BlurBuffers use;
    for (const auto kind : {image::Blur::gaussian, image::Blur::boxes})
        for (const double sigma : {0.1, 0.6, 1.3, 2.0, 9.0})
            for (const Image& from : {noise(1, 1, 3), noise(5, 40, 1), noise(97, 33, 3), noise(64, 64, 1), noise(21, 30, 4)}) {
                Image wanted = from;
                image::gaussian_blur(wanted, sigma, kind);
                check_planes(from, wanted, [&](const Planes& planes, Simd simd) {
                    image::gaussian_blur(planes, sigma, kind, use, simd);
                    return planes;
                });
            }
}
