// SPDX-License-Identifier: Apache-2.0
// eval::nearest against a loop over all pairs in float64 and FAISS's flat indices, its memory, its edge cases and its errors.
#include <doppel/eval/neighbors.hpp>

#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include <cmath>
#include <limits>

#include "support/features.hpp"
#include "support/peak_memory.hpp"

using namespace doppel;
using namespace doppel::test;
using eval::Metric;
using eval::nearest;
using eval::NearestOptions;

namespace {

void equals_all_pairs(const Tensor& queries, const Tensor& bank, const NearestOptions& options) {
    INFO("k " << options.k << ", chunk " << options.chunk << ", tile " << options.tile << ", leave one out " << options.leave_one_out);
    const auto found = nearest(queries, bank, options);
    const auto q = numbers(queries), b = numbers(bank);
    REQUIRE(found.indices.sizes() == at::IntArrayRef({queries.size(0), options.k}));
    REQUIRE(found.similarities.scalar_type() == at::kFloat);
    std::int64_t wrong = 0;
    double apart = 0;
    const auto* index = found.indices.data_ptr<std::int64_t>();
    const auto* similarity = found.similarities.data_ptr<float>();
    for (std::size_t i = 0; i < q.size(); ++i) {
        std::vector<double> all;
        for (std::size_t j = 0; j < b.size(); ++j)
            all.push_back(options.leave_one_out && i == j ? -std::numeric_limits<double>::infinity()
                          : options.metric == Metric::l2  ? nearness_of(q[i], b[j])
                                                          : cosine_of(q[i], b[j]));
        for (const auto j : largest_places(all, static_cast<std::size_t>(options.k))) {
            wrong += *index++ != static_cast<std::int64_t>(j);
            apart = std::max(apart, std::abs(static_cast<double>(*similarity++) - all[j]) / std::max(1.0, std::abs(all[j])));
        }
    }
    CHECK(wrong == 0);
    CHECK(apart < 1e-6);
}

}  // namespace

TEST_CASE("nearest equals a loop over all pairs, by both metrics, whatever the tiles are") {
    const auto queries = clouds(33, 12, 8, 1).rows, bank = clouds(700, 12, 8, 2).rows;
    for (const auto metric : {Metric::cosine, Metric::l2}) {
        equals_all_pairs(queries, bank, {.k = 8, .metric = metric});
        equals_all_pairs(queries, bank, {.k = 20, .metric = metric, .chunk = 7, .tile = 300});
        equals_all_pairs(queries, bank, {.k = 50, .metric = metric, .chunk = 16, .tile = 31});  // tiles smaller than k
        equals_all_pairs(queries, bank, {.k = 1, .metric = metric, .chunk = 1, .tile = 699});
        equals_all_pairs(queries, bank.narrow(0, 0, 6), {.k = 6, .metric = metric});
    }
}

TEST_CASE("with leave_one_out no row is a neighbor of itself, whatever the tiles are") {
    const auto rows = clouds(90, 6, 4, 3).rows;
    for (const auto metric : {Metric::cosine, Metric::l2})
        for (const auto& [chunk, tile] : {std::pair{512, 32768}, {16, 40}, {40, 16}, {7, 7}, {90, 1}})
            for (const std::int64_t k : {1, 2, 89})
                equals_all_pairs(rows, rows, {.k = k, .metric = metric, .leave_one_out = true, .chunk = chunk, .tile = tile});
}

TEST_CASE("nearest equals FAISS's flat indices") {
    const auto queries = fixture_points(30, 0.9).rows, bank = fixture_points(700, 0.4).rows;
    const auto same = [](const eval::Neighbors& found, const Fixture& expected, double sign) {
        const Tensor rows = at::tensor(expected.at("rows")).to(at::kLong), values = at::tensor(expected.at("values"), at::kDouble);
        CHECK(at::equal(found.indices.flatten(), rows));
        CHECK(largest_difference(found.similarities.flatten(), sign * values) < 2e-6);
    };
    same(nearest(queries, bank, {.k = 10}), fixture("knn.txt", "cosine"), 1);
    same(nearest(queries, bank, {.k = 10, .metric = Metric::l2}), fixture("knn.txt", "l2"), -1);
    const auto few = bank.narrow(0, 0, 40);
    same(nearest(few, few, {.k = 5, .metric = Metric::l2, .leave_one_out = true}), fixture("knn.txt", "leave_one_out"), -1);
}

