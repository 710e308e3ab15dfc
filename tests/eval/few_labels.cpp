// SPDX-License-Identifier: Apache-2.0
// eval::few_labels: the classes' shares, the same choice as data::stratified, unlabeled rows, errors.
#include <doppel/data/memory.hpp>
#include <doppel/eval/few_labels.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

const Tensor labels = at::cat({at::full({200}, 0, at::kLong), at::full({50}, 1, at::kLong), at::full({3}, 2, at::kLong)});

}  // namespace

TEST_CASE("few_labels takes a share of each class, at least one row, and a smaller share is part of a larger one") {
    const Tensor hundredth = eval::few_labels(labels, 0.01, 1), tenth = eval::few_labels(labels, 0.1, 1);
    CHECK(bit_equal(labels.index_select(0, hundredth), at::tensor({0, 0, 1, 2}, at::kLong)));
    CHECK(at::bincount(labels.index_select(0, tenth)).equal(at::tensor({20, 5, 1}, at::kLong)));
    CHECK(at::isin(hundredth, tenth).all().item<bool>());
    CHECK(bit_equal(std::get<0>(tenth.sort()), tenth));
    CHECK(bit_equal(tenth, eval::few_labels(labels, 0.1, 1)));
    CHECK_FALSE(at::equal(tenth, eval::few_labels(labels, 0.1, 2)));
    CHECK(bit_equal(eval::few_labels(labels, 1, 1), at::arange(253, at::kLong)));
}

TEST_CASE("few_labels chooses as data::stratified does, and leaves unlabeled rows out") {
    std::vector<std::int64_t> known;
    for (std::int64_t i = 0; i < 253; ++i) known.push_back(labels[i].item<std::int64_t>());
    const data::Dataset images = data::Memory(std::vector<Image>(253, Image(2, 2, 3)), known, {"a", "b", "c"});
    const Tensor tenth = eval::few_labels(labels, 0.1, 3);
    CHECK(bit_equal(tenth, at::tensor(data::stratified(images, 0.1, 3).indices, at::kLong)));

    Tensor some = at::full({506}, data::unlabeled, at::kLong);
    some.slice(0, 0, 506, 2).copy_(labels);
    CHECK(bit_equal(eval::few_labels(some, 0.1, 3), tenth * 2));
}

TEST_CASE("few_labels rejects wrong labels and fractions") {
    says([] { eval::few_labels(labels.to(at::kFloat), 0.1, 1); }, {"few_labels", "[N] int64"});
    says([] { eval::few_labels({}, 0.1, 1); }, {"few_labels", "[N] int64"});
    says([] { eval::few_labels(at::full({5}, -1, at::kLong), 0.1, 1); }, {"none of the 5 rows has a label"});
    says([] { eval::few_labels(labels, 0, 1); }, {"fraction", "above 0 and at most 1, got 0"});
}
