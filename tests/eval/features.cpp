// SPDX-License-Identifier: Apache-2.0
// Features of whole data sets: order, damaged images, and a method that is left as it was.
#include <doppel/views/simclr.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/eval/pixels.hpp>
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

TEST_CASE("k-NN on pixels is k-NN on the flattened images, however small the portions are") {
    const data::Dataset bank = data::Embedded({.size = 16, .count = 60}), queries = data::Embedded({.size = 16, .count = 25, .first = 1000});
    const auto rows_of = [](const data::Dataset& images) {
        std::vector<Tensor> rows;
        std::vector<float> values(plain().values());
        for (std::int64_t i = 0; i < images.size(); ++i) {
            plain()(images.image(i), random::Stream({}), values);
            rows.push_back(at::tensor(values));
        }
        return at::stack(rows);
    };
    const auto labels_of = [](const data::Dataset& images) {
        std::vector<std::int64_t> labels;
        for (std::int64_t i = 0; i < images.size(); ++i) labels.push_back(images.label(i));
        return at::tensor(labels);
    };
    const auto expected = eval::knn(rows_of(queries), rows_of(bank), labels_of(bank), labels_of(queries), 10, {.k = 7});
    for (const std::int64_t bytes : {std::int64_t{1}, std::int64_t{20000}, std::int64_t{1} << 26}) {
        const auto found = eval::knn_pixels(bank, queries, plain(), {.knn = {.k = 7}, .workers = 2, .bytes = bytes});
        CHECK(found.top1 == expected.top1);
        CHECK(bit_equal(found.predictions, expected.predictions));
        CHECK(largest_difference(found.neighbors.similarities, expected.neighbors.similarities) < 1e-6);
    }
}
