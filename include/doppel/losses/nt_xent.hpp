// SPDX-License-Identifier: Apache-2.0
// NT-Xent: the normalized temperature-scaled cross-entropy of SimCLR.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/losses/detail/rows.hpp>

#include <limits>

namespace doppel::losses {

/// Classifies the partner of each of the 2N projections among the 2N − 1 others.
///
///     s_ij = ẑ_i · ẑ_j / τ,  ẑ = z / ‖z‖,  z = [z0; z1]
///     L = 1/(2N) Σ_i ( log Σ_{j≠i} exp s_ij − s_{i,p(i)} ),  p(i) = i ± N
///
/// Shapes: z0, z1 [N, D], any floating type and device, need not be normalized; N ≥ 2. Result: scalar, float32
/// (float64 for float64 inputs). Symmetric in the two views, so it is paired once.
/// Numerics: float32, also under autocast; log-sum-exp with the maximum subtracted, so τ = 0.01 is safe.
/// Uninformative embeddings yield log(2N − 1).
/// Accumulated gradients: negatives come from the micro-batch, so n micro-batches are not one large batch.
/// Differs: the SimCLR authors' TensorFlow code reports the sum of the two directions, twice this value;
/// lightly calls it NTXentLoss.
/// Throws Error for a non-positive temperature, or tensors that are not [N, D] of equal shape.
/// Source: Chen, Kornblith, Norouzi, Hinton, "A Simple Framework for Contrastive Learning of Visual
/// Representations", 2020, arXiv:2002.05709, equation 1 and algorithm 1.
///
///     losses::NtXent loss{.temperature = 0.2};
///     loss(z0, z1).backward();
struct NtXent {
    double temperature = 0.5;  ///< τ > 0. Paper: 0.1 for ImageNet, 0.5 for CIFAR-10

    Tensor operator()(const Tensor& z0, const Tensor& z1) const {
        detail::require_temperature("NtXent", temperature);
        detail::require_pair("NtXent", z0, z1);
        require(z0.size(0) >= 2, "NtXent: needs at least 2 images for a negative, got ", z0.size(0));
        const Autocast float32(z0.device().type(), Precision::fp32);
        const auto n = z0.size(0);
        const Tensor z = detail::unit_rows(at::cat({z0, z1}));                                        // [2N, D]
        const Tensor similarity = z.mm(z.t()) / temperature;                                          // [2N, 2N]
        const Tensor others = similarity.masked_fill(
            at::eye(2 * n, similarity.options().dtype(at::kBool)), -std::numeric_limits<double>::infinity());
        const Tensor partners = similarity.diagonal(n);                                               // [N]
        return others.logsumexp(1).mean() - partners.mean();
    }
};

}  // namespace doppel::losses
