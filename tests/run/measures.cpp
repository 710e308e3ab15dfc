// SPDX-License-Identifier: Apache-2.0
#include <doppel/run/measures.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

/// Two classes on both sides of a plane, in 6 dimensions.
run::Compared two_sides(std::int64_t bank, std::int64_t queries, double apart = 3) {
    at::manual_seed(1);
    const auto rows = [&](std::int64_t count) {
        eval::Features made{.rows = at::randn({count, 6}), .labels = at::arange(count, at::kLong) % 2, .index = at::arange(count, at::kLong)};
        made.rows.select(1, 0).add_((made.labels.to(at::kFloat) - 0.5) * 2 * apart);
        return made;
    };
    return {rows(bank), rows(queries)};
}

std::vector<std::string> keys_of(const run::Measures& found) {
    std::vector<std::string> keys;
    for (const auto& score : found.scores) keys.push_back(score.key);
    return keys;
}

}  // namespace

TEST_CASE("k-NN and the linear probe score separable features, and every figure has its name") {
    const auto found = run::measure(two_sides(80, 40), 2, {.k = {5, 1}, .temperatures = {0.1, 0.07}, .label_shares = {1, 0.1}});
    CHECK(found.failures.empty());
    CHECK(keys_of(found) == std::vector<std::string>{"knn", "knn_k1_t0.1", "knn_k1_t0.07", "knn_k5_t0.07", "linear", "linear_0.1"});
    CHECK(found.figures.at("knn_top1") > 0.9);
    CHECK(found.figures.at("linear_top1") > 0.95);
    CHECK(found.probe->rows == 80);
    const auto capped = run::measure(two_sides(80, 40), 2, {.k = {5}, .probe_rows = 20});
    CHECK(capped.probe->rows == 20);
    CHECK(capped.scores.back().key == "linear");
    CHECK(capped.scores.back().protocol == "linear probe, 20 of 80 labels");
    CHECK(found.scores.back().protocol == "linear probe, 10 % of the labels");
    for (const char* name : {"knn_top5", "linear_top5", "feature_std", "effective_rank", "spectrum_decay", "uniformity"}) CHECK(found.figures.contains(name));
    CHECK(found.knn->neighbors.indices.size(1) == 5);
}

TEST_CASE("the figures of several k and temperatures are those of a search for each") {
    const auto rows = two_sides(200, 200, 0.5);
    const auto found = run::measure(rows, 2, {.k = {20, 3, 20}, .temperatures = {0.1, 1}, .linear = false});
    CHECK(keys_of(found) == std::vector<std::string>{"knn", "knn_k3_t0.1", "knn_k3_t1", "knn_k20_t1"});
    const auto alone = [&](std::int64_t k, double temperature) {
        return eval::knn(rows.queries.rows, rows.bank.rows, rows.bank.labels, rows.queries.labels, 2, {.k = k, .temperature = temperature}).top1;
    };
    CHECK(found.figures.at("knn_top1") == alone(20, 0.1));
    CHECK(found.figures.at("knn_k3_t0.1_top1") == alone(3, 0.1));
    CHECK(found.figures.at("knn_k3_t1_top1") == alone(3, 1));
    CHECK(found.figures.at("knn_k20_t1_top1") == alone(20, 1));
    CHECK(alone(20, 0.1) != alone(3, 0.1));
    CHECK(found.nearest->indices.size(1) == 20);
}

TEST_CASE("a k above the bank is left out of the defaults, and an error where it was typed") {
    const auto rows = two_sides(12, 6);
    const auto found = run::measure(rows, 2, {.k = {5, 200}});
    CHECK(keys_of(found) == std::vector<std::string>{"knn", "linear"});
    const auto strict = run::measure(rows, 2, {.k = {5, 200}, .strict_k = true});
    REQUIRE(strict.failures.size() == 1);
    CHECK(mentions(strict.failures[0].reason, {"--k 200", "12 labeled images"}));
    CHECK(keys_of(strict) == std::vector<std::string>{"linear"});  // the rest is there
}

TEST_CASE("without labels only what needs none is measured") {
    auto rows = two_sides(12, 6);
    rows.bank.labels = rows.queries.labels = Tensor{};
    const auto found = run::measure(rows, 0);
    CHECK(found.failures.empty());
    CHECK(found.scores.empty());
    CHECK(found.nearest.has_value());
    CHECK(found.figures.contains("effective_rank"));
}

TEST_CASE("features that are not finite fail every part with its reason, and nothing throws") {
    auto rows = two_sides(12, 6);
    rows.queries.rows[2][1] = NAN;
    const auto found = run::measure(rows, 2);
    CHECK(found.scores.empty());
    CHECK(found.failures.size() >= 3);
    for (const auto& failure : found.failures) CHECK(!failure.reason.empty());
}
