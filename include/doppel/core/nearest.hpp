// SPDX-License-Identifier: Apache-2.0
// Which of some rows is most like another row.
#pragma once

#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>

namespace doppel {

/// Of `rows` [K, D], unit rows, the one of the largest cosine to each row of `keys` [N, D], of any length and floating
/// type: [N, D], of the type of `rows`, without gradient. Of equally near ones the first. Compares in float32, or in
/// float64 where either is, whatever autocast says.
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
