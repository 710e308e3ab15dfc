// SPDX-License-Identifier: Apache-2.0
// What the tests of planes share: noise, and a comparison with images for all vector instructions.
#pragma once

#include <doppel/image/image.hpp>
#include <doppel/image/planes.hpp>
#include <doppel/image/simd.hpp>

#include "support/support.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace doppel::test {

inline Image noise(int width, int height, int channels) {
    Image made(width, height, channels);
    std::uint32_t state = 1;
    for (auto& byte : made.pixels) byte = static_cast<std::uint8_t>((state = state * 1664525 + 1013904223) >> 24);
    return made;
}

/// Runs `change` on the image's planes with each level of vector instructions and compares with the image `wanted`.
template <class Change>
void check_planes(const Image& from, const Image& wanted, const Change& change) {
    for (const image::Simd simd : image::all_simd) {
        if (!image::has_simd(simd)) continue;
        INFO(image::name_of(simd) << " " << from.width << "x" << from.height << "x" << from.channels);
        std::vector<std::uint8_t> bytes(std::max(from.pixels.size(), wanted.pixels.size()));
        const image::Planes planes{bytes.data(), from.width, from.height, from.channels};
        image::to_planes(from, planes);
        Image got;
        image::to_image(change(planes, simd), got);
        const bool equal = got == wanted;  // not in the CHECK, which would print every pixel
        CHECK(equal);
    }
}

}  // namespace doppel::test
