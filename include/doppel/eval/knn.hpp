// SPDX-License-Identifier: Apache-2.0
// Weighted k-nearest-neighbour classification: what features are worth without training anything on them.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

namespace doppel::eval {

struct KnnOptions {
    std::int64_t k = 20;        ///< neighbours that vote, ≥ 1; all of the bank where it is smaller
    double temperature = 0.1;   ///< T > 0: a vote weighs exp(similarity / T). InstDisc and DINO: 0.07
    std::int64_t chunk = 1024;  ///< queries at once, ≥ 1; changes memory and speed, not the result
};

/// The k most similar bank rows of each query, the most similar first.
struct Neighbours {
    Tensor indices;       ///< [Q, k] int64, rows of the bank
    Tensor similarities;  ///< [Q, k] float32, cosines
};

struct KnnResult {
    double top1 = 0;         ///< share of the queries whose class has the highest score, 0 to 1
    double top5 = 0;         ///< share whose class is among the five highest scores, and has a vote
    Tensor predictions;      ///< [Q] int64, the class with the highest score
    Neighbours neighbours;   ///< who voted
};

namespace detail {

inline constexpr std::int64_t bank_tile = 32768;  // bank rows at once

/// [N, F], any floating type → unit rows in float32; a zero row stays zero.
inline Tensor knn_rows(std::string_view name, const Tensor& features) {
    require(features.defined() && features.dim() == 2 && features.numel() > 0, "knn: ", name,
            " must be [rows, features] and not empty, got ", features.defined() ? features.sizes() : at::IntArrayRef{});
    require(features.is_floating_point(), "knn: ", name, " must be of a floating type, got ", features.scalar_type());
    const Tensor rows = features.detach().to(at::kFloat);
    const Tensor norms = rows.norm(2, 1, true);
    require(at::isfinite(norms).all().item<bool>(), "knn: ", name, " must be finite and not overflow float32");
    return rows / norms.clamp_min(1e-12);
}

/// [rows] int64 class indices, on the device of the features.
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

/// The k best columns of q · bankᵀ for unit rows q [q, F], tile by tile.
inline Neighbours nearest_of_chunk(const Tensor& q, const Tensor& bank, std::int64_t k) {
    Tensor best, where;
    for (std::int64_t from = 0; from < bank.size(0); from += bank_tile) {
        const Tensor tile = bank.narrow(0, from, std::min(bank_tile, bank.size(0) - from));
        auto [similarity, index] = q.mm(tile.t()).topk(std::min(k, tile.size(0)), 1);                 // [q, k]
        index.add_(from);
        if (best.defined()) {
            const Tensor both = at::cat({best, similarity}, 1), places = at::cat({where, index}, 1);  // [q, ≤ 2k]
            const auto merged = both.topk(std::min(k, both.size(1)), 1);
            similarity = std::get<0>(merged);
            index = places.gather(1, std::get<1>(merged));
        }
        best = similarity;
        where = index;
    }
    return {where, best};
}

}  // namespace detail

/// The nearest neighbours of each query among the rows of a bank, by cosine.
///
/// Shapes: queries [Q, F], bank [N, F], any floating type, on one device; computed in float32 whatever autocast says.
/// Memory beside the inputs: unit copies of both and chunk × min(N, 32,768) similarities.
/// Among equally similar bank rows the order is the backend's; a zero row is similar to nothing (cosine 0).
///
///     auto [rows, cosines] = eval::nearest(features, bank, {.k = 8});
inline Neighbours nearest(const Tensor& queries, const Tensor& bank, const KnnOptions& options = {}) {
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

/// Each query takes the class with the highest score among its k nearest neighbours n in the bank:
///
///     score_c = Σ_n exp(q̂ · b̂_n / T) · [label_n = c],   q̂ = q / ‖q‖
///
/// of equal scores the lower class wins. Scores are summed in float64, in the order of the neighbours, with the largest
/// similarity taken out, so any T is safe. doppel's knn_top1: encoder output in evaluation mode, bank = un-augmented
/// training images, k = 20, T = 0.1.
/// Shapes: queries [Q, F], bank [N, F] as for nearest(); labels [N] and [Q] int64, from 0 to classes − 1.
/// Throws Error for wrong shapes, types, labels or options, and for features that are not finite.
/// Source: Wu, Xiong, Yu, Lin, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", 2018,
/// arXiv:1805.01978, section 3.4.
///
///     auto result = eval::knn(val.rows, train.rows, train.labels, val.labels, 10);
///     std::cout << result.top1;
inline KnnResult knn(const Tensor& queries, const Tensor& bank, const Tensor& bank_labels, const Tensor& query_labels,
                     std::int64_t classes, const KnnOptions& options = {}) {
    const at::NoGradGuard no_grad;
    require(classes >= 1, "knn: classes must be at least 1, got ", classes);
    KnnResult result;
    result.neighbours = nearest(queries, bank, options);
    const at::Device device = queries.device();
    const Tensor voters = detail::knn_labels("bank_labels", bank_labels, bank.size(0), classes, device);
    const Tensor truth = detail::knn_labels("query_labels", query_labels, queries.size(0), classes, device);
    const Tensor class_index = at::arange(classes, voters.options());

    std::vector<Tensor> predictions;
    Tensor hits1 = at::zeros({}, voters.options()), hits5 = hits1.clone();
    for (std::int64_t from = 0; from < queries.size(0); from += options.chunk) {
        const std::int64_t count = std::min(options.chunk, queries.size(0) - from);
        const Tensor similarity = result.neighbours.similarities.narrow(0, from, count).to(at::kDouble);
        const Tensor votes = voters.index({result.neighbours.indices.narrow(0, from, count)});        // [q, k]
        const Tensor weights = ((similarity - similarity.narrow(1, 0, 1)) / options.temperature).exp();
        Tensor scores = at::zeros({count, classes}, weights.options());                               // [q, C]
        for (std::int64_t j = 0; j < votes.size(1); ++j)  // one vote a row at a time: the same sum on every device
            scores.scatter_add_(1, votes.narrow(1, j, 1), weights.narrow(1, j, 1));

        const Tensor label = truth.narrow(0, from, count).unsqueeze(1);                               // [q, 1]
        const Tensor own = scores.gather(1, label);
        const Tensor ahead = ((scores > own) | ((scores == own) & (class_index < label))).sum(1, true);
        predictions.push_back(scores.argmax(1));
        hits1 += (predictions.back().unsqueeze(1) == label).sum();
        hits5 += ((ahead < 5) & (own > 0)).sum();
    }
    result.predictions = at::cat(predictions);
    const auto total = static_cast<double>(queries.size(0));
    result.top1 = hits1.item<double>() / total;
    result.top5 = hits5.item<double>() / total;
    return result;
}

}  // namespace doppel::eval
