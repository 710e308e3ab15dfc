// SPDX-License-Identifier: Apache-2.0
// Exact search for the nearest neighbors of features, by cosine similarity or Euclidean distance, in bounded memory.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/Context.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace doppel::eval {

/// How near two rows are.
enum class Metric {
    cosine,  ///< the larger the cosine of the rows' angle, the nearer; lengths do not count
    l2,      ///< the smaller the Euclidean distance, the nearer
};

struct NearestOptions {
    std::int64_t k = 20;             ///< neighbors of each query, from 1 to the rows of the bank
    Metric metric = Metric::cosine;  ///< how near two rows are
    bool leave_one_out = false;      ///< the queries are the bank, and row i is no neighbor of itself: k < rows of the bank
    std::int64_t chunk = 512;        ///< queries per tile, ≥ 1; affects memory and speed, not the result
    std::int64_t tile = 32768;       ///< bank rows per tile, ≥ 1; the same
};

/// The k nearest bank rows of each query, the nearest first.
struct Neighbors {
    Tensor indices;       ///< [Q, k] int64, rows of the bank
    Tensor similarities;  ///< [Q, k] float32, cosines; with Metric::l2, distances times −1

    /// Returns the nearest k of them, 1 ≤ k ≤ those that there are.
    Neighbors first(std::int64_t k) const { return {indices.narrow(1, 0, k), similarities.narrow(1, 0, k)}; }
};

namespace detail {

/// The k largest columns of each row of scores [Q, t], k ≤ t: values and columns [Q, k], the largest first.
inline std::tuple<Tensor, Tensor> largest(const Tensor& scores, std::int64_t k) {
    constexpr std::int64_t depth = 16;
    const std::int64_t columns = scores.size(1), groups = columns / depth, grouped = groups * depth;
    if (columns < 2 * depth * k) return scores.topk(k, 1);
    // Columns g, g + groups, g + 2 groups, … are group g. The k largest columns are in the k groups with the largest
    // maxima, which one quick pass finds; only these are sorted.
    const Tensor maxima = scores.narrow(1, 0, grouped).view({-1, depth, groups}).amax(1);                   // [Q, groups]
    const Tensor best = std::get<1>(maxima.topk(k, 1, true, false));                                        // [Q, k]
    const Tensor offsets = at::arange(depth, best.options()) * groups;                                      // [depth]
    Tensor candidates = (best.unsqueeze(2) + offsets).flatten(1);                                           // [Q, k · depth]
    if (grouped < columns)
        candidates = at::cat({candidates, at::arange(grouped, columns, best.options()).expand({best.size(0), -1})}, 1);
    auto [values, places] = scores.gather(1, candidates).topk(k, 1);
    return {values, candidates.gather(1, places)};
}

/// The k largest scores of each query, of tiles that are added one after the other.
class LargestOfTiles {
public:
    explicit LargestOfTiles(std::int64_t k) : k_(k) {}

