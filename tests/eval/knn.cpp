// SPDX-License-Identifier: Apache-2.0
// eval::knn against a brute-force double loop, its edge cases and its errors.
#include <doppel/eval/knn.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "support/support.hpp"  // after torch, which has a CHECK of its own

namespace {

using doppel::Tensor;
using doppel::eval::knn;
using doppel::eval::KnnOptions;
using doppel::eval::nearest;
using doppel::test::mentions;
using doppel::test::message_of;
using doppel::test::says;

struct Points {
    Tensor rows, labels;
};

/// Rows of all lengths around one center a class.
Points clouds(std::int64_t count, std::int64_t dim, std::int64_t classes, unsigned seed, double spread = 1) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> centers(static_cast<std::size_t>(classes * dim));
    std::mt19937 shared(7);
    for (auto& c : centers) c = normal(shared);
    Points points{at::empty({count, dim}), at::empty({count}, at::kLong)};
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t label = static_cast<std::int64_t>(random() % static_cast<unsigned>(classes));
        points.labels.data_ptr<std::int64_t>()[i] = label;
        const float length = 0.1f + 10 * std::abs(normal(random));
        for (std::int64_t d = 0; d < dim; ++d) {
            const float center = centers[static_cast<std::size_t>(label * dim + d)];
            points.rows.data_ptr<float>()[i * dim + d] = length * (center + static_cast<float>(spread) * normal(random));
        }
    }
    return points;
}

struct Expected {
    std::vector<std::int64_t> predictions;
    std::vector<std::vector<std::int64_t>> neighbors;
    double top1 = 0, top5 = 0;
};

/// The first `count` places of `values`, the largest first, of equal ones the earlier.
std::vector<std::size_t> largest(const std::vector<double>& values, std::size_t count) {
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return values[a] > values[b]; });
    order.resize(std::min(count, order.size()));
    return order;
}

Expected brute_force(const Points& queries, const Points& bank, std::int64_t classes, const KnnOptions& options) {
    const auto dim = queries.rows.size(1), n = bank.rows.size(0), total = queries.rows.size(0);
    auto cosine = [&](std::int64_t i, std::int64_t j) {
        const float *q = queries.rows.data_ptr<float>() + i * dim, *b = bank.rows.data_ptr<float>() + j * dim;
        double dot = 0, qq = 0, bb = 0;
        for (std::int64_t d = 0; d < dim; ++d) {
            const double x = q[d], y = b[d];
            dot += x * y, qq += x * x, bb += y * y;
        }
        return dot / std::sqrt(qq * bb);
    };
    Expected expected;
    for (std::int64_t i = 0; i < total; ++i) {
        std::vector<double> similarity, scores(static_cast<std::size_t>(classes));
        for (std::int64_t j = 0; j < n; ++j) similarity.push_back(cosine(i, j));
        auto& voters = expected.neighbors.emplace_back();
        for (const auto j : largest(similarity, static_cast<std::size_t>(options.k))) {
            voters.push_back(static_cast<std::int64_t>(j));
            const auto label = static_cast<std::size_t>(bank.labels.data_ptr<std::int64_t>()[j]);
            scores[label] += std::exp(similarity[j] / options.temperature);
        }
        const auto label = static_cast<std::size_t>(queries.labels.data_ptr<std::int64_t>()[i]);
        const auto ranking = largest(scores, 5);
        expected.top1 += ranking[0] == label;
        for (const auto c : ranking) expected.top5 += c == label && scores[c] > 0;
        expected.predictions.push_back(static_cast<std::int64_t>(ranking[0]));
    }
    expected.top1 /= static_cast<double>(total);
    expected.top5 /= static_cast<double>(total);
    return expected;
}

