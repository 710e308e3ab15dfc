// SPDX-License-Identifier: Apache-2.0
// Outputs on their way from the network to the loss, and after it.
#pragma once

#include <doppel/core/batch.hpp>
#include <doppel/core/tensor.hpp>

namespace doppel::detail {

/// What the loss compares becomes float32 (float64 stays).
inline void to_float32(Outputs& out) {
    const auto widen = [](Tensor& z) {
        if (z.defined() && z.scalar_type() != at::kDouble) z = z.to(at::kFloat);
    };
    for (auto* list : {&out.online, &out.target})
        for (Tensor& z : *list) widen(z);
    widen(out.patches.online);
    widen(out.patches.target);
}

/// The same values without the graph that led to them.
inline Outputs without_gradients(Outputs out) {
    for (auto* list : {&out.features, &out.projected, &out.online, &out.target})
        for (Tensor& z : *list)
            if (z.defined()) z = z.detach();
    if (out.patches.online.defined()) out.patches.online = out.patches.online.detach();
    return out;
}

}  // namespace doppel::detail
