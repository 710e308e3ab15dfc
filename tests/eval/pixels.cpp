// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/embedded.hpp>
#include <doppel/eval/pixels.hpp>
#include <doppel/views/simclr.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

augment::Pipeline plain() { return views::simclr_small(12).eval; }

}  // namespace

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
