// SPDX-License-Identifier: Apache-2.0
// Features of whole data sets: order, damaged images, and a method that is left as it was.
#include <doppel/views/simclr.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/losses/nt_xent.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

/// Images 3, 4 and the last one are damaged.
struct Damaged {
    std::int64_t size() const { return 20; }
    Image image(std::int64_t i) const {
        if (i == 3 || i == 4 || i == 19) throw DamagedImage("image " + std::to_string(i) + " is damaged");
        Image image(12, 12, 3);
        for (std::size_t p = 0; p < image.pixels.size(); ++p) image.pixels[p] = static_cast<std::uint8_t>(p * static_cast<std::size_t>(i + 1));
        return image;
    }
    std::int64_t label(std::int64_t i) const { return i % 3; }
    std::vector<std::string> classes() const { return {"a", "b", "c"}; }
};

AnyMethod method() { return Method{Recipe{.encoder = tiny(), .loss = losses::NtXent{}}, {.seed = 1}}; }
augment::Pipeline plain() { return views::simclr_small(12).eval; }

}  // namespace

TEST_CASE("features come in the data set's order, whatever the batch size and the workers, and change nothing") {
    const data::Dataset images = data::Embedded({.size = 16, .count = 30});
    const AnyMethod net = method();
    const auto before = net.module().named_buffers()["encoder.bn.running_mean"].clone();
    const auto all = eval::features(net, images, plain(), {.batch_size = 30, .workers = 0});
    const auto parts = eval::features(net, images, plain(), {.batch_size = 7, .workers = 3});
    CHECK(largest_difference(all.rows, parts.rows) < 1e-6);
    CHECK(bit_equal(all.index, at::arange(30, at::kLong)));
    CHECK(bit_equal(parts.index, all.index));
    for (std::int64_t i = 0; i < 30; ++i) CHECK(all.labels[i].item<std::int64_t>() == images.label(i));
    CHECK(bit_equal(net.module().named_buffers()["encoder.bn.running_mean"], before));
    CHECK(net.module().is_training());
}

TEST_CASE("damaged images have no row; without a place to note them they throw") {
    const auto damage = std::make_shared<data::DamagedImages>();
    {
        const auto found = eval::features(method(), Damaged{}, plain(), {.batch_size = 6, .damage = damage});
        REQUIRE(found.rows.size(0) == 17);
        REQUIRE(found.index.size(0) == 17);
        for (std::int64_t row = 0; row < 17; ++row) {
            const auto i = found.index[row].item<std::int64_t>();
            CHECK(i == (row < 3 ? row : row + 2));
            CHECK(found.labels[row].item<std::int64_t>() == i % 3);
        }
    }
    CHECK(damage->list().size() == 3);
    CHECK(mentions(message_of([] { eval::features(method(), Damaged{}, plain()); }), {"image 3 is damaged"}));
}
