// SPDX-License-Identifier: Apache-2.0
// The nuclear norm with the polar factor as gradient, exact for zero or equal singular values.
#pragma once

#include <doppel/core/precision.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/ops/baddbmm.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_eigvalsh.h>
#include <ATen/ops/where.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace doppel::losses::detail {

/// A matrix [..., N, D] in float64 and its smaller Gram matrix G, with k = min(N, D) rows.
struct Gram {
    bool wide;         ///< G = X Xᵀ, else Xᵀ X
    Tensor x, matrix;  ///< [..., N, D], [..., k, k]; the matrix is zero if x is not finite
    Tensor finite;     ///< [..., 1, 1], whether x is finite

    explicit Gram(const Tensor& input)
        : wide(input.size(-2) <= input.size(-1)), x(input.to(at::kDouble)),
          matrix(wide ? x.matmul(x.mT()) : x.mT().matmul(x)),
          finite(at::isfinite(matrix).all(-1, true).all(-2, true)) {
        matrix = at::where(finite, matrix, 0.0);  // the decomposition throws for non-finite values
    }

    /// Returns the roots of G's eigenvalues [..., k]; zero for eigenvalues within rounding of zero.
    Tensor roots(const Tensor& eigenvalues) const {
        const auto longest = static_cast<double>(std::max(x.size(-2), x.size(-1)));
        const double cut = longest * std::numeric_limits<double>::epsilon();
        const Tensor largest = eigenvalues.narrow(-1, eigenvalues.size(-1) - 1, 1).clamp_min(0);
        return at::where(eigenvalues > largest * cut, eigenvalues, 0.0).sqrt();
    }
    /// Returns Σ σ [...]; NaN if x is not finite.
    Tensor norm(const Tensor& sigma) const {
        return at::where(finite.squeeze(-1).squeeze(-1), sigma.sum(-1), std::numeric_limits<double>::quiet_NaN());
    }
    /// Returns U Vᵀ [..., N, D] over the non-zero singular values, from G's eigenvectors, in dtype `type`.
    Tensor polar(const Tensor& sigma, const Tensor& vectors, at::ScalarType type) const {
        const Tensor inverse = at::where(sigma > 0, sigma.reciprocal(), 0.0);
        // Both factors have orthonormal rows or columns, so float32 is enough for their product.
        const Tensor left = wide ? vectors : x.matmul(vectors) * inverse.unsqueeze(-2);               // [..., N, k]
        const Tensor right = wide ? vectors.mT().matmul(x) * inverse.unsqueeze(-1) : vectors.mT();    // [..., k, D]
        return at::where(finite, left.to(type).matmul(right.to(type)), std::numeric_limits<double>::quiet_NaN());
    }
};

/// Returns U Vᵀ of matrices x [B, N, D] in float64 by matrix products alone: X Q, where Q → G^{-1/2} by
///
///     Q ← a Q + b Q R,   R ← (a + b R)² R,   from Q = I, R = G/‖G‖
///
/// a and b are those of the cubic polynomial that brings all singular values from l to 1 closest to 1; they follow from l
/// alone, and so does the number of steps. Nothing waits for the device, and every call launches the same kernels.
/// Numerics: relative to the root of ‖G‖, a singular value σ above 1e-5 counts with an error of about 1e-9 + 1e-16/σ²; a
/// smaller one counts by σ/1e-5, so that zeros count nothing. Values that are not finite yield NaN in their matrix.
/// Source: Chen, Chow, "A Stable Scaling of Newton-Schulz for Improving the Sign Function Computation", 2014, for a and b.
inline Tensor polar_by_products(const Tensor& x) {
    const bool wide = x.size(-2) <= x.size(-1);
    const Tensor gram = wide ? x.bmm(x.mT()) : x.mT().bmm(x);                                         // [B, k, k]
    const Tensor scale = gram.norm(2, {-2, -1}, true).clamp_min(std::numeric_limits<double>::min());  // [B, 1, 1]
    Tensor r = gram / scale, q = at::eye(r.size(-1), r.options()).expand_as(r);
    for (double l = 1e-5; l < 1 - 1e-9;) {
        const double rho = std::sqrt(3 / (1 + l + l * l)), a = 1.5 * rho, b = -0.5 * rho * rho * rho;
        q = at::baddbmm(q, q, r, a, b);
        const Tensor half = at::baddbmm(r, r, r, a, b);
        r = at::baddbmm(half, half, r, a, b);
        l *= a + b * l * l;
    }
    return (wide ? q.bmm(x) : x.bmm(q)) / scale.sqrt();
}

class NuclearNorm : public torch::autograd::Function<NuclearNorm> {
public:
    static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& input, bool by_products) {
        if (by_products) {
            const Tensor x = input.to(at::kDouble).reshape({-1, input.size(-2), input.size(-1)});     // [B, N, D]
            const Tensor polar = polar_by_products(x);
            context->save_for_backward({polar.view(input.sizes()).to(input.scalar_type())});
            return (polar * x).sum({-2, -1}).view(input.sizes().slice(0, input.sizes().size() - 2)).to(input.scalar_type());
        }
        const Gram gram(input);
        const auto [eigenvalues, vectors] = at::linalg_eigh(gram.matrix);
        const Tensor sigma = gram.roots(eigenvalues);
        context->save_for_backward({gram.polar(sigma, vectors, input.scalar_type())});
        return gram.norm(sigma).to(input.scalar_type());
    }
    static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                   torch::autograd::variable_list gradients) {
        return {gradients[0].unsqueeze(-1).unsqueeze(-1) * context->get_saved_variables()[0], {}};
    }
};

/// Returns the sum of the singular values of each matrix; its gradient is the polar factor:
///
///     ‖X‖_* = Σ √λ_i(G),   ∂‖X‖_*/∂X = X G^{-1/2} = U Vᵀ,   G = Xᵀ X (or X Xᵀ when that is smaller)
///
/// Zero singular values are excluded: the inverse root is a pseudo-inverse, which yields the shortest subgradient,
/// finite also for equal rows, and zero for zeros. Equal singular values need no special case: U and V occur only
/// together.
/// Shapes: float32 or float64 [..., N, D] → [...]. First derivatives only.
/// Numerics: float64, in which squaring loses no precision of float32 inputs; singular values below √(max(N, D)·2⁻⁵²)
/// of the largest count as zero (2e-7 for 128 × 128). Non-finite values yield NaN and do not throw.
/// On the CPU by an eigenvalue decomposition; elsewhere, where one makes the host wait to read its status, by matrix products
/// (`polar_by_products`, with its numerics), which a GPU whose float64 is slow feels.
///
/// Not named nuclear_norm, since argument-dependent lookup would find at::nuclear_norm too.
///
///     Tensor capacity = detail::nuclear(centroids);
inline Tensor nuclear(const Tensor& x, bool by_products) {
    const Autocast float32(x.device().type(), Precision::fp32);
    if (by_products || (c10::GradMode::is_enabled() && x.requires_grad())) return NuclearNorm::apply(x, by_products);
    const Gram gram(x);
    return gram.norm(gram.roots(at::linalg_eigvalsh(gram.matrix))).to(x.scalar_type());
}
inline Tensor nuclear(const Tensor& x) { return nuclear(x, !x.is_cpu()); }

}  // namespace doppel::losses::detail
