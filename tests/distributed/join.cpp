// SPDX-License-Identifier: Apache-2.0
// Processes that speak by Gloo: what they say, and how they end together.
#include <doppel/distributed/join.hpp>

#include <doppel/core/collectives.hpp>

#include "support/forked.hpp"
#include "support/support.hpp"
#include "support/torch_support.hpp"

#include <ATen/ops/allclose.h>
#include <ATen/ops/full.h>

#include <chrono>
#include <thread>

using namespace doppel;
using namespace doppel::test;

namespace {

Group joined(const distributed::Place& place) { return distributed::join(place, at::kCPU, {.wait_seconds = 20, .patience = 1}); }

void check_said(const std::vector<ProcessEnd>& ends, const std::string& expected) {
    for (const auto& end : ends) {
        INFO(end.said);
        CHECK(end.said == expected);
        CHECK((!end.threw && end.signal == 0));
    }
}

}  // namespace

TEST_CASE("sums, maxima, gathers, broadcasts, rings and texts") {
    for (const int size : {2, 3})
        check_said(forked(size,
                          [&](const distributed::Place& place) -> std::string {
                              const Group group = joined(place);
                              auto& say = group.collectives();
                              const auto rank = place.rank;
                              Tensor sum = at::full({2, 3}, rank + 1.0, at::kFloat).t(), most = at::full({2}, rank, at::kLong);
                              say.sum(sum);
                              if (!at::equal(sum, at::full({3, 2}, size * (size + 1) / 2.0, at::kFloat))) return "sum";
                              say.maximum(most);
                              if (!at::equal(most, at::full({2}, size - 1, at::kLong))) return "maximum";
                              Tensor sent = at::full({3}, rank, at::kDouble);
                              say.broadcast(sent, 1);
                              if (!at::equal(sent, at::full({3}, 1, at::kDouble))) return "broadcast";
                              if (gathered(at::full({1, 2}, rank, at::kFloat), group).select(1, 0).sum().item<double>() != size * (size - 1) / 2.0) return "gather";
                              std::vector<std::int64_t> rows{2, 0, 3};
                              rows.resize(static_cast<std::size_t>(size));
                              const Group uneven = group.with_images(rows);
                              if (rank != 1) {
                                  if (uneven.all_rows(rows[static_cast<std::size_t>(rank)]) != (size == 3 ? 5 : 2)) return "rows";
                              }
                              std::vector<Tensor> parts;
                              for (const auto count : rows) parts.push_back(at::full({count, 2}, -1, at::kFloat));
                              say.gather(at::full({rows[static_cast<std::size_t>(rank)], 2}, rank, at::kFloat), parts);
                              for (int r = 0; r < size; ++r)
                                  if (!at::equal(parts[static_cast<std::size_t>(r)], at::full({rows[static_cast<std::size_t>(r)], 2}, r, at::kFloat))) return "uneven gather";
                              Tensor theirs = at::full({2}, -1, at::kFloat);
                              if (rank == 1) std::this_thread::sleep_for(std::chrono::milliseconds(500));  // the others wait
                              say.pass_on(at::full({2}, rank, at::kFloat), theirs);
                              if (!at::equal(theirs, at::full({2}, (rank + size - 1) % size, at::kFloat))) return "ring";
                              const auto texts = say.texts(std::string(static_cast<std::size_t>(rank), 'x'));
                              for (int r = 0; r < size; ++r)
                                  if (texts[static_cast<std::size_t>(r)] != std::string(static_cast<std::size_t>(r), 'x')) return "texts";
                              return "good";
                          }),
                   "good");
}

