// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/fraction.hpp>
#include <doppel/data/memory.hpp>

#include "support/support.hpp"

#include <algorithm>

using namespace doppel;
using namespace doppel::test;

namespace {

/// 100 images of class a, 10 of b, one of c, 20 without a label; mixed.
data::Dataset mixed() {
    std::vector<std::int64_t> labels(100, 0);
    labels.insert(labels.end(), 10, 1);
    labels.push_back(2);
    labels.insert(labels.end(), 20, data::unlabeled);
    random::Stream draw({.seed = 5});
    draw.shuffle(labels);
    return data::Memory(std::vector<Image>(labels.size(), Image(1, 1, 1)), labels, {"a", "b", "c"});
}

std::vector<std::int64_t> counts(const data::Subset& part) {
    std::vector<std::int64_t> of(4);
    for (std::int64_t i = 0; i < part.size(); ++i) ++of.at(static_cast<std::size_t>(part.label(i) + 1));
    return of;
}

}  // namespace

TEST_CASE("each class, and the unlabeled images, keep the fraction, but at least one image") {
    const auto images = mixed();
    CHECK(counts(data::stratified(images, 0.25, 1)) == std::vector<std::int64_t>{5, 25, 3, 1});
    CHECK(counts(data::stratified(images, 0.001, 1)) == std::vector<std::int64_t>{1, 1, 1, 1});
    CHECK(data::stratified(images, 1, 1).size() == images.size());
}

TEST_CASE("the choice depends on the seed, keeps the order, and a larger fraction holds a smaller one") {
    const auto images = mixed();
    const auto small = data::stratified(images, 0.1, 1).indices, large = data::stratified(images, 0.35, 1).indices;
    CHECK(small == data::stratified(images, 0.1, 1).indices);
    CHECK(small != data::stratified(images, 0.1, 2).indices);
    CHECK(std::is_sorted(small.begin(), small.end()));
    CHECK(std::includes(large.begin(), large.end(), small.begin(), small.end()));
    for (const double wrong : {0.0, -1.0, 1.01, std::nan("")})
        says([&] { data::stratified(images, wrong, 1); }, {"fraction", "above 0 and at most 1, got "});
}
