// SPDX-License-Identifier: Apache-2.0
#include <doppel/core/normalize.hpp>

#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;
using doppel::Normalize;
using doppel::NormalizeTable;

TEST_CASE("Normalize gives (x/255 - mean) / std of each channel for all 256 levels; one channel takes the first entry") {
    const Normalize by{.mean = {0.5, 0.25, 0.1}, .std = {0.5, 0.2, 2}};
    for (const int channels : {1, 3}) {
        std::vector<std::uint8_t> planes(static_cast<std::size_t>(256 * channels));
        for (std::size_t i = 0; i < planes.size(); ++i) planes[i] = static_cast<std::uint8_t>(i);
        std::vector<float> out(planes.size());
        NormalizeTable{by}(planes, channels, out);
        for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c)
            for (std::size_t level = 0; level < 256; ++level)
                CHECK(out[256 * c + level] == Approx((static_cast<double>(level) / 255 - by.mean[c]) / by.std[c]).margin(1e-6));
    }
}

TEST_CASE("Normalize says which deviation is wrong, and how much space it needs") {
    says([] { NormalizeTable{Normalize{.std = {1, 0, 1}}}; }, {"Normalize", "std", "0"});
    std::vector<float> few(3);
    says([&] { NormalizeTable{Normalize{}}(std::vector<std::uint8_t>(12), 3, few); }, {"Normalize", "12 values", "space for 3"});
    CHECK(Normalize{}.describe() == "normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])");
}