TEST_CASE("distances of features far from the origin keep their digits, and copies have distance 0") {
    const auto offset = 3000.0;
    const auto queries = clouds(20, 8, 4, 1).rows + offset, bank = clouds(200, 8, 4, 2).rows + offset;
    equals_all_pairs(queries, bank, {.k = 5, .metric = Metric::l2});
    equals_all_pairs(queries.to(at::kDouble) + 1e6, bank.to(at::kDouble) + 1e6, {.k = 5, .metric = Metric::l2});
    const auto copies = nearest(bank, bank, {.k = 1, .metric = Metric::l2});
    CHECK(at::equal(copies.indices.squeeze(1), at::arange(200)));
    CHECK(copies.similarities.abs().max().item<double>() == 0);
}

TEST_CASE("the largest columns are those of a sort, also among equal ones") {
    at::manual_seed(1);
    for (const std::int64_t columns : {40, 320, 1000, 1003}) {
        for (const std::int64_t k : {1, 3, 10, 40}) {
            const Tensor equal_ones = at::randint(0, 9, {5, columns}, at::kFloat), plain = at::randn({5, columns});
            for (const Tensor& scores : {equal_ones, plain}) {
                const auto [values, places] = eval::detail::largest(scores, k);
                CHECK(at::equal(values, std::get<0>(scores.topk(k, 1))));
                CHECK(at::equal(scores.gather(1, places), values));
                const Tensor sorted = std::get<0>(places.sort(1));
                if (k > 1) CHECK((sorted.narrow(1, 1, k - 1) > sorted.narrow(1, 0, k - 1)).all().item<bool>());  // none twice
            }
        }
    }
}

TEST_CASE("the search's memory does not grow with the bank or the queries") {
    const NearestOptions options{.k = 4, .chunk = 32, .tile = 512};
    const auto peak = [&](std::int64_t queries, std::int64_t bank, Metric metric) {
        const Tensor q = at::randn({queries, 64}), b = at::randn({bank, 64}).to(at::kHalf);
        auto how = options;
        how.metric = metric;
        return peak_memory([&] { nearest(q, b, how); });
    };
    for (const auto metric : {Metric::cosine, Metric::l2}) {
        const auto small = peak(256, 16384, metric), large = peak(256, 65536, metric);
        CHECK(large - small < 49152 * 4 * 3);                 // the rows' lengths, and their check
        CHECK(large < std::int64_t{65536} * 64 * 4 / 4);      // a float32 copy of the bank is four times as much
    }
    CHECK(peak(1024, 16384, Metric::cosine) - peak(256, 16384, Metric::cosine) < 768 * 4 * 12 * 3 + 768 * 4 * 3);  // the result
}

TEST_CASE("nearest computes in float32 under autocast, and without gradients") {
    const auto queries = clouds(20, 8, 4, 8), bank = clouds(60, 8, 4, 9);
    for (const auto metric : {Metric::cosine, Metric::l2}) {
        const auto plain = nearest(queries.rows, bank.rows, {.metric = metric});
        const Autocast half(at::kCPU, Precision::bf16);
        const auto under = nearest(queries.rows.clone().set_requires_grad(true), bank.rows.clone().set_requires_grad(true), {.metric = metric});
        CHECK(at::equal(plain.similarities, under.similarities));
        CHECK(!under.similarities.requires_grad());
    }
}

TEST_CASE("nearest says what is wrong in one line") {
    const Tensor q = at::ones({2, 3}), b = at::ones({4, 3});
    says([&] { nearest(at::ones({3}), b); }, {"knn: queries", "[rows, features]", "got [3]"});
    says([&] { nearest(q, at::ones({0, 3})); }, {"knn: bank", "not empty", "got [0, 3]"});
    says([&] { nearest(q, at::ones({4, 5})); }, {"number of features", "3 and 5"});
    says([&] { nearest(q, b, {.k = 5}); }, {"k must be at most 4", "got 5", "smaller k"});
    says([&] { nearest(b, b, {.k = 4, .leave_one_out = true}); }, {"k must be at most 3", "without the query", "got 4"});
    says([&] { nearest(q, b, {.k = 1, .leave_one_out = true}); }, {"leave_one_out", "queries must be the bank", "2 and 4"});
    says([&] { nearest(q, b, {.k = 1, .chunk = 0}); }, {"chunk and tile", "got 0"});
    says([&] { nearest(q, b, {.k = 1, .tile = 0}); }, {"chunk and tile", "and 0"});
    Tensor strange = b.clone();
    strange[2][1] = std::nan("");
    strange[3][0] = std::numeric_limits<float>::infinity();
    says([&] { nearest(q, strange, {.k = 1}); }, {"knn: bank must be finite", "row 2", "first of 2", "diverged"});
    says([&] { nearest(q.to(at::kDouble) * 1e200, b, {.k = 1}); }, {"knn: queries must be finite in float32", "row 0"});
}
