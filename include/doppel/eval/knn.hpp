// SPDX-License-Identifier: Apache-2.0
// Weighted k-nearest-neighbor classification, which evaluates features without training.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::eval {

struct KnnOptions {
    std::int64_t k = 20;        ///< neighbors that vote, ≥ 1; at most the size of the bank
    double temperature = 0.1;   ///< T > 0: the weight of a vote is exp(similarity / T). InstDisc and DINO: 0.07
    std::int64_t chunk = 1024;  ///< queries per chunk, ≥ 1; affects memory and speed, not the result
};

/// The k most similar bank rows of each query, the most similar first.
struct Neighbors {
    Tensor indices;       ///< [Q, k] int64, rows of the bank
    Tensor similarities;  ///< [Q, k] float32, cosines
};

struct KnnResult {
    double top1 = 0;      ///< share of queries whose class has the highest score, 0 to 1
    double top5 = 0;      ///< share of queries whose class is among the five highest scores, with at least one vote
    Tensor predictions;   ///< [Q] int64, the class with the highest score
    Neighbors neighbors;  ///< the neighbors that voted
};

namespace detail {

inline constexpr std::int64_t bank_tile = 32768;  // bank rows per tile

/// Converts [N, F] of any floating type to unit rows in float32; zero rows stay zero.
inline Tensor knn_rows(std::string_view name, const Tensor& features) {
    require(features.defined() && features.dim() == 2 && features.numel() > 0, "knn: ", name,
            " must be [rows, features] and not empty, got ", features.defined() ? features.sizes() : at::IntArrayRef{});
    require(features.is_floating_point(), "knn: ", name, " must be of a floating type, got ", features.scalar_type());
    const Tensor rows = features.detach().to(at::kFloat);
    const Tensor norms = rows.norm(2, 1, true);
    require(at::isfinite(norms).all().item<bool>(), "knn: ", name, " must be finite and not overflow float32");
    return rows / norms.clamp_min(1e-12);
}

/// Checks class indices [rows] int64, and returns them on the device of the features.
inline Tensor knn_labels(std::string_view name, const Tensor& labels, std::int64_t rows, std::int64_t classes,
                         at::Device device) {
    require(labels.defined() && labels.dim() == 1 && labels.size(0) == rows, "knn: ", name, " must be [", rows,
            "], got ", labels.defined() ? labels.sizes() : at::IntArrayRef{});
    require(labels.scalar_type() == at::kLong, "knn: ", name, " must be int64, got ", labels.scalar_type());
    const auto least = labels.min().item<std::int64_t>(), most = labels.max().item<std::int64_t>();
    require(least >= 0 && most < classes, "knn: ", name, " must be from 0 to ", classes - 1, ", got ",
            least < 0 ? least : most);
    return labels.to(device);
}

inline void check_knn(const KnnOptions& options) {
    require(options.k >= 1, "knn: k must be at least 1, got ", options.k);
    require(options.temperature > 0 && std::isfinite(options.temperature),
            "knn: temperature must be positive and finite, got ", options.temperature);
    require(options.chunk >= 1, "knn: chunk must be at least 1, got ", options.chunk);
}

/// The k best columns of q · bankᵀ for unit rows q [q, F], with the bank added tile by tile.
class BestOfTiles {
public:
    BestOfTiles(Tensor q, std::int64_t k) : q_(std::move(q)), k_(k) {}

    void add(const Tensor& tile, std::int64_t first_row) {
        auto [similarity, index] = q_.mm(tile.t()).topk(std::min(k_, tile.size(0)), 1);                 // [q, k]
        index.add_(first_row);
        if (best_.defined()) {
            const Tensor both = at::cat({best_, similarity}, 1), places = at::cat({where_, index}, 1);  // [q, ≤ 2k]
            const auto merged = both.topk(std::min(k_, both.size(1)), 1);
            similarity = std::get<0>(merged);
            index = places.gather(1, std::get<1>(merged));
        }
        best_ = similarity;
        where_ = index;
    }
    Neighbors found() const { return {where_, best_}; }

private:
    Tensor q_, best_, where_;
    std::int64_t k_;
};

inline Neighbors nearest_of_chunk(const Tensor& q, const Tensor& bank, std::int64_t k) {
    BestOfTiles best(q, k);
    for (std::int64_t from = 0; from < bank.size(0); from += bank_tile)
        best.add(bank.narrow(0, from, std::min(bank_tile, bank.size(0) - from)), from);
    return best.found();
}

}  // namespace detail

