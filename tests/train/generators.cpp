// SPDX-License-Identifier: Apache-2.0
#include <doppel/train/generators.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("generators are seeded, and go on from a state that was kept") {
    train::Generators generators;
    generators.seed(3);
    const Tensor first = at::rand({3});
    const auto kept = generators.state();
    REQUIRE(kept.size() == 1);
    CHECK(kept.contains("generator.cpu"));
    const Tensor second = at::rand({3});
    generators.restore(kept);
    CHECK(bit_equal(at::rand({3}), second));
    generators.restore({});  // keeps its own
    CHECK(!bit_equal(at::rand({3}), second));
    generators.seed(3);
    CHECK(bit_equal(at::rand({3}), first));
}
