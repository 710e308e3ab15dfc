// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/planes.hpp>

#include "support/planes.hpp"

using namespace doppel;
using namespace doppel::test;
using image::Planes;

TEST_CASE("planes and images hold the same pixels") {
    for (const int channels : {1, 3, 5}) {
        const Image from = noise(7, 3, channels);
        std::vector<std::uint8_t> bytes(from.pixels.size());
        const Planes planes{bytes.data(), 7, 3, channels};
        image::to_planes(from, planes);
        CHECK(planes.area() == 21);
        for (int c = 0; c < channels; ++c) CHECK(planes.row(c, 2)[4] == from.at(4, 2)[c]);
        Image back;
        image::to_image(planes, back);
        CHECK(back == from);
    }
}
