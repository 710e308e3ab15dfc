// SPDX-License-Identifier: Apache-2.0
#include <doppel/queues/fifo.hpp>
#include <doppel/queues/support_set.hpp>

#include "support/torch_support.hpp"

#include <map>

using namespace doppel;
using namespace doppel::test;

namespace {
std::map<std::string, Tensor> state_of(queues::Fifo::State& queue) {
    std::map<std::string, Tensor> all;
    queue.state([&](const char* name, Tensor& value) { all[name] = value; });
    return all;
}
}  // namespace

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

TEST_CASE("a support set takes the first view's targets alone, one row an image") {
    auto set = queues::SupportSet{.capacity = 6}.build(4);
    const Tensor before = set.read().clone(), first = wave({4, 4}, 0.7, 1, at::kFloat), second = wave({4, 4}, 0.9, 5, at::kFloat);
    set.commit(Outputs{.target = {first, second}});
    CHECK(largest_difference(set.read().narrow(0, 0, 4), first / first.norm(2, 1, true)) < 1e-6);
    CHECK(bit_equal(set.read().narrow(0, 4, 2), before.narrow(0, 4, 2)));
    CHECK(mentions(message_of([] { queues::SupportSet{.capacity = 0}.build(8); }), {"SupportSet", "capacity", "0"}));
}