/// Finds the nearest neighbors of each query among the rows of a bank, by cosine similarity.
///
/// Shapes: queries [Q, F], bank [N, F], any floating type, on one device; computed in float32, also under autocast.
/// Memory in addition to the inputs: unit copies of both and chunk × min(N, 32,768) similarities.
/// The order of equally similar bank rows depends on the backend; a zero row has cosine 0 to all others.
///
///     auto [rows, cosines] = eval::nearest(features, bank, {.k = 8});
inline Neighbors nearest(const Tensor& queries, const Tensor& bank, const KnnOptions& options = {}) {
    const at::NoGradGuard no_grad;
    detail::check_knn(options);
    const Tensor unit_queries = detail::knn_rows("queries", queries), unit_bank = detail::knn_rows("bank", bank);
    require(queries.size(1) == bank.size(1), "knn: queries and bank must have the same number of features, got ",
            queries.size(1), " and ", bank.size(1));
    require(queries.device() == bank.device(), "knn: queries and bank must be on one device, got ", queries.device(),
            " and ", bank.device());
    const Autocast float32(queries.device().type(), Precision::fp32);
    std::vector<Tensor> indices, similarities;
    for (const Tensor& chunk : unit_queries.split(options.chunk)) {
        auto found = detail::nearest_of_chunk(chunk, unit_bank, std::min(options.k, bank.size(0)));
        indices.push_back(found.indices);
        similarities.push_back(found.similarities);
    }
    return {at::cat(indices), at::cat(similarities)};
}

/// Classifies queries by the votes of their neighbors (see knn). Shapes: neighbors of Q queries, bank_labels [N],
/// query_labels [Q].
inline KnnResult vote(Neighbors neighbors, const Tensor& bank_labels, const Tensor& query_labels,
                      std::int64_t classes, const KnnOptions& options = {}) {
    const at::NoGradGuard no_grad;
    detail::check_knn(options);
    require(classes >= 1, "knn: classes must be at least 1, got ", classes);
    KnnResult result;
    result.neighbors = std::move(neighbors);
    const at::Device device = result.neighbors.indices.device();
    const std::int64_t count_all = result.neighbors.indices.size(0);
    const std::int64_t bank_size = bank_labels.defined() && bank_labels.dim() == 1 ? bank_labels.size(0) : 0;
    const Tensor voters = detail::knn_labels("bank_labels", bank_labels, bank_size, classes, device);
    const Tensor truth = detail::knn_labels("query_labels", query_labels, count_all, classes, device);
    const Tensor class_index = at::arange(classes, voters.options());

    std::vector<Tensor> predictions;
    Tensor hits1 = at::zeros({}, voters.options()), hits5 = hits1.clone();
    for (std::int64_t from = 0; from < count_all; from += options.chunk) {
        const std::int64_t count = std::min(options.chunk, count_all - from);
        const Tensor similarity = result.neighbors.similarities.narrow(0, from, count).to(at::kDouble);
        const Tensor votes = voters.index({result.neighbors.indices.narrow(0, from, count)});         // [q, k]
        const Tensor weights = ((similarity - similarity.narrow(1, 0, 1)) / options.temperature).exp();
        Tensor scores = at::zeros({count, classes}, weights.options());                               // [q, C]
        for (std::int64_t j = 0; j < votes.size(1); ++j)  // one vote per row at a time: the same sum on every device
            scores.scatter_add_(1, votes.narrow(1, j, 1), weights.narrow(1, j, 1));

        const Tensor label = truth.narrow(0, from, count).unsqueeze(1);                               // [q, 1]
        const Tensor own = scores.gather(1, label);
        const Tensor ahead = ((scores > own) | ((scores == own) & (class_index < label))).sum(1, true);
        predictions.push_back(scores.argmax(1));
        hits1 += (predictions.back().unsqueeze(1) == label).sum();
        hits5 += ((ahead < 5) & (own > 0)).sum();
    }
    result.predictions = at::cat(predictions);
    const auto total = static_cast<double>(count_all);
    result.top1 = hits1.item<double>() / total;
    result.top5 = hits5.item<double>() / total;
    return result;
}

/// Classifies each query as the class with the highest score among its k nearest neighbors n in the bank:
///
///     score_c = Σ_n exp(q̂ · b̂_n / T) · [label_n = c],   q̂ = q / ‖q‖
///
/// Ties go to the lower class. Scores are summed in float64, in the order of the neighbors, with the largest similarity
/// subtracted, so any T is safe. doppel's knn_top1: encoder output in evaluation mode, bank = un-augmented training
/// images, k = 20, T = 0.1.
/// Shapes: queries [Q, F], bank [N, F] as for nearest(); labels [N] and [Q] int64, from 0 to classes − 1.
/// Throws Error for wrong shapes, dtypes, labels or options, and for non-finite features.
/// Source: Wu, Xiong, Yu, Lin, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", 2018,
/// arXiv:1805.01978, section 3.4.
///
///     auto result = eval::knn(val.rows, train.rows, train.labels, val.labels, 10);
///     std::cout << result.top1;
inline KnnResult knn(const Tensor& queries, const Tensor& bank, const Tensor& bank_labels, const Tensor& query_labels,
                     std::int64_t classes, const KnnOptions& options = {}) {
    auto neighbors = nearest(queries, bank, options);
    require(bank_labels.defined() && bank_labels.dim() == 1 && bank_labels.size(0) == bank.size(0),
            "knn: bank_labels must be [", bank.size(0), "], got ",
            bank_labels.defined() ? bank_labels.sizes() : at::IntArrayRef{});
    return vote(std::move(neighbors), bank_labels, query_labels, classes, options);
}

}  // namespace doppel::eval
