// SPDX-License-Identifier: Apache-2.0
#include <doppel/batched/hue.hpp>

#include "support/batched.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("every kind of color is turned as on the CPU, bit for bit, and only where asked for") {
    Image colors(51, 51, 3);  // each third of the circle, ties, gray, black and white
    for (int i = 0; i < 51 * 51; ++i) {
        auto* const rgb = &colors.pixels[static_cast<std::size_t>(3 * i)];
        for (int c = 0; c < 3; ++c) rgb[c] = static_cast<std::uint8_t>(i * (c == 0 ? 5 : c == 1 ? 23 : 111) % 256 / (i % 3 == c ? 2 : 1));
        if (i % 7 == 0) rgb[i % 3] = rgb[(i + 1) % 3];
        if (i % 17 == 0) rgb[0] = rgb[1] = rgb[2];
        if (i == 1) rgb[0] = rgb[1] = rgb[2] = 255;
    }
    const std::vector<int> turns{0, 1, -1, 25, -51, 127, -127};
    std::vector<Image> wanted{colors};
    std::vector<float> turn{40}, on{0};
    for (const int one : turns) {
        wanted.push_back(colors);
        for (std::size_t p = 0; p < colors.pixels.size(); p += 3) image::detail::turn_hue(&wanted.back().pixels[p], one);
        turn.push_back(static_cast<float>(one)), on.push_back(1);
    }
    const auto count = static_cast<std::int64_t>(turn.size());
    const Tensor got = batched::turn_hue(tensor_of({colors}).expand({count, 3, 51, 51}), at::tensor(turn).view({-1, 1, 1, 1}),
                                         at::tensor(on).view({-1, 1, 1, 1}), batched::HueTables(at::kCPU));
    CHECK(at::equal(got, tensor_of(wanted)));
}