    /// Adds the scores [Q, t] of the columns from `first` on.
    void add(const Tensor& scores, std::int64_t first) {
        auto [values, columns] = largest(scores, std::min(k_, scores.size(1)));
        columns = columns + first;
        if (values_.defined()) {
            const Tensor both = at::cat({values_, values}, 1), places = at::cat({columns_, columns}, 1);  // [Q, ≤ 2k]
            Tensor kept;
            std::tie(values, kept) = both.topk(std::min(k_, both.size(1)), 1);
            columns = places.gather(1, kept);
        }
        values_ = values;
        columns_ = columns;
    }
    /// What was found; similarities are the scores.
    Neighbors found() const { return {columns_, values_}; }

private:
    Tensor values_, columns_;
    std::int64_t k_;
};

/// Queries or a bank [N, F] of any floating type: checked once, and converted to float32 for the metric one tile at a time.
class MetricRows {
public:
    MetricRows(std::string_view name, const Tensor& rows) {
        require(rows.defined() && rows.dim() == 2 && rows.numel() > 0, "knn: ", name, " must be [rows, features] and not empty, got ",
                rows.defined() ? rows.sizes() : at::IntArrayRef{});
        require(rows.is_floating_point(), "knn: ", name, " must be of a floating type, got ", rows.scalar_type());
        rows_ = rows.detach();
        std::vector<Tensor> lengths;
        for (const Tensor& part : rows_.split(8192)) lengths.push_back(part.to(at::kFloat).norm(2, 1, true));
        lengths_ = at::cat(lengths);  // [N, 1]
        const Tensor strange = at::isfinite(lengths_).logical_not();
        if (strange.any().item<bool>())
            fail("knn: ", name, " must be finite in float32, got NaN, infinity or too large a number in row ",
                 strange.to(at::kInt).argmax().item<std::int64_t>(), " (the first of ", strange.sum().item<std::int64_t>(),
                 "); check whether the training that made the features diverged");
    }

    /// Makes tiles of differences from `center` [F] instead of rows of unit length.
    void subtract(const Tensor& center) { center_ = center; }

    /// Rows from `from` on: of unit length (rows of zeros stay zero), or their differences from the center.
    Tensor tile(std::int64_t from, std::int64_t count) const {
        const Tensor part = rows_.narrow(0, from, count);
        if (center_.defined()) return (part - center_).to(at::kFloat);
        return part.to(at::kFloat) / lengths_.narrow(0, from, count).clamp_min(1e-12);
    }
    const Tensor& rows() const { return rows_; }
    /// The mean row [F], in the type of differences.
    Tensor mean() const {
        Tensor sum = at::zeros({rows_.size(1)}, rows_.options().dtype(wide()));
        for (const Tensor& part : rows_.split(8192)) sum += part.to(wide()).sum(0);
        return sum / rows_.size(0);
    }
    /// The type of differences between rows: float32, or float64 for float64.
    at::ScalarType wide() const { return rows_.scalar_type() == at::kDouble ? at::kDouble : at::kFloat; }
    std::int64_t size() const { return rows_.size(0); }

private:
    Tensor rows_, lengths_, center_;
};

/// Replaces the scores of found neighbors by exact distances times −1, and sorts by them.
inline Neighbors with_distances(const Neighbors& found, const MetricRows& queries, const MetricRows& bank) {
    const std::int64_t k = found.indices.size(1), width = bank.rows().size(1);
    const std::int64_t portion = std::max<std::int64_t>(1, (std::int64_t{1} << 22) / (k * width));  // 16 MiB of neighbors
    std::vector<Tensor> indices, similarities;
    for (std::int64_t from = 0; from < queries.size(); from += portion) {
        const std::int64_t count = std::min(portion, queries.size() - from);
        const Tensor near = found.indices.narrow(0, from, count);                                      // [n, k]
        const Tensor rows = bank.rows().index_select(0, near.flatten()).view({count, k, width});       // [n, k, F]
        const Tensor difference = rows.to(bank.wide()) - queries.rows().narrow(0, from, count).unsqueeze(1);
        const auto [distance, order] = difference.norm(2, 2).sort(/*stable=*/true, 1, /*descending=*/false);
        indices.push_back(near.gather(1, order));
        similarities.push_back(-distance.to(at::kFloat));
    }
    return {at::cat(indices), at::cat(similarities)};
}

inline void check_nearest(const NearestOptions& options, const Tensor& queries, const Tensor& bank) {
    require(queries.size(1) == bank.size(1), "knn: queries and bank must have the same number of features, got ",
            queries.size(1), " and ", bank.size(1));
    require(queries.device() == bank.device(), "knn: queries and bank must be on one device, got ", queries.device(),
            " and ", bank.device());
    require(options.chunk >= 1 && options.tile >= 1, "knn: chunk and tile must be at least 1, got ", options.chunk, " and ", options.tile);
    require(options.k >= 1, "knn: k must be at least 1, got ", options.k);
    require(!options.leave_one_out || queries.size(0) == bank.size(0),
            "knn: with leave_one_out, the queries must be the bank, got ", queries.size(0), " and ", bank.size(0), " rows");
    const std::int64_t others = bank.size(0) - (options.leave_one_out ? 1 : 0);
    require(options.k <= others, "knn: k must be at most ", others, ", the rows of the bank",
            options.leave_one_out ? " without the query" : "", ", got ", options.k, "; use a smaller k or more images");
}

}  // namespace detail

