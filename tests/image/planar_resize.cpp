// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/flip.hpp>
#include <doppel/image/planar_resize.hpp>

#include "support/planes.hpp"

using namespace doppel;
using namespace doppel::test;
using image::Planes;
using image::Simd;

TEST_CASE("a resize to planes equals that of an image, mirrored and cut out too") {
    image::ResizeBuffers use;
    for (const auto filter : {image::Filter::bilinear, image::Filter::bicubic})
        for (const int channels : {1, 3, 5})
            for (const auto& [w, h] : {std::pair(1, 1), std::pair(3, 90), std::pair(130, 67)})
                for (const auto& [width, height] : {std::pair(1, 1), std::pair(31, 70), std::pair(64, 33), std::pair(98, 16)}) {
                    const Image from = noise(w, h, channels);
                    Image whole = image::resize(from, width, height, filter), mirrored = whole;
                    image::flip(mirrored);
                    const image::Rect part{width / 3, height / 4, (width + 1) / 2, (height + 1) / 2};
                    for (const bool flipped : {false, true})
                        for (const bool cut : {false, true}) {
                            Image wanted = flipped ? mirrored : whole;
                            if (cut) wanted = image::crop(wanted, part);
                            std::vector<std::uint8_t> room(wanted.pixels.size());
                            check_planes(from, wanted, [&, w = w, h = h, width = width, height = height](const Planes&, Simd simd) {
                                const Planes out{room.data(), wanted.width, wanted.height, channels};
                                image::resize_to_planes(from, {0, 0, w, h}, filter, {width, height, cut ? part.left : 0, cut ? part.top : 0}, flipped,
                                                                out, use, simd);
                                return out;
                            });
                        }
                }
}
