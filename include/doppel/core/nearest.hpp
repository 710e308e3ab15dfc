// SPDX-License-Identifier: Apache-2.0
// Nearest neighbor by cosine similarity.
#pragma once

#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>

namespace doppel {

/// Returns, for each row of `keys` [N, D], the row of `rows` [K, D] with the largest cosine similarity: [N, D], in the
/// dtype of `rows`, without gradient. `rows` must have unit length; `keys` may have any length and floating dtype. Ties
/// go to the lowest row. Compares in float32, or in float64 if either input is, also under autocast.
///
///     const Tensor positives = nearest_rows(memory, keys);
inline Tensor nearest_rows(const Tensor& rows, const Tensor& keys) {
    const at::NoGradGuard no_grad;
    const Autocast float32(keys.device().type(), Precision::fp32);
    const bool wide = rows.scalar_type() == at::kDouble || keys.scalar_type() == at::kDouble;
    const auto type = wide ? at::kDouble : at::kFloat;
    return rows.index_select(0, keys.to(type).mm(rows.to(type).t()).argmax(1));
}

}  // namespace doppel
