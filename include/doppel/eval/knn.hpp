// SPDX-License-Identifier: Apache-2.0
// k-nearest-neighbor classification, which evaluates features without training.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/eval/accuracy.hpp>
#include <doppel/eval/neighbors.hpp>

#include <ATen/ops/cat.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace doppel::eval {

/// How much the neighbors' votes weigh.
enum class Votes {
    weighted,  ///< cosine: exp(similarity / T); L2: 1 / distance, and if some are 0, only these vote
    plain,     ///< each neighbor has one vote
};

struct KnnOptions {
    std::int64_t k = 20;             ///< neighbors that vote, from 1 to the size of the bank
    double temperature = 0.1;        ///< T > 0 of weighted votes by cosine. InstDisc and DINO: 0.07
    std::int64_t chunk = 512;        ///< queries per tile, ≥ 1; affects memory and speed, not the result
    Votes votes = Votes::weighted;   ///< how much the neighbors' votes weigh
    Metric metric = Metric::cosine;  ///< how near two rows are
    bool leave_one_out = false;      ///< the queries are the bank, and no row votes for itself: k < size of the bank

    NearestOptions nearest() const { return {.k = k, .metric = metric, .leave_one_out = leave_one_out, .chunk = chunk}; }
};

struct KnnResult {
    double top1 = 0;      ///< share of queries whose class has the highest score, 0 to 1
    double top5 = 0;      ///< share of queries whose class is among the five highest scores, with at least one vote
    Tensor predictions;   ///< [Q] int64, the class with the highest score
    Neighbors neighbors;  ///< the neighbors that voted
    Accuracy accuracy{};  ///< top1 and top5 with interval, accuracy per class and confusion matrix
};

namespace detail {

inline void check_votes(Votes votes, double temperature) {
    require(votes == Votes::plain || (temperature > 0 && std::isfinite(temperature)),
            "knn: temperature must be positive and finite, got ", temperature);
}

/// Weights of votes with similarities [q, k], the largest first; the first weighs 1.
inline Tensor vote_weights(const Tensor& similarities, const KnnOptions& options) {
    const Tensor wide = similarities.to(at::kDouble), first = wide.narrow(1, 0, 1);
    if (options.votes == Votes::plain) return at::ones_like(wide);
    if (options.metric == Metric::cosine) return ((wide - first) / options.temperature).exp();
    return at::where(first == 0, (wide == 0).to(at::kDouble), first / wide);
}

/// The predictions by the votes of the first k neighbors, for each of the ascending `ks`; labels as checked_labels().
inline std::vector<Predictions> predictions_of(const Neighbors& neighbors, const Tensor& bank_labels, const Tensor& query_labels,
                                               std::int64_t classes, const std::vector<std::int64_t>& ks, const KnnOptions& options) {
    check_votes(options.votes, options.temperature);
    std::vector<std::vector<Tensor>> predicted(ks.size()), in_top5(ks.size());
    const std::int64_t count_all = query_labels.size(0);
    const std::int64_t portion = std::clamp<std::int64_t>((std::int64_t{1} << 22) / classes, 1, 8192);  // ≤ 32 MiB of scores
    for (std::int64_t from = 0; from < count_all; from += portion) {
        const std::int64_t count = std::min(portion, count_all - from);
        const Tensor weights = vote_weights(neighbors.similarities.narrow(0, from, count), options);     // [q, k]
        const Tensor votes = bank_labels.index({neighbors.indices.narrow(0, from, count)});              // [q, k]
        const Tensor labels = query_labels.narrow(0, from, count);                                       // [q]
        Tensor scores = at::zeros({count, classes}, weights.options());                                  // [q, C]
        std::size_t next = 0;
        for (std::int64_t j = 0; j < ks.back(); ++j) {  // one vote per row at a time: the same sum on every device
            scores.scatter_add_(1, votes.narrow(1, j, 1), weights.narrow(1, j, 1));
            if (ks[next] != j + 1) continue;
            predicted[next].push_back(scores.argmax(1));
            const Tensor has_vote = scores.gather(1, labels.unsqueeze(1)).squeeze(1) > 0;
            in_top5[next].push_back((classes_ahead(scores, labels) < 5) & has_vote);
            ++next;
        }
    }
    std::vector<Predictions> all;
    for (std::size_t i = 0; i < ks.size(); ++i) all.push_back({at::cat(predicted[i]), at::cat(in_top5[i])});
    return all;
}

}  // namespace detail

/// Classifies queries by the votes of their neighbors (see knn). Shapes: neighbors of Q queries, bank_labels [N],
/// query_labels [Q]. All neighbors vote, whatever options.k is.
inline KnnResult vote(Neighbors neighbors, const Tensor& bank_labels, const Tensor& query_labels,
                      std::int64_t classes, const KnnOptions& options = {}) {
    const at::NoGradGuard no_grad;
    const at::Device device = neighbors.indices.device();
    const std::int64_t bank_size = bank_labels.defined() && bank_labels.dim() == 1 ? bank_labels.size(0) : 0;
    const Tensor voters = detail::checked_labels("knn", "bank_labels", bank_labels, bank_size, classes, device);
    const Tensor truth = detail::checked_labels("knn", "query_labels", query_labels, neighbors.indices.size(0), classes, device);
    const auto predictions = detail::predictions_of(neighbors, voters, truth, classes, {neighbors.indices.size(1)}, options);
    KnnResult result;
    result.predictions = predictions.front().classes;
    result.neighbors = std::move(neighbors);
    result.accuracy = accuracy_of(predictions.front(), truth, classes);
    result.top1 = result.accuracy.top1;
    result.top5 = result.accuracy.top5;
    return result;
}

