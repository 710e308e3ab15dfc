// SPDX-License-Identifier: Apache-2.0
// The sum of squared off-diagonal elements of a product, for Barlow Twins and VICReg.
#pragma once

#include <doppel/core/tensor.hpp>

namespace doppel::losses::detail {

/// Returns Σ_{i≠j} (aᵀb)_ij² for a, b [N, D]. For N < D computed as ⟨a aᵀ, b bᵀ⟩ − Σ_i (aᵀb)_ii², so that the largest
/// matrix is [N, N], not [D, D].
inline Tensor off_diagonal_squares(const Tensor& a, const Tensor& b) {
    const auto n = a.size(0), d = a.size(1);
    if (n < d) {
        const Tensor gram = a.mm(a.t()), other = a.is_same(b) ? gram : b.mm(b.t());                   // [N, N]
        return (gram * other).sum() - (a * b).sum(0).square().sum();
    }
    // After its first element, the flat matrix is rows of D + 1 elements, the last of which is on the diagonal.
    const Tensor flat = a.t().mm(b).flatten();                                                        // [D · D]
    return flat.narrow(0, 1, d * d - 1).view({d - 1, d + 1}).narrow(1, 0, d).square().sum();
}

}  // namespace doppel::losses::detail
