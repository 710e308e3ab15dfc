// SPDX-License-Identifier: Apache-2.0
#include <doppel/batched/resident.hpp>

#include <doppel/data/embedded.hpp>
#include <doppel/data/memory.hpp>

#include "support/batched.hpp"
#include "support/planes.hpp"

#include <algorithm>

using namespace doppel;
using namespace doppel::test;

namespace {

/// An image source with one damaged image.
struct Damaged {
    std::int64_t size() const { return 130; }
    Image image(std::int64_t i) const {
        if (i == 70) throw DamagedImage("image 70 is damaged");
        Image gray(4, 4, 3);
        std::fill(gray.pixels.begin(), gray.pixels.end(), static_cast<std::uint8_t>(9));
        return gray;
    }
    std::int64_t label(std::int64_t) const { return data::unlabeled; }
    std::vector<std::string> classes() const { return {}; }
};

}  // namespace

TEST_CASE("images of one size are one tensor; gray ones get the channels of the views") {
    const data::Embedded scenes({.size = 16, .count = 70});
    const auto set = batched::resident(scenes, 3, 1, nullptr);
    REQUIRE(set.images.sizes() == at::IntArrayRef({70, 3, 16, 16}));
    for (const std::int64_t i : {0, 33, 69}) CHECK(at::equal(set.images[i].to(at::kFloat), tensor_of({scenes.image(i)})[0]));
    const auto gray = batched::resident(data::Memory({noise(6, 5, 1)}), 3, 1, nullptr);
    REQUIRE(gray.images.sizes() == at::IntArrayRef({1, 3, 5, 6}));
    CHECK(at::equal(gray.images[0][2], gray.images[0][0]));
}

TEST_CASE("a set that is too large, or has several sizes, says why it is none") {
    const data::Embedded scenes({.size = 16, .count = 2000});
    const auto large = batched::resident(scenes, 3, 1, nullptr);
    CHECK(!large.images.defined());
    CHECK(large.why_not == "2000 images of 16x16 px need 2 MB, more than 1 (--resident-mb)");
    const auto several = batched::resident(data::Memory({noise(6, 5, 3), noise(5, 6, 3)}), 3, 1, nullptr);
    CHECK(!several.images.defined());
    CHECK(several.why_not == "the images differ in size");
}

TEST_CASE("damaged images are recorded, or end it") {
    data::DamagedImages damage;
    const auto set = batched::resident(Damaged(), 3, 1, &damage);
    REQUIRE(set.images.defined());
    CHECK(set.images.sum({1, 2, 3}).eq(0).nonzero().equal(at::full({1, 1}, 70, at::kLong)));  // black
    REQUIRE(damage.list().size() == 1);
    CHECK(damage.list()[0].index == 70);
    CHECK_THROWS_AS(batched::resident(Damaged(), 3, 1, nullptr), DamagedImage);
    data::DamagedImages bands;
    CHECK(mentions(message_of([&] { batched::resident(data::Memory({noise(6, 5, 4)}), 3, 1, &bands); }), {"4 channels, expected 3"}));
}
