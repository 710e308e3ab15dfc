// SPDX-License-Identifier: Apache-2.0
// Mean cosine between rows, without gradient into the second argument.
#pragma once

#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/rows.hpp>

#include <string_view>

namespace doppel::losses::detail {

/// Mean over the rows of p̂ · ẑ, without gradient into z.
inline Tensor mean_cosine(std::string_view who, const Tensor& p, const Tensor& z) {
    require_pair(who, p, z);
    const Autocast float32(p.device().type(), Precision::fp32);
    return (unit_rows(p) * unit_rows(z.detach())).sum(1).mean();
}

}  // namespace doppel::losses::detail
