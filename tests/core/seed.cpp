// SPDX-License-Identifier: Apache-2.0
#include <doppel/core/seed.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("a SeedScope seeds torch's generator, and gives it back as it was, also when the scope throws") {
    const auto drawn = [](std::uint64_t seed) {
        const SeedScope scope(seed);
        return at::rand({3});
    };
    at::manual_seed(5);
    const Tensor first = at::rand({2}), second = at::rand({2});
    at::manual_seed(5);
    CHECK(bit_equal(at::rand({2}), first));
    CHECK(bit_equal(drawn(1), drawn(1)));
    CHECK(!bit_equal(drawn(1), drawn(2)));
    try {
        const SeedScope scope(3);
        fail("out of the scope");
    } catch (const Error&) {
    }
    CHECK(bit_equal(at::rand({2}), second));
}
