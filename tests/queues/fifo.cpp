// SPDX-License-Identifier: Apache-2.0
#include <doppel/queues/fifo.hpp>

#include "support/state.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("a Fifo queue holds the last K keys in a ring, for any capacity and batch size") {
    for (std::int64_t capacity : {1, 5, 8, 20})
        for (std::int64_t batch : {1, 3, 5, 8, 13, 40}) {
            auto queue = queues::Fifo{.capacity = capacity}.build(4);
            Tensor ring = queue.read().clone();
            std::int64_t at_row = 0, written = 0;
            for (int step = 0; step < 6; ++step) {
                const Tensor keys = wave({batch, 4}, 0.7, step, at::kFloat);
                queue.push(keys);
                const Tensor unit = keys / keys.norm(2, 1, true);
                for (std::int64_t row = std::max<std::int64_t>(0, batch - capacity); row < batch; ++row) {
                    ring[at_row].copy_(unit[row]);
                    at_row = (at_row + 1) % capacity;
                    ++written;
                }
                CHECK(largest_difference(queue.read(), ring) < 1e-6);
                CHECK(state_of(queue).at("pointer").item<std::int64_t>() == at_row);
                CHECK(state_of(queue).at("filled").item<std::int64_t>() == std::min(written, capacity));
            }
        }
}

TEST_CASE("a Fifo queue starts with unit rows, stays float32 and takes no gradient") {
    auto queue = queues::Fifo{.capacity = 32}.build(8);
    CHECK(largest_difference(queue.read().norm(2, 1), at::ones({32})) < 1e-6);
    queue.push((wave({4, 8}).to(at::kBFloat16) * 100).requires_grad_());
    CHECK(queue.read().scalar_type() == at::kFloat);
    CHECK(!queue.read().requires_grad());
    CHECK(largest_difference(queue.read().norm(2, 1), at::ones({32})) < 1e-6);
}

TEST_CASE("a Fifo queue says which capacity it was given") {
    CHECK(mentions(message_of([] { queues::Fifo{.capacity = 0}.build(8); }), {"Fifo", "capacity", "0"}));
}
