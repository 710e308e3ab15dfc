// SPDX-License-Identifier: Apache-2.0
// t-SNE against scikit-learn, by differences, and by what a map of groups must look like.
#include <doppel/eval/tsne.hpp>

#include "support/feature_rows.hpp"

using namespace doppel;
using namespace doppel::test;
using doppel::eval::tsne;
using doppel::eval::detail::tsne_affinities;
using doppel::eval::detail::tsne_divergence;
using doppel::eval::detail::tsne_gradient;

namespace {

/// Sixty points in three groups: the first 20 rows are one, and so on.
Tensor groups() {
    const Tensor x = chirp({60, 10}, 0.31, 0.2);
    for (const auto& [group, dimension] : {std::pair{0, 0}, {1, 3}, {2, 7}}) x.narrow(0, 20 * group, 20).select(1, dimension) += 6;
    return x;
}

/// The share of points whose nearest other point is of their group.
double together(const Tensor& map, const Tensor& group) {
    const Tensor distance = at::cdist(map, map).fill_diagonal_(1e9);
    return (group.index_select(0, distance.argmin(1)) == group).to(at::kDouble).mean().item<double>();
}

}  // namespace

TEST_CASE("affinities, divergence and gradient of t-SNE are scikit-learn's") {
    const auto expected = fixture("measures.txt", "tsne");
    const Tensor p = tsne_affinities(groups(), 8), y = 3 * chirp({60, 2}, 0.17, 0.6);
    CHECK(p.sum().item<double>() == Approx(1).epsilon(1e-12));
    CHECK(at::equal(p, p.t()));
    check_close(p.narrow(0, 0, 2), expected.at("affinities"), 1e-7);  // scikit-learn's search ends at 1e-5
    CHECK(tsne_divergence(p, y) == Approx(expected.at("divergence")[0]).epsilon(1e-5));
    check_close(tsne_gradient(p, y, 1), expected.at("gradient"), 1e-6);
}

TEST_CASE("the gradient of t-SNE is that of the divergence") {
    const Tensor p = tsne_affinities(groups(), 5), y = chirp({60, 2}, 0.17, 0.6);
    const Tensor numeric = numeric_gradient([&](const Tensor& at) { return at::scalar_tensor(tsne_divergence(p, at), at::kDouble); }, y.clone());
    CHECK(largest_difference(tsne_gradient(p, y, 1), numeric) < 1e-8);
    const Tensor single = tsne_gradient(p.to(at::kFloat), y.to(at::kFloat), 1);
    CHECK(largest_difference(single, numeric) < 1e-6);
}

TEST_CASE("affinities by tiles are those of a loop over the points") {
    const std::int64_t count = 420;  // two tiles, the second one smaller
    const Tensor rows = normal_rows({count, 3}, 1).to(at::kDouble) * at::arange(1, count + 1, at::kDouble).unsqueeze(1);
    const Tensor affinities = tsne_affinities(rows, 20);
    const auto neighborhood = [&](std::int64_t i) {
        const Tensor distance = (rows - rows[i]).square().sum(1);
        const Tensor from_nearest = distance - distance.masked_fill(at::arange(count) == i, 1e300).min();
        Tensor p;
        for (double low = 1e-12, high = 1e12, halving = 0; halving < 60; ++halving) {
            const double precision = std::sqrt(low * high);
            p = (-precision * from_nearest).exp();
            p[i] = 0;
            p /= p.sum();
            ((-at::xlogy(p, p).sum()).exp().item<double>() > 20 ? low : high) = precision;
        }
        return p;
    };
    for (const auto& [i, j] : {std::pair{0, 1}, {5, 400}, {311, 312}, {419, 3}, {200, 210}}) {
        const double expected = (neighborhood(i)[j] + neighborhood(j)[i]).item<double>() / static_cast<double>(2 * count);
        CHECK(affinities[i][j].item<double>() == Approx(expected).epsilon(1e-5).margin(1e-20));
    }
}

