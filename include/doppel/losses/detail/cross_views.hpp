// SPDX-License-Identifier: Apache-2.0
// Cross-entropy between the views of an image, for SwAV and DINO.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>

#include <string_view>
#include <vector>

namespace doppel::losses::detail {

/// Returns −Σ_k p_t log q_o, mean over the rows and over all pairs of a view t with p and another view o with log q:
/// with G and V views, G·(V − 1) terms. p, log q: [B, K] per view, undefined for views without.
/// Sums the p of each log q first, so that there is one product per view, not per pair.
inline Tensor cross_entropy_of_views(std::string_view who, const std::vector<Tensor>& p,
                                     const std::vector<Tensor>& log_q) {
    Tensor sum, all;
    std::size_t targets = 0, terms = 0;
    for (const Tensor& each : p)
        if (each.defined()) {
            all = all.defined() ? all + each : each;
            ++targets;
        }
    for (std::size_t o = 0; o < log_q.size(); ++o) {
        if (!log_q[o].defined()) continue;
        const bool own = o < p.size() && p[o].defined();
        if (targets == (own ? 1u : 0u)) continue;  // no other view
        terms += targets - (own ? 1 : 0);
        Tensor others = all;
        if (own) {
            others = Tensor{};
            for (std::size_t t = 0; t < p.size(); ++t)
                if (t != o && p[t].defined()) others = others.defined() ? others + p[t] : p[t];
        }
        const Tensor term = (others * log_q[o]).sum();
        sum = sum.defined() ? sum + term : term;
    }
    require(terms > 0, who, ": needs a target view and another view to compare it with");
    return sum / -static_cast<double>(terms * static_cast<std::size_t>(all.size(0)));
}

}  // namespace doppel::losses::detail