void equals_brute_force(const Points& queries, const Points& bank, std::int64_t classes, const KnnOptions& options) {
    const auto expected = brute_force(queries, bank, classes, options);
    const auto got = knn(queries.rows, bank.rows, bank.labels, queries.labels, classes, options);
    CHECK(got.top1 == Approx(expected.top1).epsilon(1e-12));
    CHECK(got.top5 == Approx(expected.top5).epsilon(1e-12));
    const std::int64_t total = queries.rows.size(0), k = std::min(options.k, bank.rows.size(0));
    REQUIRE(got.predictions.numel() == total);
    REQUIRE(got.neighbors.indices.sizes() == at::IntArrayRef({total, k}));
    const auto* prediction = got.predictions.data_ptr<std::int64_t>();
    const auto* neighbor = got.neighbors.indices.data_ptr<std::int64_t>();
    std::int64_t wrong = 0;
    for (std::size_t i = 0; i < expected.predictions.size(); ++i) {
        wrong += *prediction++ != expected.predictions[i];
        for (const auto j : expected.neighbors[i]) wrong += *neighbor++ != j;
    }
    CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("knn equals a brute-force double loop") {
    const auto queries = clouds(40, 12, 8, 1), bank = clouds(150, 12, 8, 2);
    equals_brute_force(queries, bank, 8, {});
    equals_brute_force(queries, bank, 8, {.k = 7, .temperature = 0.5, .chunk = 16});
    equals_brute_force(queries, bank, 8, {.k = 3, .temperature = 0.01});
}

TEST_CASE("knn's top5 counts only classes that have a vote") {
    const auto queries = clouds(40, 6, 20, 1, 3), bank = clouds(100, 6, 20, 2, 3);
    equals_brute_force(queries, bank, 20, {.k = 3});
    const auto one = knn(queries.rows, bank.rows, bank.labels, queries.labels, 20, {.k = 1});
    CHECK(one.top1 == one.top5);
    CHECK(one.top1 < 1);
}

TEST_CASE("knn with k = 1 on the bank itself is always right") {
    const auto bank = clouds(200, 16, 10, 3, 5);
    const auto got = knn(bank.rows, bank.rows, bank.labels, bank.labels, 10, {.k = 1});
    CHECK(got.top1 == 1);
    CHECK(at::equal(got.predictions, bank.labels));
    CHECK(at::equal(got.neighbors.indices.squeeze(1), at::arange(200)));
    CHECK(at::allclose(got.neighbors.similarities, at::ones({200, 1}), 1e-5, 1e-6));
}

TEST_CASE("knn does not depend on the chunk size, on the rows' lengths or on their type") {
    const auto queries = clouds(50, 8, 5, 4), bank = clouds(120, 8, 5, 5);
    const auto whole = knn(queries.rows, bank.rows, bank.labels, queries.labels, 5);
    for (const std::int64_t chunk : {1, 7, 50, 51}) {
        const auto parts = knn(queries.rows, bank.rows, bank.labels, queries.labels, 5, {.chunk = chunk});
        CHECK(parts.top1 == whole.top1);
        CHECK(parts.top5 == whole.top5);
        CHECK(at::equal(parts.predictions, whole.predictions));
        CHECK(at::equal(parts.neighbors.indices, whole.neighbors.indices));
        CHECK(at::allclose(parts.neighbors.similarities, whole.neighbors.similarities, 1e-5, 1e-6));
    }
    const auto scaled = knn(queries.rows * 1e-8, (bank.rows * 1e4).to(at::kDouble), bank.labels, queries.labels, 5);
    CHECK(at::equal(scaled.predictions, whole.predictions));
    CHECK(scaled.neighbors.similarities.scalar_type() == at::kFloat);
}

TEST_CASE("knn over a bank of several tiles finds neighbors in each") {
    const std::int64_t tile = doppel::eval::detail::bank_tile, n = 2 * tile + 5;
    Tensor bank = at::zeros({n, 2});
    bank.select(1, 0).fill_(1);
    bank.select(1, 1).fill_(10);
    const std::vector<std::int64_t> places = {3, tile, 2 * tile + 4};
    for (std::size_t i = 0; i < places.size(); ++i) {
        bank[places[i]][0] = 10;
        bank[places[i]][1] = static_cast<double>(places.size() - i) * 0.1;  // the last is the nearest
    }
    const auto found = nearest(at::tensor({1.0f, 0.0f}).view({1, 2}), bank, {.k = 4});
    for (std::size_t i = 0; i < places.size(); ++i)
        CHECK(found.indices[0][static_cast<std::int64_t>(i)].item<std::int64_t>() == places[places.size() - 1 - i]);
    CHECK(found.similarities[0][3].item<double>() == Approx(1 / std::sqrt(101.0)).epsilon(1e-5));
}

TEST_CASE("knn takes all of a bank that is smaller than k") {
    const auto queries = clouds(10, 4, 3, 6), bank = clouds(6, 4, 3, 7);
    equals_brute_force(queries, bank, 3, {.k = 200});
}

TEST_CASE("knn gives equal scores to the lower class") {
    const Tensor bank = at::tensor({1.f, 0.f, 1.f, 0.f, 0.f, 1.f}).view({3, 2});
    const Tensor query = at::tensor({2.f, 0.f}).view({1, 2});
    const auto predict = [&](std::vector<std::int64_t> labels) {
        const auto got = knn(query, bank, at::tensor(labels, at::kLong), at::zeros({1}, at::kLong), 4, {.k = 2});
        return got.predictions.item<std::int64_t>();
    };
    CHECK(predict({3, 1, 0}) == 1);
    CHECK(predict({1, 3, 0}) == 1);
    CHECK(predict({3, 3, 0}) == 3);
}

TEST_CASE("knn stays finite at small temperatures and with rows of zeros") {
    const Tensor bank = at::tensor({1.f, 0.f, 0.9f, 0.1f, 0.f, 0.f, -1.f, 0.f}).view({4, 2});
    const Tensor labels = at::tensor({2, 1, 0, 1}, at::kLong);
    const auto sharp = knn(bank, bank, labels, labels, 3, {.k = 4, .temperature = 1e-6});
    CHECK(sharp.predictions[0].item<std::int64_t>() == 2);
    CHECK(sharp.predictions[1].item<std::int64_t>() == 1);
    CHECK(sharp.neighbors.similarities[2].abs().max().item<double>() == 0);
    const auto zeros = knn(at::zeros({2, 3}), at::zeros({4, 3}), labels, at::zeros({2}, at::kLong), 3);
    CHECK(zeros.predictions[0].item<std::int64_t>() == 1);  // every vote weighs the same: class 1 has two
}

TEST_CASE("knn computes in float32 under autocast, and without gradients") {
    const auto queries = clouds(20, 8, 4, 8), bank = clouds(60, 8, 4, 9);
    const auto plain = nearest(queries.rows, bank.rows);
    const doppel::Autocast half(at::kCPU, doppel::Precision::bf16);
    const auto under = nearest(queries.rows.clone().set_requires_grad(true), bank.rows);
    CHECK(at::equal(plain.similarities, under.similarities));
    CHECK(!under.similarities.requires_grad());
}

TEST_CASE("knn says what is wrong in one line") {
    const Tensor q = at::ones({2, 3}), b = at::ones({4, 3});
    const Tensor ql = at::zeros({2}, at::kLong), bl = at::zeros({4}, at::kLong);
    says([&] { knn(at::ones({3}), b, bl, ql, 2); }, {"knn: queries", "[rows, features]", "got [3]"});
    says([&] { knn(Tensor{}, b, bl, ql, 2); }, {"knn: queries", "got []"});
    says([&] { knn(q, at::ones({0, 3}), bl, ql, 2); }, {"knn: bank", "not empty", "got [0, 3]"});
    says([&] { knn(q, at::ones({4, 5}), bl, ql, 2); }, {"number of features", "3 and 5"});
    says([&] { knn(q.to(at::kLong), b, bl, ql, 2); }, {"knn: queries", "floating", "Long"});
    says([&] { knn(q, b * std::nan(""), bl, ql, 2); }, {"knn: bank must be finite"});
    says([&] { knn(q, b, ql, ql, 2); }, {"bank_labels must be [4]", "got [2]"});
    says([&] { knn(q, b, bl, ql.unsqueeze(0), 2); }, {"query_labels must be [2]", "got [1, 2]"});
    says([&] { knn(q, b, bl.to(at::kInt), ql, 2); }, {"bank_labels", "int64", "Int"});
    says([&] { knn(q, b, bl + 2, ql, 2); }, {"bank_labels", "from 0 to 1", "got 2"});
    says([&] { knn(q, b, bl, ql - 1, 2); }, {"query_labels", "from 0 to 1", "got -1"});
    says([&] { knn(q, b, bl, ql, 0); }, {"classes", "got 0"});
    says([&] { knn(q, b, bl, ql, 2, {.k = 0}); }, {"k must be", "got 0"});
    says([&] { knn(q, b, bl, ql, 2, {.temperature = 0}); }, {"temperature", "got 0"});
    says([&] { knn(q, b, bl, ql, 2, {.chunk = 0}); }, {"chunk", "got 0"});
}
