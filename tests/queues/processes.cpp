// SPDX-License-Identifier: Apache-2.0
// Every queue on several processes: the same rows everywhere, in the order of one process with the whole batch.
#include <doppel/queues/fifo.hpp>
#include <doppel/queues/memory_bank.hpp>
#include <doppel/queues/support_set.hpp>

#include "support/processes.hpp"
#include "support/torch_support.hpp"

#include <ATen/ops/arange.h>

using namespace doppel;
using namespace doppel::test;

namespace {

Outputs batch(std::int64_t images, int step) {
    Outputs out;
    for (int v = 0; v < 2; ++v) {
        out.online.push_back(chirp({images, 4}, 0.37 + v, 0.2 + step));
        out.target.push_back(chirp({images, 4}, 0.53 + v, 0.7 + step));
    }
    out.index = at::arange(images, at::kLong) + step;
    return out;
}

template <class Spec>
void compare(const Spec& spec, int size, std::int64_t images) {
    torch::manual_seed(2);
    const auto fresh = spec.build(4);
    const auto copy = [&] {
        auto state = fresh;
        state.state([](const char*, Tensor& x) { x = x.clone(); });
        return state;
    };
    auto one = copy();
    const Tensor bad = at::ones({});
    for (int s = 0; s < 3; ++s) one.commit(batch(images, s), s == 1 ? bad : Tensor{});
    as_processes(size, [&](const Group& all) {
        const Group group = sharing(all, images);
        auto mine = copy();
        for (int s = 0; s < 3; ++s) {
            Outputs part = batch(images, s);
            for (auto* list : {&part.online, &part.target})
                for (Tensor& x : *list) x = part_of(x, group);
            part.index = part_of(part.index, group);
            mine.join(group);
            mine.commit(part, s == 1 ? bad : Tensor{});
        }
        std::vector<Tensor> here, there;
        mine.state([&](const char*, Tensor& x) { here.push_back(x); });
        one.state([&](const char*, Tensor& x) { there.push_back(x); });
        for (std::size_t i = 0; i < here.size(); ++i) CHECK(at::equal(here[i], there[i]));
    });
}

}  // namespace

TEST_CASE("queues hold the rows of all processes in the order of the whole batch") {
    for (const auto& [size, images] : {std::pair{2, 6}, {3, 7}})
        for (const std::int64_t capacity : {3, 16, 40}) {  // 3: a batch is larger than the queue
            CAPTURE(size, images, capacity);
            compare(queues::Fifo{.capacity = capacity}, size, images);
            compare(queues::SupportSet{.capacity = capacity}, size, images);
            compare(queues::MemoryBank{.size = 10}, size, images);
        }
}

TEST_CASE("queues send what they write, and no more") {
    const auto bytes = [](const auto& spec) {
        return as_processes(2, [&](const Group& all) {
                   auto state = spec.build(4);
                   Outputs part = batch(3, 0);
                   state.join(sharing(all, 6));
                   state.commit(part);
               })
            .bytes;
    };
    constexpr std::int64_t view = 6 * 4 * 8;  // float64
    CHECK(bytes(queues::Fifo{.capacity = 16}) == 2 * view);
    CHECK(bytes(queues::SupportSet{.capacity = 16}) == view);
    CHECK(bytes(queues::MemoryBank{.size = 10}) == view + 6 * 8);
}
