// SPDX-License-Identifier: Apache-2.0
// eval::knn against a brute-force double loop, lightly and scikit-learn, its edge cases and its errors.
#include <doppel/eval/knn.hpp>

#include <cmath>
#include <limits>

#include "support/features.hpp"

namespace {

using namespace doppel;
using namespace doppel::test;
using eval::knn;
using eval::knn_sweep;
using eval::KnnOptions;
using eval::Metric;
using eval::Votes;

struct Expected {
    std::vector<std::int64_t> predictions;
    std::vector<std::vector<std::int64_t>> neighbors;
    double top1 = 0, top5 = 0;
};

Expected brute_force(const Points& queries, const Points& bank, std::int64_t classes, const KnnOptions& options) {
    const auto q = numbers(queries.rows), b = numbers(bank.rows);
    Expected expected;
    for (std::size_t i = 0; i < q.size(); ++i) {
        std::vector<double> similarity, scores(static_cast<std::size_t>(classes));
        for (std::size_t j = 0; j < b.size(); ++j)
            similarity.push_back(options.leave_one_out && i == j ? -std::numeric_limits<double>::infinity()
                                 : options.metric == Metric::l2  ? nearness_of(q[i], b[j])
                                                                 : cosine_of(q[i], b[j]));
        auto& voters = expected.neighbors.emplace_back();
        for (const auto j : largest_places(similarity, static_cast<std::size_t>(options.k))) {
            voters.push_back(static_cast<std::int64_t>(j));
            const auto label = static_cast<std::size_t>(bank.labels.data_ptr<std::int64_t>()[j]);
            scores[label] += options.votes == Votes::plain  ? 1
                             : options.metric == Metric::l2 ? -1 / similarity[j]
                                                            : std::exp(similarity[j] / options.temperature);
        }
        const auto label = static_cast<std::size_t>(queries.labels.data_ptr<std::int64_t>()[i]);
        const auto ranking = largest_places(scores, 5);
        expected.top1 += ranking[0] == label;
        for (const auto c : ranking) expected.top5 += c == label && scores[c] > 0;
        expected.predictions.push_back(static_cast<std::int64_t>(ranking[0]));
    }
    expected.top1 /= static_cast<double>(q.size());
    expected.top5 /= static_cast<double>(q.size());
    return expected;
}

void equals_brute_force(const Points& queries, const Points& bank, std::int64_t classes, const KnnOptions& options) {
    const auto expected = brute_force(queries, bank, classes, options);
    const auto got = knn(queries.rows, bank.rows, bank.labels, queries.labels, classes, options);
    CHECK(got.top1 == Approx(expected.top1).epsilon(1e-12));
    CHECK(got.top5 == Approx(expected.top5).epsilon(1e-12));
    CHECK(got.accuracy.top1 == got.top1);
    CHECK(got.accuracy.top5 == got.top5);
    CHECK(got.accuracy.confusion.diagonal().sum().item<double>() == Approx(got.top1 * static_cast<double>(got.accuracy.count)));
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
    equals_brute_force(queries, bank, 8, {.k = 9, .votes = Votes::plain});
    equals_brute_force(queries, bank, 8, {.k = 9, .metric = Metric::l2});
    equals_brute_force(queries, bank, 8, {.k = 9, .votes = Votes::plain, .metric = Metric::l2});
    equals_brute_force(queries, bank, 8, {.k = 150});
}

TEST_CASE("with leave_one_out each row is classified by the others, and the only image of a class is wrong") {
    auto rows = clouds(120, 8, 5, 4);
    for (const auto metric : {Metric::cosine, Metric::l2})
        equals_brute_force(rows, rows, 5, {.k = 7, .chunk = 50, .metric = metric, .leave_one_out = true});
    rows.labels[17] = 5;
    const auto got = knn(rows.rows, rows.rows, rows.labels, rows.labels, 6, {.k = 7, .leave_one_out = true});
    CHECK(got.accuracy.per_class.at(5) == 0);
}

TEST_CASE("knn predicts what lightly and scikit-learn predict") {
    const auto queries = fixture_points(30, 0.9), bank = fixture_points(700, 0.4);
    const auto same = [&](const std::string& name, const KnnOptions& options) {
        INFO(name);
        const auto got = knn(queries.rows, bank.rows, bank.labels, queries.labels, 12, options);
        CHECK(at::equal(got.predictions, at::tensor(fixture("knn.txt", name).at("classes")).to(at::kLong)));
    };
    same("lightly_1_0.1", {.k = 1});
    same("lightly_10_0.1", {.k = 10});
    same("lightly_20_0.07", {.k = 20, .temperature = 0.07});
    same("lightly_200_0.1", {.k = 200});
    same("lightly_200_0.5", {.k = 200, .temperature = 0.5});
    for (const std::int64_t k : {5, 20}) {
        const auto name = "sklearn_" + std::to_string(k);
        same(name + "_uniform_cosine", {.k = k, .votes = Votes::plain});
        same(name + "_uniform_l2", {.k = k, .votes = Votes::plain, .metric = Metric::l2});
        same(name + "_distance_l2", {.k = k, .metric = Metric::l2});
    }
}

TEST_CASE("with L2, neighbors at distance 0 alone vote, if there are some") {
    const Tensor bank = at::tensor({1.f, 1.f, 1.5f, 1.5f, 1.5f}).view({5, 1}), query = at::ones({1, 1});
    const Tensor labels = at::tensor({2, 2, 1, 1, 1}, at::kLong), truth = at::zeros({1}, at::kLong);
    CHECK(knn(query, bank, labels, truth, 3, {.k = 5, .metric = Metric::l2}).predictions.item<std::int64_t>() == 2);
    CHECK(knn(query, bank, labels, truth, 3, {.k = 5, .votes = Votes::plain, .metric = Metric::l2}).predictions.item<std::int64_t>() == 1);
}

TEST_CASE("a sweep gives the figures of knn with each k, vote and temperature") {
    const auto queries = clouds(60, 8, 15, 1, 2), bank = clouds(130, 8, 15, 2, 2);
    for (const auto metric : {Metric::cosine, Metric::l2}) {
        const auto rows = knn_sweep(queries.rows, bank.rows, bank.labels, queries.labels, 15,
                                    {.k = {20, 3, 100, 3}, .temperatures = {0.05, 0.3}, .metric = metric});
        REQUIRE(rows.size() == (metric == Metric::l2 ? 3 * 2 : 3 * 3));
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto& row = rows[i];
            INFO("k " << row.k << ", temperature " << row.temperature);
            CHECK((row.votes == Votes::plain) == (i % (rows.size() / 3) == 0));
            CHECK((row.temperature == 0) == (row.votes == Votes::plain || metric == Metric::l2));
            const auto one = knn(queries.rows, bank.rows, bank.labels, queries.labels, 15,
                                 {.k = row.k, .temperature = row.temperature > 0 ? row.temperature : 1, .votes = row.votes, .metric = metric});
            CHECK(row.accuracy.top1 == one.top1);
            CHECK(row.accuracy.top5 == one.top5);
            CHECK(at::equal(row.accuracy.confusion, one.accuracy.confusion));
        }
        CHECK(rows.front().k == 3);
        CHECK(rows.back().k == 100);
    }
    const auto usual = knn_sweep(bank.rows, bank.rows, bank.labels, bank.labels, 15, {.temperatures = {}, .leave_one_out = true});
    REQUIRE(usual.size() == 6);  // the bank has fewer than 200 rows
    CHECK(usual.back().k == 100);
    CHECK(usual.front().accuracy.top1 == knn(bank.rows, bank.rows, bank.labels, bank.labels, 15, {.k = 1, .leave_one_out = true}).top1);
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
    const auto zeros = knn(at::zeros({2, 3}), at::zeros({4, 3}), labels, at::zeros({2}, at::kLong), 3, {.k = 4});
    CHECK(zeros.predictions[0].item<std::int64_t>() == 1);  // every vote weighs the same: class 1 has two
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
    says([&] { knn(q, b, bl, ql, 2); }, {"k must be at most 4", "got 20"});
    says([&] { knn_sweep(q, b, bl, ql, 2, {.k = {1, 5}}); }, {"k must be at most 4", "got 5"});
    says([&] { knn_sweep(q, b, bl, ql, 2, {.k = {0}}); }, {"k must be at least 1", "got 0"});
    says([&] { knn_sweep(q, b, bl, ql, 2, {.temperatures = {0.1, -1}}); }, {"temperature", "got -1"});
    says([&] { knn_sweep(q, b, bl, ql, 2, {.temperatures = {}, .plain = false}); }, {"temperature", "plain votes"});
}
