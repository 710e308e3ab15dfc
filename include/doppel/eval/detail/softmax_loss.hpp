// SPDX-License-Identifier: Apache-2.0
// The loss of multinomial logistic regression, for an optimizer on the CPU.
#pragma once

#include <doppel/core/tensor.hpp>

#include <ATen/ops/empty.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>

#include <Eigen/Core>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace doppel::eval::detail {

/// The mean cross-entropy of softmax(rows · Wᵀ) plus a penalty, as a function of W [C, R] row by row:
///
///     1/N Σ_n −log p_n(label_n) + ½ Σ_cr penalty_r W_cr²
///
/// Products are computed where the rows are, in their type, by tiles; sums of the loss in float64.
class SoftmaxLoss {
public:
    SoftmaxLoss(Tensor rows, Tensor labels, std::int64_t classes)
        : rows_(std::move(rows)), labels_(labels.unsqueeze(1)), classes_(classes) {}

    Eigen::VectorXd penalty{};  ///< [R]

    double operator()(const Eigen::VectorXd& x, Eigen::VectorXd& gradient) {
        const std::int64_t count = rows_.size(0), width = rows_.size(1);
        const Tensor weight = weights(x);
        const auto options = rows_.options();
        Tensor loss = at::zeros({}, options.dtype(at::kDouble)), slopes = at::zeros({classes_, width}, options);
        Tensor sum = at::zeros({classes_}, options.dtype(at::kDouble)), squares = sum.clone();
        const std::int64_t values = std::int64_t{1} << (rows_.is_cuda() ? 25 : 20);
        const std::int64_t tile = std::max<std::int64_t>(values / (width + classes_), 64);
        for (std::int64_t from = 0; from < count; from += tile) {
            const std::int64_t size = std::min(tile, count - from);
            const Tensor part = rows_.narrow(0, from, size), label = labels_.narrow(0, from, size);
            Tensor p = part.mm(weight.t());           // [n, C], logits
            const Tensor z = p.logsumexp(1, true);    // [n, 1]
            loss += (z - p.gather(1, label)).sum(at::kDouble);
            p.sub_(z).exp_();
            sum += p.sum({0}, false, at::kDouble);
            squares += p.square().sum({0}, false, at::kDouble);
            p.scatter_add_(1, label, at::ones_like(label, p.options()).neg_());
            slopes.addmm_(p.t(), part);
        }
        const auto n = static_cast<double>(count);
        const Tensor curvature = ((sum - squares) / n).cpu(), wide = slopes.to(at::kDouble).cpu() / n;
        curvature_ = Eigen::Map<const Eigen::VectorXd>(curvature.const_data_ptr<double>(), classes_);
        gradient = Eigen::Map<const Eigen::VectorXd>(wide.const_data_ptr<double>(), classes_ * width);
        double value = loss.item<double>() / n;
        for (std::int64_t c = 0; c < classes_; ++c) {
            const auto own = x.segment(c * width, width);
            gradient.segment(c * width, width) += penalty.cwiseProduct(own);
            value += 0.5 * penalty.dot(own.cwiseAbs2());
        }
        return value;
    }

    /// Returns the mean of p (1 − p) for each class at the last x: the curvature along its weights for rows of variance 1.
    const Eigen::VectorXd& curvature() const { return curvature_; }

    /// Returns whether products are computed in float64.
    bool in_double() const { return rows_.scalar_type() == at::kDouble; }

    /// Returns x as [C, R], where and as the rows are.
    Tensor weights(const Eigen::VectorXd& x) const {
        Tensor all = at::empty({classes_, rows_.size(1)}, at::kDouble);
        std::copy(x.begin(), x.end(), all.mutable_data_ptr<double>());
        return all.to(rows_.options());
    }

private:
    Tensor rows_, labels_;
    std::int64_t classes_;
    Eigen::VectorXd curvature_{};
};

}  // namespace doppel::eval::detail
