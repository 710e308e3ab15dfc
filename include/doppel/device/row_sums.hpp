// SPDX-License-Identifier: Apache-2.0
// A log-sum-exp of the rows of a matrix that arrives in tiles.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/device/kernel.hpp>

#include <ATen/ops/amax.h>
#include <ATen/ops/full.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <cstdint>
#include <limits>
#include <optional>

namespace doppel::device {

inline constexpr Kernel<const float*, long long, int, float, long long, float*, float*> row_sums_kernel{"doppel_row_sums"};

/// Running sums of exponentials of each row, of values that were never all in memory:
///
///     RowSums sums(rows, options);
///     for (…) sums.add(similarities, 1 / temperature, diagonal);   // [rows, columns] each, float32
///     Tensor log_sum_exp = sums.log();                             // [rows]
///
/// On a GPU one launch a tile, which reads it once; else ATen's operations. The two differ by rounding: about 1e-6.
class RowSums {
public:
    explicit RowSums(std::int64_t rows, const at::TensorOptions& options)
        : most_(at::full({rows}, -std::numeric_limits<double>::infinity(), options.dtype(at::kFloat))),
          sum_(at::zeros({rows}, options.dtype(at::kFloat))) {}

    /// Adds exp(scale · tile) [rows, columns] to the rows' sums, without the value in column r + diagonal of row r, if given
    /// and where there is one.
    void add(const Tensor& tile, double scale = 1, std::optional<std::int64_t> diagonal = {}) {
        require(tile.dim() == 2 && tile.size(0) == most_.size(0) && tile.scalar_type() == at::kFloat,
                "RowSums: a tile must be float32 [", most_.size(0), ", columns], got ", tile.scalar_type(), ' ', tile.sizes());
        const at::NoGradGuard no_grad;
        if (tile.numel() == 0) return;
        // No column: before the first of every row.
        const std::int64_t without = diagonal.value_or(-most_.size(0));
        if (kernels_usable(tile.device()) && tile.size(1) <= std::numeric_limits<std::int32_t>::max()) {
            const Tensor rows = tile.stride(1) == 1 ? tile : tile.contiguous();
            row_sums_kernel({static_cast<unsigned>(rows.size(0)), 256}, rows.device(), rows.const_data_ptr<float>(), rows.stride(0),
                            static_cast<int>(rows.size(1)), static_cast<float>(scale), without, most_.mutable_data_ptr<float>(),
                            sum_.mutable_data_ptr<float>());
            return;
        }
        Tensor scaled = tile * scale;  // [rows, columns]
        if (diagonal && *diagonal > -tile.size(0) && *diagonal < tile.size(1))
            scaled.diagonal(*diagonal).fill_(-std::numeric_limits<double>::infinity());
        const Tensor next = at::maximum(most_, at::amax(scaled, 1));  // [rows]
        const Tensor from = at::where(next.isinf(), 0, next);         // −∞ − −∞ is not a number
        sum_ = sum_ * (most_ - from).exp() + (scaled - from.unsqueeze(1)).exp().sum(1);
        most_ = next;
    }

    /// The logarithm of each row's sum [rows]; −∞ for a row without values.
    Tensor log() const { return most_ + sum_.log(); }

    const Tensor& most() const { return most_; }
    const Tensor& sum() const { return sum_; }

private:
    Tensor most_, sum_;
};

}  // namespace doppel::device