/// Finds the k nearest neighbors of each query among the rows of a bank. Exact: every pair is compared.
///
/// Shapes: queries [Q, F], bank [N, F], any floating types, on one device; compared in float32, also under autocast.
/// Memory in addition to inputs and result: the rows' lengths, one tile of the bank, one of the queries, and chunk × tile
/// similarities, whatever Q and N are: with the defaults and 512 features 140 MiB, with Metric::l2 190 MiB.
/// Metric::l2 compares by ‖b − m‖² − 2 (q − m) · (b − m), where m is the bank's mean, so that features far from the
/// origin lose no digits; the distances returned are computed from the rows themselves.
/// The order of equally near bank rows depends on the backend; a zero row has cosine 0 to all others.
/// Throws Error for wrong shapes, dtypes, devices or options, for k above the bank, and for features that are not finite.
///
///     auto [rows, cosines] = eval::nearest(features, bank, {.k = 8});
inline Neighbors nearest(const Tensor& queries, const Tensor& bank, const NearestOptions& options = {}) {
    const at::NoGradGuard no_grad;
    detail::MetricRows asked("queries", queries), known("bank", bank);
    detail::check_nearest(options, queries, bank);
    const Autocast float32(queries.device().type(), Precision::fp32);
    const at::NoTF32Guard no_tf32;
    const bool l2 = options.metric == Metric::l2;
    if (l2) {
        const Tensor center = known.mean();  // [F]
        asked.subtract(center);
        known.subtract(center);
    }
    const std::int64_t chunk = std::min(options.chunk, asked.size()), width = std::min(options.tile, known.size());
    std::vector<detail::LargestOfTiles> best(static_cast<std::size_t>((asked.size() + chunk - 1) / chunk),
                                             detail::LargestOfTiles(options.k));
    Tensor memory = at::empty({chunk * width}, bank.options().dtype(at::kFloat).requires_grad(false));
    for (std::int64_t from = 0; from < known.size(); from += width) {
        const Tensor tile = known.tile(from, std::min(width, known.size() - from));         // [t, F]
        const Tensor half_squares = l2 ? tile.square().sum(1).mul_(-0.5) : Tensor();        // [t]
        for (std::int64_t first = 0; first < asked.size(); first += chunk) {
            const Tensor rows = asked.tile(first, std::min(chunk, asked.size() - first));   // [q, F]
            Tensor scores = memory.narrow(0, 0, rows.size(0) * tile.size(0)).view({rows.size(0), tile.size(0)});
            if (l2)
                at::addmm_out(scores, half_squares, rows, tile.t());
            else
                at::mm_out(scores, rows, tile.t());
            if (options.leave_one_out) scores.diagonal(first - from).fill_(-std::numeric_limits<double>::infinity());
            best[static_cast<std::size_t>(first / chunk)].add(scores, from);
        }
    }
    std::vector<Tensor> indices, similarities;
    for (const auto& of_chunk : best) {
        auto found = of_chunk.found();
        indices.push_back(std::move(found.indices));
        similarities.push_back(std::move(found.similarities));
    }
    Neighbors found{at::cat(indices), at::cat(similarities)};
    return l2 ? detail::with_distances(found, asked, known) : found;
}

}  // namespace doppel::eval
