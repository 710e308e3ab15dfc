// SPDX-License-Identifier: Apache-2.0
// Log-sum-exp of the rows and columns of a similarity matrix that is never there as a whole, and its gradient.
#pragma once

#include <doppel/core/tensor.hpp>

#include <ATen/ops/add.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace doppel::losses::detail {

/// The similarities s_ij = scale · a_i·b_j without those of some diagonals, walked tile by tile in a fixed order.
///
/// If a and b are the same tensor the matrix is symmetric: each tile above the diagonal is computed once and serves its
/// rows and its columns. Other columns may follow in another object, such as those of another process: Sums add up over
/// calls, and so do gradients.
/// Memory: two tiles, and vectors. One product per tile forward; in the backward pass the same product again, and one per
/// gradient. Nothing waits for the device, and no shape depends on a value. Call without grad mode.
/// Numerics: if |s_ij| ≤ 32 is known, exponentials are taken as they are, else with the largest value so far of each row
/// subtracted. Sums over tiles are float64. Products are in place, which autocast leaves as they are.
///
///     SimilarityTiles tiles{.a = z, .b = z, .scale = 1 / temperature, .excluded = {0}, .side = 1024};
///     auto rows = tiles.sums(z.size(0));
///     tiles.add_to(rows, &rows);
///     Tensor log_sum_exp = rows.log();
struct SimilarityTiles {
    Tensor a, b;                             ///< [M, D], [N, D] of one type
    double scale = 1;                        ///< 1/τ
    std::vector<std::int64_t> excluded{};    ///< diagonals j − i that do not count; symmetric about 0 if a is b
    std::int64_t side = 1024;                ///< rows and columns of a tile, ≥ 1
    double bound = std::numeric_limits<double>::infinity();  ///< of |a_i·b_j|: 1 for unit rows

    /// Σ_j exp s_ij of each row i, or of each column.
    struct Sums {
        Tensor most;  ///< what was subtracted; undefined for similarities that are known to be small
        Tensor sum;   ///< float64

        Tensor log(at::ScalarType type) const { return (most.defined() ? sum.log() + most : sum.log()).to(type); }
    };
    /// The log-sum-exp of each row or column, and the gradient that comes to it.
    struct Side {
        Tensor log_sum, gradient;
    };

    bool symmetric() const { return a.is_same(b); }

    Sums sums(std::int64_t count) const {
        Sums empty{.most = {}, .sum = at::zeros({count}, a.options().dtype(at::kDouble))};
        if (!small()) empty.most = at::full({count}, std::numeric_limits<float>::lowest(), a.options());
        return empty;
    }

    /// Adds this matrix to the sums of its rows, and of its columns if asked. For a symmetric matrix both are the same.
    void add_to(Sums& rows, Sums* columns) const {
        walk([&](const Tile& tile) {
            const Tensor s = product(tile);
            if (small()) {
                exclude(tile, s.exp_(), 0);
                tile.of_rows(rows.sum).add_(s.sum(1));
                if (columns && !tile.own()) tile.of_columns(columns->sum).add_(s.sum(0));
                return;
            }
            exclude(tile, s, -std::numeric_limits<double>::infinity());
            add_shifted(tile.of_rows(rows.most), tile.of_rows(rows.sum), s, 1, tile.spare);
            if (columns && !tile.own())
                add_shifted(tile.of_columns(columns->most), tile.of_columns(columns->sum), s, 0, tile.spare);
        });
    }

    /// Adds the gradients to `into_a` [M, D] and `into_b` [N, D], where defined. For a symmetric matrix, `columns` and
    /// `into_b` are those of the rows.
    void add_gradient(const Side& rows, const Side* columns, const Tensor& into_a, const Tensor& into_b) const {
        const Tensor row_weight = weight(rows), column_weight = columns ? weight(*columns) : Tensor();
        walk([&](const Tile& tile) {
            const Tensor s = product(tile);
            if (small()) {
                exclude(tile, s.exp_(), 0);
                const Tensor row = tile.of_rows(row_weight).unsqueeze(1);
                if (columns)
                    s.mul_(at::add_out(tile.spare, row, tile.of_columns(column_weight).unsqueeze(0)));
                else
                    s.mul_(row);
            } else {
                exclude(tile, s, -std::numeric_limits<double>::infinity());
                Tensor& spare = tile.spare;
                at::sub_out(spare, s, tile.of_rows(rows.log_sum).unsqueeze(1)).exp_().mul_(tile.of_rows(row_weight).unsqueeze(1));
                if (columns)
                    spare.add_(s.sub_(tile.of_columns(columns->log_sum).unsqueeze(0))
                                   .exp_()
                                   .mul_(tile.of_columns(column_weight).unsqueeze(0)));
                s.copy_(spare);
            }
            if (into_a.defined()) tile.of_rows(into_a).addmm_(s, tile.of_columns(b), 1, scale);
            if (into_b.defined() && !tile.own()) tile.of_columns(into_b).addmm_(s.t(), tile.of_rows(a), 1, scale);
        });
    }

private:
    struct Tile {
        std::int64_t row, rows, column, columns;
        bool symmetric;
        mutable Tensor values, spare;  // [rows, columns]

        Tensor of_rows(const Tensor& x) const { return x.narrow(0, row, rows); }
        Tensor of_columns(const Tensor& x) const { return x.narrow(0, column, columns); }
        /// Whether it is on the diagonal of a symmetric matrix: then its columns are its rows.
        bool own() const { return symmetric && row == column; }
    };

    /// Whether no exponential and no sum of them can overflow, nor become zero.
    bool small() const { return bound * scale <= 32; }

    template <class Action>
    void walk(Action&& action) const {
        const auto m = a.size(0), n = b.size(0), height = std::min(m, side);
        const auto width = symmetric() ? height : std::min(n, std::max<std::int64_t>(side * side / std::max<std::int64_t>(height, 1), 1));
        const Tensor values = at::empty({height * width}, a.options()), spare = at::empty_like(values);
        for (std::int64_t row = 0; row < m; row += height)
            for (std::int64_t column = symmetric() ? row : 0; column < n; column += width) {
                const auto rows = std::min(height, m - row), columns = std::min(width, n - column);
                const auto shaped = [&](const Tensor& x) { return x.narrow(0, 0, rows * columns).view({rows, columns}); };
                action(Tile{row, rows, column, columns, symmetric(), shaped(values), shaped(spare)});
            }
    }

    Tensor product(const Tile& tile) const {
        return at::addmm_out(tile.values, tile.values, tile.of_rows(a), tile.of_columns(b).t(), 0, scale);
    }

    void exclude(const Tile& tile, const Tensor& s, double value) const {
        for (const auto offset : excluded) {
            const auto here = offset + tile.row - tile.column;
            if (here > -tile.rows && here < tile.columns) s.diagonal(here).fill_(value);
        }
    }

    static void add_shifted(const Tensor& most, const Tensor& sum, const Tensor& s, std::int64_t dim, Tensor& spare) {
        const Tensor now = at::maximum(most, s.amax(dim));
        sum.mul_((most - now).exp_()).add_(at::sub_out(spare, s, now.unsqueeze(dim)).exp_().sum(dim));
        most.copy_(now);
    }

    /// What multiplies the exponential.
    Tensor weight(const Side& side_) const {
        return small() ? side_.gradient * (-side_.log_sum).exp() : side_.gradient;
    }
};

}  // namespace doppel::losses::detail
