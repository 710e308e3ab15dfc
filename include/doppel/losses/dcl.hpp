// SPDX-License-Identifier: Apache-2.0
// DCL and DCLW: SimCLR's loss without the positive in the denominator; DCLW also weights the positives.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/collectives.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/keys_of_all.hpp>
#include <doppel/losses/detail/pool.hpp>
#include <doppel/losses/detail/rows.hpp>
#include <doppel/losses/tiles.hpp>

#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>

#include <limits>
#include <string_view>

namespace doppel::losses {

namespace detail {
/// The terms of both losses: the cosine of the two views of each image [N], and the mean over all 2N embeddings of
/// log Σ exp(cosine/τ) over the views of all other images.
struct Decoupled {
    Tensor positive, negative;

    Decoupled(std::string_view who, const Tensor& z0, const Tensor& z1, double temperature, const Tiles& tiles,
              const Group& group) {
        require_temperature(who, temperature);
        require_pair(who, z0, z1);
        const auto n = z0.size(0);
        require(group.all_rows(n) >= 2, who, ": needs at least 2 images for a negative, got ", n);
        const Autocast float32(z0.device().type(), Precision::fp32);
        if (!group.alone()) {
            const Tensor z = unit_rows(at::cat({z0, z1}));                                            // [2N, D]
            negative = log_sum_exp_over_all(z, z, group, temperature, tiles, {-n, 0, n}, 1).mean();
            positive = (z.narrow(0, 0, n) * z.narrow(0, n, n)).sum(1);
            return;
        }
        if (tiles.cut(2 * n, 2 * n)) {
            const PoolTerms terms({z0, z1}, temperature, tiles, {-n, 0, n});
            negative = terms.log_sum.mean();
            positive = terms.positive.narrow(0, 0, n);
            return;
        }
        const Tensor z = unit_rows(at::cat({z0, z1}));                                                // [2N, D]
        const Tensor cosine = z.mm(z.t());                                                            // [2N, 2N]
        const Tensor same_image = at::eye(n, cosine.options().dtype(at::kBool)).repeat({2, 2});       // [2N, 2N]
        const Tensor others = (cosine / temperature).masked_fill(same_image, -std::numeric_limits<double>::infinity());
        negative = others.logsumexp(1).mean();
        positive = cosine.diagonal(n);                                                                // [N]
    }
};
}  // namespace detail

/// Decoupled contrastive learning: separate terms attract the two views of an image and repel the other images.
///
///     s_kl,ij = ẑ_i^(k) · ẑ_j^(l) / τ,  ẑ = z / ‖z‖,  k, l = 1, 2
///     L = 1/(2N) Σ_k Σ_i ( log Σ_l Σ_{j≠i} exp s_kl,ij − s_12,ii )
///
/// NT-Xent has the positive in the sum, too, which weakens its gradient by the positive's share of the sum, most with
/// few negatives. DCL does not, so small batches cost less accuracy.
/// Shapes: z0, z1 [N, D], any floating type and device, need not be normalized; N ≥ 2. Result: scalar, float32
/// (float64 for float64 inputs). Symmetric in the two views, so it is paired once.
/// Numerics: float32, also under autocast; log-sum-exp with the maximum subtracted. Uninformative or collapsed
/// embeddings yield log(2N − 2). Not bounded by 0: orthogonal images with equal views yield log(2N − 2) − 1/τ.
/// Memory: the matrix of 4N² similarities, some of them at once; above `tiles.above` of them, by tiles: the unit rows and
/// two tiles, with first derivatives only (losses/tiles.hpp).
/// Accumulated gradients: negatives come from the micro-batch.
/// Differs: the paper sums over images and views, this is the mean; older releases of lightly's DCLLoss add a logarithm
/// per view, where the paper has one logarithm of the sum over both views.
/// Throws Error for a non-positive temperature, or tensors that are not [N, D] of equal shape.
/// Source: Yeh, Hong, Hsu, Liu, Chen, LeCun, "Decoupled Contrastive Learning", 2021, arXiv:2110.06848, section 3.
///
///     losses::Dcl loss{.temperature = 0.1};
///     loss(z0, z1).backward();
struct Dcl {
    double temperature = 0.1;  ///< τ > 0
    Tiles tiles{};             ///< from which size on the similarities are computed by tiles
    Group group{};             ///< set by join()

    void join(const Group& with) { group = with; }

    Tensor operator()(const Tensor& z0, const Tensor& z1) const {
        const detail::Decoupled parts("Dcl", z0, z1, temperature, tiles, group);
        return parts.negative - parts.positive.mean() / temperature;
    }
};

/// DCL with higher weights for images whose views are still far apart.
///
///     L = 1/(2N) Σ_k Σ_i ( log Σ_l Σ_{j≠i} exp s_kl,ij − w_i s_12,ii )
///     w_i = 2 − exp(c_i/σ) / ( 1/N Σ_j exp(c_j/σ) ) = 2 − N · softmax_i(c/σ),  c_i = ẑ_i^(1) · ẑ_i^(2)
///
/// Weights are 2 minus a von Mises-Fisher density, in (2 − N, 2), with mean 1. A weight is negative if the views of an
/// image are much closer than those of the others.
/// Shapes, numerics, memory and errors as for Dcl; equal images have weight 1, so collapse yields log(2N − 2), too.
/// The weights are constants for the gradient, as in lightly's DCLWLoss. The paper's equation has no stop-gradient;
/// with `through_weights` the gradient flows through the weights, which pushes views apart that are already close.
/// Source: Yeh et al., 2021, arXiv:2110.06848, section 3, the weighting function and σ = 0.5.
///
///     losses::Dclw loss{.temperature = 0.1, .sigma = 0.5};
struct Dclw {
    double temperature = 0.1;      ///< τ > 0
    double sigma = 0.5;            ///< σ > 0: the larger, the more uniform the weights
    bool through_weights = false;  ///< let the gradient flow through the weights, too
    Tiles tiles{};                 ///< from which size on the similarities are computed by tiles
    Group group{};                 ///< set by join()

    void join(const Group& with) { group = with; }

    Tensor operator()(const Tensor& z0, const Tensor& z1) const {
        require(sigma > 0 && sigma < std::numeric_limits<double>::infinity(),
                "Dclw: sigma must be positive and finite, got ", sigma);
        const detail::Decoupled parts("Dclw", z0, z1, temperature, tiles, group);
        const auto n = z0.size(0);
        const Tensor cosine = through_weights ? parts.positive : parts.positive.detach();             // [N]
        Tensor share = (gathered(cosine, group) / sigma).softmax(0);  // among the images of all processes
        if (!group.alone()) share = share.narrow(0, group.rows_before(n), n);                         // [N]
        Tensor weight = 2 - static_cast<double>(group.all_rows(n)) * share;                           // [N]
        if (!through_weights) weight = weight.detach();
        return parts.negative - (weight * parts.positive).mean() / temperature;
    }
};

static_assert(contracts::PairLoss<Dcl> && contracts::PairLoss<Dclw>);

}  // namespace doppel::losses
