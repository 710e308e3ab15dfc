// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/embedded.hpp>
#include <doppel/data/memory.hpp>

#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("a data set in memory holds what another one gives") {
    const data::Dataset images = data::Embedded({.size = 8, .count = 4}), memory = data::in_memory(images);
    REQUIRE(memory.size() == 4);
    CHECK(memory.classes() == images.classes());
    for (std::int64_t i = 0; i < 4; ++i) {
        CHECK(memory.image(i) == images.image(i));
        CHECK(memory.label(i) == images.label(i));
    }
}

TEST_CASE("Memory refuses labels that do not fit") {
    const std::vector<Image> two(2, Image(1, 1, 1));
    CHECK(data::Memory(two).label(1) == data::unlabeled);
    CHECK(data::Memory(two, {1, data::unlabeled}, {"a", "b"}).label(0) == 1);
    CHECK(mentions(message_of([&] { data::Memory(two, {0}, {"a"}); }), {"Memory: 1 labels for 2 images"}));
    CHECK(mentions(message_of([&] { data::Memory(two, {0, 2}, {"a", "b"}); }), {"label 2", "2 classes"}));
    CHECK(mentions(message_of([&] { data::Memory(two, {0, -2}, {"a", "b"}); }), {"label -2"}));
}
