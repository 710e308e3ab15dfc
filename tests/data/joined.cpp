// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/joined.hpp>
#include <doppel/data/memory.hpp>

#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

/// Images of a given width in shards of two.
struct Sharded {
    int width = 1;
    std::string print = "x";
    std::int64_t size() const { return 4; }
    Image image(std::int64_t i) const { return Image(width, static_cast<int>(i) + 1, 1); }
    std::int64_t label(std::int64_t i) const { return i % 2; }
    std::vector<std::string> classes() const { return {"a", "b"}; }
    std::string fingerprint() const { return print; }
    std::vector<std::int64_t> shards() const { return {3, 1}; }
};

}  // namespace

TEST_CASE("two data sets are one: images, labels, shards and fingerprint") {
    const data::Dataset both = data::Joined(Sharded{}, Sharded{.width = 2});
    REQUIRE(both.size() == 8);
    CHECK(both.image(3).width == 1);
    CHECK(both.image(4).width == 2);
    CHECK(both.image(7).height == 4);
    CHECK(both.label(5) == 1);
    CHECK(both.shards() == std::vector<std::int64_t>{3, 1, 3, 1});
    CHECK(both.fingerprint() != data::Dataset(data::Joined(Sharded{}, Sharded{.print = "y"})).fingerprint());
}

TEST_CASE("images without labels join, others under the same classes only; what one of them lacks, both lack") {
    const data::Memory plain({Image(9, 9, 1)});
    const data::Dataset both = data::Joined(Sharded{}, plain);
    CHECK(both.label(4) == data::unlabeled);
    CHECK(both.image(4).width == 9);
    CHECK(both.classes().size() == 2);
    CHECK(both.shards().empty());
    CHECK(both.fingerprint() != data::Dataset(Sharded{}).fingerprint());  // plain has none, and its size counts
    CHECK(data::Joined(plain, plain).fingerprint().empty());
    CHECK(both.path(4).empty());
    says([&] { data::Joined(Sharded{}, data::Memory({Image(9, 9, 1)}, {0}, {"other"})); }, {"Joined", "1 classes", "2 of the first"});
}
