// SPDX-License-Identifier: Apache-2.0
// DirectCLR: a contrastive loss on a subset of the encoder's features, without a projector.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/rows.hpp>
#include <doppel/losses/info_nce.hpp>
#include <doppel/losses/nt_xent.hpp>

#include <cstdint>

namespace doppel::losses {

/// NT-Xent of the first d0 features, which replaces a projector by a low-rank diagonal matrix.
///
///     L = NtXent(r0[:, :d0], r1[:, :d0])     or, with cross_view, CrossViewInfoNce of the same
///
/// The other features are trained through the layers below, as in the last block of a residual network.
/// Shapes: r0, r1 [N, D] with D ≥ d0, features of the encoder, any floating type; N ≥ 2. Result: scalar, float32
/// (float64 for float64 inputs). Uninformative features yield log(2N − 1), with cross_view log N.
/// Accumulated gradients: negatives come from the micro-batch.
/// Differs: in the authors' code negatives come from the other view only, as with cross_view; by default, as in lightly's
/// DirectCLRLoss (d0 = 64, τ = 0.5), from both views.
/// Throws Error for a non-positive temperature, for d0 < 1 or > D, and for mismatched shapes.
/// Source: Jing, Vincent, LeCun, Tian, "Understanding Dimensional Collapse in Contrastive Self-supervised Learning",
/// 2021, arXiv:2110.09348, section 6.
///
///     Recipe{.encoder = encoders::ResNet{.depth = 50}, .loss = losses::Directclr{.dims = 360}}
struct Directclr {
    std::int64_t dims = 360;   ///< d0 ≥ 1, features used by the loss; authors: 360 of ResNet-50's 2048
    double temperature = 0.1;  ///< τ > 0
    bool cross_view = false;   ///< negatives from the other view only, as in the authors' code
    Group group{};             ///< set by join()

    void join(const Group& with) { group = with; }

    Tensor operator()(const Tensor& r0, const Tensor& r1) const {
        detail::require_temperature("Directclr", temperature);
        require(dims >= 1, "Directclr: dims must be at least 1, got ", dims);
        detail::require_pair("Directclr", r0, r1);
        require(r0.size(1) >= dims, "Directclr: dims is ", dims, ", but the encoder has only ", r0.size(1),
                " features");
        require(group.all_rows(r0.size(0)) >= 2, "Directclr: needs at least 2 images for a negative, got ", r0.size(0));
        const Tensor a = r0.narrow(1, 0, dims), b = r1.narrow(1, 0, dims);                            // [N, d0]
        return cross_view ? CrossViewInfoNce{.temperature = temperature, .group = group}(a, b)
                          : NtXent{.temperature = temperature, .group = group}(a, b);
    }
};

static_assert(contracts::PairLoss<Directclr>);

}  // namespace doppel::losses
