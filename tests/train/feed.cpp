// SPDX-License-Identifier: Apache-2.0
#include <doppel/train/feed.hpp>

#include "support/torch_support.hpp"

using namespace doppel;

TEST_CASE("a feed to the CPU hands batches over as they are") {
    train::Feed feed(at::kCPU);
    Batch batch{.views = {at::ones({2, 3, 4, 4}, at::kByte)}, .index = at::arange(2)};
    batch.orders = {at::arange(2).view({1, 2})};
    batch.masked = {{.mask = at::zeros({2, 4}, at::kBool)}};
    const Batch got = feed.receive(feed.send(batch));
    CHECK(got.views[0].is_same(batch.views[0]));
    int seen = 0;
    train::each_tensor(batch, [&](Tensor&) { ++seen; });
    CHECK(seen == 4);  // views, index, orders and masks travel
}