TEST_CASE("a t-SNE map reaches scikit-learn's divergence, and the groups lie apart") {
    const Tensor x = groups(), group = at::arange(60, at::kLong).div(20, "floor");
    const Tensor map = tsne(x, {.perplexity = 8, .iterations = 500});
    CHECK(map.sizes() == at::IntArrayRef({60, 2}));
    CHECK(map.scalar_type() == at::kFloat);
    CHECK(map.mean(0).abs().max().item<double>() < 1e-4);
    CHECK(together(map, group) == 1);
    const Tensor p = tsne_affinities(x, 8);
    const double reached = tsne_divergence(p, map), start = tsne_divergence(p, eval::fit_pca(x, 2).project(x));
    CHECK(reached < 1.05 * fixture("measures.txt", "tsne").at("reached")[0]);
    CHECK(reached < 0.5 * start);
    CHECK(tsne_divergence(p, tsne(x, {.perplexity = 8, .iterations = 400})) < start);
}

TEST_CASE("t-SNE separates groups that principal components do not show") {
    const std::int64_t count = 240, kinds = 8;
    const Tensor group = at::arange(count, at::kLong).remainder(kinds);
    const Tensor x = normal_rows({kinds, 30}, 1).index_select(0, group) * 2 + normal_rows({count, 30}, 2);
    const Tensor map = tsne(x, {.iterations = 500});
    CHECK(together(map, group) > 0.98);
    CHECK(together(map, group) > together(eval::fit_pca(x, 2).project(x), group) + 0.1);
    CHECK(bit_equal(tsne(x, {.iterations = 60}), tsne(x, {.iterations = 60})));
    CHECK(!bit_equal(tsne(x, {.iterations = 60}), tsne(x, {.iterations = 60, .seed = 2})));
}

TEST_CASE("t-SNE of few, equal and one-dimensional points") {
    CHECK(at::isfinite(tsne(normal_rows({4, 3}, 1))).all().item<bool>());
    CHECK(at::isfinite(tsne(at::ones({30, 3}))).all().item<bool>());
    CHECK(at::isfinite(tsne(normal_rows({10, 5}, 1).repeat({6, 1}))).all().item<bool>());
    CHECK(at::isfinite(tsne(1e20 * normal_rows({40, 5}, 1).to(at::kDouble))).all().item<bool>());
    for (const std::int64_t count : {4, 6, 8, 12, 20}) {  // two kinds of equal points, and nearly equal ones
        const Tensor kinds = normal_rows({2, 5}, 1).repeat({count / 2, 1});
        CHECK(at::isfinite(tsne(kinds)).all().item<bool>());
        CHECK(at::isfinite(tsne(kinds + 1e-5 * normal_rows({count, 5}, 2))).all().item<bool>());
    }
    const Tensor line = tsne(normal_rows({100, 1}, 3), {.iterations = 400});
    CHECK(line.std(0).min().item<double>() > 0.1);  // not left on the line that the components begin with
}

TEST_CASE("t-SNE rejects what it cannot map") {
    const Tensor x = normal_rows({20, 3}, 1);
    CHECK(mentions(message_of([&] { tsne(x, {.perplexity = 19}); }), {"tsne", "perplexity", "below the number of other points, 19", "got 19"}));
    CHECK(mentions(message_of([&] { tsne(x, {.perplexity = -1}); }), {"tsne", "perplexity", "got -1"}));
    CHECK(mentions(message_of([&] { tsne(x, {.iterations = 0}); }), {"tsne", "iterations"}));
    CHECK(mentions(message_of([&] { tsne(x.narrow(0, 0, 3)); }), {"tsne", "at least 4"}));
    CHECK(mentions(message_of([&] { tsne(at::ones({10001, 2})); }), {"tsne", "10001 points", "sample"}));
    CHECK(mentions(message_of([&] { tsne(damaged_features()); }), {"tsne", "NaN"}));
}
