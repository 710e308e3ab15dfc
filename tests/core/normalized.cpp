// SPDX-License-Identifier: Apache-2.0
#include <doppel/core/normalized.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("normalized gives the values of the table, bit for bit, in both memory formats") {
    const Normalize by{.mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}};
    const NormalizeTable table(by);
    const Tensor bytes = at::arange(2 * 3 * 256, at::kLong).remainder(256).to(at::kByte).view({2, 3, 16, 16});
    const Tensor whole = normalized(bytes, by, at::MemoryFormat::Contiguous);
    const auto values = whole.accessor<float, 4>();
    bool equal = true;
    for (std::int64_t n = 0; n < 2; ++n)
        for (std::int64_t c = 0; c < 3; ++c)
            for (std::int64_t i = 0; i < 256; ++i)
                equal &= values[n][c][i / 16][i % 16] == table.at(static_cast<std::size_t>(c), static_cast<std::uint8_t>(i));
    CHECK(equal);
    const Tensor last = normalized(bytes, by, at::MemoryFormat::ChannelsLast);
    CHECK(last.is_contiguous(at::MemoryFormat::ChannelsLast));
    CHECK(at::equal(last, whole));
    CHECK(at::equal(normalized(bytes.flip({3}), by, at::MemoryFormat::Contiguous), whole.flip({3})));
}

TEST_CASE("normalized leaves floats as they are, and says which shape it got") {
    const Tensor floats = at::randn({2, 3, 4, 4});
    CHECK(at::equal(normalized(floats, {}, at::MemoryFormat::ChannelsLast), floats));
    says([] { normalized(at::zeros({3, 4, 4}, at::kByte), {}, at::MemoryFormat::Contiguous); }, {"normalized", "[3, 4, 4]"});
}
