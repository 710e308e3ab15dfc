// SPDX-License-Identifier: Apache-2.0
#include <doppel/queues/support_set.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("a support set takes the first view's targets alone, one row an image") {
    auto set = queues::SupportSet{.capacity = 6}.build(4);
    const Tensor before = set.read().clone(), first = wave({4, 4}, 0.7, 1, at::kFloat), second = wave({4, 4}, 0.9, 5, at::kFloat);
    set.commit(Outputs{.target = {first, second}});
    CHECK(largest_difference(set.read().narrow(0, 0, 4), first / first.norm(2, 1, true)) < 1e-6);
    CHECK(bit_equal(set.read().narrow(0, 4, 2), before.narrow(0, 4, 2)));
    CHECK(mentions(message_of([] { queues::SupportSet{.capacity = 0}.build(8); }), {"SupportSet", "capacity", "0"}));
}