TEST_CASE("a process that gives up, or is killed, ends the others with its name and error") {
    const auto said = [](auto&& end) {
        const auto began = std::chrono::steady_clock::now();
        const auto ends = forked(3, [&](const distributed::Place& place) -> std::string {
            const Group group = joined(place);
            Tensor x = at::ones({4});
            group.collectives().sum(x);
            if (place.rank == 1) end(group);
            group.collectives().sum(x);
            return "went on";
        });
        CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(10));
        for (const int r : {0, 2}) CHECK(ends[static_cast<std::size_t>(r)].threw);
        return ends[0].said + " | " + ends[2].said;
    };
    const auto gave_up = said([](const Group& group) {
        group.collectives().give_up("data: photo.jpg is damaged");
        fail("mine");
    });
    CHECK(gave_up == "process 1 of 3 ended: data: photo.jpg is damaged | process 1 of 3 ended: data: photo.jpg is damaged");
    const auto killed = said([](const Group&) { ::raise(SIGKILL); });
    CHECK(mentions(killed, {"process 1 of 3 ended without a word", "| process 1 of 3 ended without a word"}));
}

TEST_CASE("the death of the process that serves the store is told") {
    const auto ends = forked(2, [&](const distributed::Place& place) -> std::string {
        const Group group = joined(place);
        Tensor x = at::ones({4});
        group.collectives().sum(x);
        if (place.rank == 0) ::raise(SIGKILL);
        group.collectives().sum(x);
        return "went on";
    });
    INFO(ends[1].said);
    CHECK(ends[1].threw);
    CHECK(mentions(ends[1].said, {"process 0"}));
}

TEST_CASE("processes that make different calls are named, not waited for") {
    const auto both = [](auto&& one, auto&& other) {
        const auto ends = forked(2, [&](const distributed::Place& place) -> std::string {
            const Group group = joined(place);
            if (place.rank == 0)
                one(group.collectives());
            else
                other(group.collectives());
            return "went on";
        });
        return ends[0].said + " | " + ends[1].said;
    };
    const auto sum = [](std::int64_t size) {
        return [size](Collectives& say) {
            Tensor x = at::ones({size});
            say.sum(x);
        };
    };
    const auto broadcast = [](Collectives& say) {
        Tensor x = at::ones({3});
        say.broadcast(x, 0);
        say.sum(x);
    };
    for (const auto& text : {both(sum(2), sum(500)), both(sum(3), broadcast)}) {
        INFO(text);
        CHECK(mentions(text, {"different calls", "process 0 sums ["}));
    }
    const auto backward = both(sum(3), [](Collectives& say) {  // in the exchange of gradients, which nothing can interrupt
        const Tensor weight = at::ones({3}).requires_grad_();
        const auto average = say.gradient_average({{"weight", weight}}, {});
        const Tensor loss = weight.sum();
        average->before_backward(loss, true);
        loss.backward();
        average->after_backward(true);
        Tensor x = at::ones({3});
        say.sum(x);
    });
    INFO(backward);
    CHECK(mentions(backward, {"different calls", "averages gradients"}));
    const auto early = both(sum(2), [](Collectives&) {});
    INFO(early);
    CHECK(mentions(early, {"process 1 of 2", "ended"}));
}

TEST_CASE("who does not come is named, and a port that is taken") {
    const auto ends = forked(2, [&](const distributed::Place& place) -> std::string {
        if (place.rank == 1) return "stays away";
        distributed::join(place, at::kCPU, {.wait_seconds = 1});
        return "went on";
    });
    CHECK(mentions(ends[0].said, {"process 1 has not come within 1 seconds"}));
    CHECK(mentions(message_of([] {
                       distributed::join(distributed::Place{.rank = 1, .size = 2, .port = distributed::detail::free_port()}, at::kCPU, {.wait_seconds = 1});
                   }),
                   {"process 1 of 2", "cannot meet the others at 127.0.0.1"}));
    CHECK(mentions(message_of([] { distributed::join(distributed::Place{.size = 2, .address = "nowhere.invalid"}, at::kCPU, {.wait_seconds = 0.1}); }),
                   {"process 0 of 2", "there is no machine nowhere.invalid (MASTER_ADDR)"}));
}