/// Classifies each query as the class with the highest score among its k nearest neighbors n in the bank:
///
///     score_c = Σ_n exp(q̂ · b̂_n / T) · [label_n = c],   q̂ = q / ‖q‖
///
/// with other weights if the options ask for plain votes or for L2. Ties go to the lower class. Scores are summed in
/// float64, in the order of the neighbors, relative to the nearest, so any T is safe. doppel's knn_top1: encoder output in
/// evaluation mode, bank = un-augmented training images, k = 20, T = 0.1.
/// With leave_one_out, each row of one set is classified by the others; the only image of a class is then always wrong.
/// Shapes: queries [Q, F], bank [N, F] as for nearest(); labels [N] and [Q] int64, from 0 to classes − 1.
/// Throws Error as nearest(), and for wrong labels or options, before it searches.
/// Source: Wu, Xiong, Yu, Lin, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", 2018,
/// arXiv:1805.01978, section 3.4.
///
///     auto result = eval::knn(val.rows, train.rows, train.labels, val.labels, 10);
///     std::cout << result.top1;
inline KnnResult knn(const Tensor& queries, const Tensor& bank, const Tensor& bank_labels, const Tensor& query_labels,
                     std::int64_t classes, const KnnOptions& options = {}) {
    const auto rows_of = [](const Tensor& rows) { return rows.defined() && rows.dim() == 2 ? rows.size(0) : 0; };
    detail::check_votes(options.votes, options.temperature);
    if (rows_of(bank) > 0) detail::checked_labels("knn", "bank_labels", bank_labels, bank.size(0), classes, at::kCPU);
    if (rows_of(queries) > 0) detail::checked_labels("knn", "query_labels", query_labels, queries.size(0), classes, at::kCPU);
    return vote(nearest(queries, bank, options.nearest()), bank_labels, query_labels, classes, options);
}

/// What knn_sweep() compares.
struct KnnSweep {
    std::vector<std::int64_t> k{};  ///< numbers of neighbors; empty: 1, 5, 10, 20, 50, 100, 200 as far as the bank has so many
    std::vector<double> temperatures{0.05, 0.07, 0.1, 0.2, 0.5};  ///< of weighted votes by cosine
    bool plain = true;                                            ///< plain votes too
    Metric metric = Metric::cosine;                               ///< as KnnOptions::metric
    bool leave_one_out = false;                                   ///< as KnnOptions::leave_one_out
    std::int64_t chunk = 512;                                     ///< as KnnOptions::chunk
};

/// One row of a sweep.
struct KnnScore {
    std::int64_t k = 0;
    Votes votes = Votes::weighted;
    double temperature = 0;  ///< of weighted votes by cosine; 0: the votes have none
    Accuracy accuracy{};
};

/// Runs knn() for every k with plain votes and with every temperature, by one search for the most neighbors: by k
/// ascending, plain votes first. With Metric::l2, weighted votes have no temperature and one row per k.
/// The best row of a sweep was chosen on these queries; a figure to report comes from others.
///
///     for (const auto& row : eval::knn_sweep(val.rows, train.rows, train.labels, val.labels, 10))
///         std::cout << row.k << ' ' << row.temperature << ' ' << row.accuracy.top1 << '\n';
inline std::vector<KnnScore> knn_sweep(const Tensor& queries, const Tensor& bank, const Tensor& bank_labels,
                                       const Tensor& query_labels, std::int64_t classes, const KnnSweep& sweep = {}) {
    const at::NoGradGuard no_grad;
    std::vector<KnnOptions> kinds;
    if (sweep.plain) kinds.push_back({.votes = Votes::plain});
    if (sweep.metric == Metric::l2) kinds.push_back({.metric = Metric::l2});
    for (const double temperature : sweep.temperatures) {
        detail::check_votes(Votes::weighted, temperature);
        if (sweep.metric == Metric::cosine) kinds.push_back({.temperature = temperature});
    }
    require(!kinds.empty(), "knn_sweep: there must be a temperature, or plain votes");
    std::vector<std::int64_t> ks = sweep.k;
    if (ks.empty()) {
        const std::int64_t others = bank.defined() && bank.dim() == 2 ? bank.size(0) - (sweep.leave_one_out ? 1 : 0) : 0;
        for (const std::int64_t k : {1, 5, 10, 20, 50, 100, 200})
            if (k <= std::max<std::int64_t>(1, others)) ks.push_back(k);
    }
    std::sort(ks.begin(), ks.end());
    ks.erase(std::unique(ks.begin(), ks.end()), ks.end());
    require(ks.front() >= 1, "knn: k must be at least 1, got ", ks.front());
    auto most = knn(queries, bank, bank_labels, query_labels, classes,
                    {.k = ks.back(), .chunk = sweep.chunk, .votes = Votes::plain, .metric = sweep.metric, .leave_one_out = sweep.leave_one_out});
    const at::Device device = most.predictions.device();
    const Tensor voters = bank_labels.to(device), truth = query_labels.to(device);
    std::vector<KnnScore> scores(ks.size() * kinds.size());
    for (std::size_t j = 0; j < kinds.size(); ++j) {
        const auto predictions = detail::predictions_of(most.neighbors, voters, truth, classes, ks, kinds[j]);
        const bool tempered = kinds[j].votes == Votes::weighted && sweep.metric == Metric::cosine;
        for (std::size_t i = 0; i < ks.size(); ++i)
            scores[i * kinds.size() + j] = {.k = ks[i],
                                            .votes = kinds[j].votes,
                                            .temperature = tempered ? kinds[j].temperature : 0,
                                            .accuracy = accuracy_of(predictions[i], truth, classes)};
    }
    return scores;
}

}  // namespace doppel::eval
