// SPDX-License-Identifier: Apache-2.0
// Linear evaluation by logistic regression on features that were computed once.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/random.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/eval/detail/lbfgs.hpp>
#include <doppel/eval/detail/principal_rows.hpp>
#include <doppel/eval/detail/softmax_loss.hpp>

#include <ATen/ops/addmm.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/zeros.h>

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace doppel::eval {

struct LogisticOptions {
    /// L2 strengths λ to choose from, above 0; a single one is taken without choice.
    std::vector<double> strengths{1, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6};
    double held_out = 0.1;              ///< share of each class's rows that the choice is made on; in (0, 1)
    bool standardize = true;            ///< divide features by their standard deviation
    double tolerance = 1e-5;            ///< converged: no derivative of the loss is larger (10 times in the choice); above 0
    std::int64_t max_iterations = 500;  ///< per strength, ≥ 1
    std::uint64_t seed = 0;             ///< of the held-out rows
};

/// A linear classifier of features.
struct LogisticProbe {
    /// What the choice saw of a strength.
    struct Tried {
        double strength = 0;
        double top1 = 0, loss = 0;  ///< of the held-out rows
        std::int64_t iterations = 0;
    };

    Tensor weight;                ///< [C, F], float32 (float64 for float64 rows)
    Tensor bias;                  ///< [C]
    double strength = 0;          ///< the λ that was chosen
    double loss = 0;              ///< mean cross-entropy of the training rows plus penalty
    std::int64_t rows = 0;        ///< training rows with a label
    std::int64_t held_out = 0;    ///< of these, rows that the strength was chosen on; 0: one strength was given
    std::int64_t iterations = 0;  ///< of the last fit, on all rows
    bool converged = false;       ///< whether the last fit converged
    bool at_end = false;          ///< the strength is the smallest or largest of several: another might be better
    std::vector<Tried> path{};    ///< all strengths that were tried, the largest first

    /// Returns logits [M, C] of features [M, F].
    Tensor scores(const Tensor& features) const {
        const at::NoGradGuard no_grad;
        require(features.defined() && features.dim() == 2 && features.size(1) == weight.size(1) && features.is_floating_point(),
                "logistic probe: features must be [rows, ", weight.size(1), "] of a floating type, as those of the fit, got ",
                features.defined() ? features.sizes() : at::IntArrayRef{});
        require(features.device() == weight.device(), "logistic probe: features must be on ", weight.device(),
                ", as the rows of the fit, got ", features.device());
        const Autocast float32(features.device().type(), Precision::fp32);
        const Tensor result = at::addmm(bias, features.to(weight.scalar_type()), weight.t());
        require(at::isfinite(result).all().item<bool>(), "logistic probe: features must be finite");
        return result;
    }

    /// Returns the protocol in words, for a report.
    std::string protocol() const {
        std::ostringstream text;
        text << "logistic regression on " << rows << " labeled training images, L2 strength " << strength;
        if (held_out > 0) text << " chosen on " << held_out << " of them";
        if (!converged) text << ", not converged in " << iterations << " iterations";
        return text.str();
    }
};

namespace detail {

inline void check_logistic(const LogisticOptions& o) {
    require(!o.strengths.empty(), "logistic probe: needs at least one L2 strength");
    for (const double strength : o.strengths)
        require(strength > 0 && std::isfinite(strength), "logistic probe: L2 strengths must be above 0 and finite, got ",
                strength);
    require(o.held_out > 0 && o.held_out < 1, "logistic probe: the held-out share must be above 0 and below 1, got ",
            o.held_out);
    require(o.tolerance > 0 && std::isfinite(o.tolerance), "logistic probe: tolerance must be above 0, got ", o.tolerance);
    require(o.max_iterations >= 1, "logistic probe: max_iterations must be at least 1, got ", o.max_iterations);
}

/// Returns the rows with a label, after checks of shapes, types and values: [N].
inline Tensor labeled_rows(const Tensor& rows, const Tensor& labels, std::int64_t classes) {
    require(rows.defined() && rows.dim() == 2 && rows.numel() > 0 && rows.is_floating_point(),
            "logistic probe: rows must be [rows, features] of a floating type and not empty, got ",
            rows.defined() ? rows.sizes() : at::IntArrayRef{});
    require(labels.defined() && labels.dim() == 1 && labels.size(0) == rows.size(0) && labels.scalar_type() == at::kLong,
            "logistic probe: labels must be [", rows.size(0), "] int64, one per row, got ",
            labels.defined() ? labels.sizes() : at::IntArrayRef{});
    require(classes >= 2, "logistic probe: needs at least 2 classes, got ", classes);
    const auto least = labels.min().item<std::int64_t>(), most = labels.max().item<std::int64_t>();
    require(least >= data::unlabeled && most < classes, "logistic probe: labels must be from 0 to ", classes - 1, ", or ",
            data::unlabeled, " for rows to leave out, got ", least < data::unlabeled ? least : most);
    const Tensor bad = at::isfinite(rows).all(1).logical_not().nonzero();
    require(bad.size(0) == 0, "logistic probe: ", bad.size(0), " of ", rows.size(0),
            " rows hold NaN or infinity, the first one is row ", bad.size(0) == 0 ? 0 : bad[0][0].item<std::int64_t>(),
            "; look at the encoder's weights and at that image");
    return labels.ge(0).nonzero().squeeze(1);
}

/// Two disjoint parts of rows, ascending, int64 on the CPU.
struct HeldOutRows {
    Tensor fit, held;
};

/// Holds out a share of each class, rounded, at least one row and at most all but one: a class of one row keeps it.
inline HeldOutRows hold_out_rows(const Tensor& labels, std::int64_t classes, double share, std::uint64_t seed) {
    const Tensor known = labels.cpu().contiguous();
    std::vector<std::vector<std::int64_t>> by_class(static_cast<std::size_t>(classes));
    for (std::int64_t i = 0; i < known.size(0); ++i)
        by_class[static_cast<std::size_t>(known.const_data_ptr<std::int64_t>()[i])].push_back(i);
    const Tensor held = at::zeros({known.size(0)}, at::kBool);
    for (std::size_t c = 0; c < by_class.size(); ++c) {
        auto& members = by_class[c];
        if (members.size() < 2) continue;
        random::Stream draw({.seed = seed, .purpose = random::Purpose::split, .index = c + 1, .view = 2});
        draw.shuffle(members);
        const auto most = static_cast<std::int64_t>(members.size()) - 1;
        const auto take = std::clamp<std::int64_t>(std::llround(share * static_cast<double>(members.size())), 1, most);
        for (std::int64_t i = 0; i < take; ++i)
            held.mutable_data_ptr<bool>()[members[static_cast<std::size_t>(i)]] = true;
    }
    return {held.logical_not().nonzero().squeeze(1), held.nonzero().squeeze(1)};
}

/// Minimizes the loss from x on, for a strength.
inline LbfgsResult minimize(SoftmaxLoss& loss, Eigen::VectorXd& x, double strength, const Eigen::VectorXd& variance,
                            std::int64_t classes, double tolerance, std::int64_t max_iterations) {
    const auto width = variance.size() + 1;  // the last one is the bias, without penalty
    loss.penalty = Eigen::VectorXd::Constant(width, strength);
    loss.penalty[width - 1] = 0;
    Eigen::VectorXd spread(width), scale(x.size());
    spread << variance, 1.0;
    loss(x, scale);
    for (std::int64_t c = 0; c < classes; ++c)
        scale.segment(c * width, width) =
            (spread * std::max(loss.curvature()[c], 1e-6) + loss.penalty).cwiseInverse();
    return lbfgs(loss, x, scale,
                 {.tolerance = tolerance, .max_iterations = max_iterations, .noise = loss.in_double() ? 1e-13 : 1e-7});
}

}  // namespace detail

/// Fits a linear classifier to features: the minimum of
///
///     1/N Σ_n −log softmax(W x_n + b)(label_n) + λ/2 ‖W‖²,   x centered and standardized; b is not penalized
///
/// (scikit-learn's LogisticRegression with C = 1 / (λ N)). λ is the given one with the lowest mean cross-entropy on held-out rows,
/// stratified, from the largest on until two in a row are no better. Then the classifier is fitted to all rows. Images of the
/// evaluation have no part in this. The top-1 of held-out rows is too coarse to choose by where they are few.
/// L-BFGS (Eigen) works in the principal directions of the rows, whose curvatures it knows, until no derivative is above the
/// tolerance. LogisticProbe::converged tells whether it came so far.
/// Shapes: rows [N, F] of any floating type and device, labels [N] int64. Computed in float32, float64 for float64, also under
/// autocast. Memory in addition: twice the rows, F² numbers in float64 (N² if fewer), 20 C · F. Unlabeled rows (−1) are left
/// out. A class of one row keeps it for the fit; one without rows gets a probability near 1e-6. Constant features get weight 0.
/// Throws Error for wrong shapes, types, labels or options, for NaN and infinity, if fewer than two classes have rows, and if no
/// class has two rows of which one could be held out (give a single strength then).
/// Source: the protocol as in Oquab et al., DINOv2, 2023, arXiv:2304.07193, and Radford et al., CLIP, 2021, arXiv:2103.00020,
/// section 3.2, which choose from 96 strengths by top-1, without standardization.
///
///     const auto probe = eval::fit_logistic(train.rows, train.labels, 10);
///     const Tensor predicted = probe.scores(val.rows).argmax(1);
inline LogisticProbe fit_logistic(const Tensor& rows, const Tensor& labels, std::int64_t classes,
                                  const LogisticOptions& options = {}) {
    const at::NoGradGuard no_grad;
    detail::check_logistic(options);
    const Tensor places = detail::labeled_rows(rows, labels, classes);
    require(places.size(0) > 0, "logistic probe: none of the ", rows.size(0), " rows has a label");
    const Autocast float32(rows.device().type(), Precision::fp32);
    const bool all = places.size(0) == rows.size(0);
    const Tensor known = (all ? labels : labels.index_select(0, places)).to(rows.device());
    Tensor x = all ? rows.detach() : rows.detach().index_select(0, places.to(rows.device()));
    if (x.scalar_type() != at::kDouble) x = x.to(at::kFloat);

    const Tensor counts = at::bincount(known.cpu(), {}, classes);
    require(counts.gt(0).sum().item<std::int64_t>() >= 2, "logistic probe: all ", x.size(0), " labeled rows have class ",
            counts.argmax().item<std::int64_t>(), "; a classifier needs rows of at least two classes");
    std::vector<double> strengths = options.strengths;
    std::sort(strengths.begin(), strengths.end(), std::greater<>());
    strengths.erase(std::unique(strengths.begin(), strengths.end()), strengths.end());

    const detail::PrincipalRows principal = detail::principal_rows(x, options.standardize);
    const Eigen::VectorXd variance =
        Eigen::Map<const Eigen::VectorXd>(principal.variance.const_data_ptr<double>(), principal.variance.size(0));
    const auto width = variance.size() + 1;
    Eigen::VectorXd w = Eigen::VectorXd::Zero(classes * width);
    for (std::int64_t c = 0; c < classes; ++c)  // the classes' frequencies
        w[c * width + width - 1] =
            std::log(std::max(counts[c].item<double>() / static_cast<double>(x.size(0)), 1e-6));

    LogisticProbe probe;
    probe.rows = x.size(0);
    probe.strength = strengths.front();
    if (strengths.size() > 1) {
        auto [fit, held] = detail::hold_out_rows(known, classes, options.held_out, options.seed);
        require(held.size(0) > 0, "logistic probe: no class has two rows, so that none can be held out to choose one of ",
                strengths.size(), " L2 strengths; give more labels or a single strength");
        probe.held_out = held.size(0);
        fit = fit.to(rows.device());
        held = held.to(rows.device());
        const Tensor held_rows = principal.rows.index_select(0, held), truth = known.index_select(0, held);
        detail::SoftmaxLoss loss(principal.rows.index_select(0, fit), known.index_select(0, fit), classes);
        Eigen::VectorXd tried = w;
        double lowest = std::numeric_limits<double>::infinity();
        int worse = 0;
        for (const double strength : strengths) {
            const auto result = detail::minimize(loss, tried, strength, variance, classes, 10 * options.tolerance,
                                                 options.max_iterations);
            const Tensor logits = held_rows.mm(loss.weights(tried).t());
            const Tensor costs = logits.logsumexp(1) - logits.gather(1, truth.unsqueeze(1)).squeeze(1);
            probe.path.push_back({.strength = strength,
                                  .top1 = logits.argmax(1).eq(truth).to(at::kDouble).mean().item<double>(),
                                  .loss = costs.to(at::kDouble).mean().item<double>(),
                                  .iterations = result.iterations});
            if (probe.path.back().loss < lowest) {
                probe.strength = strength;
                lowest = probe.path.back().loss;
                w = tried;
                worse = 0;
            } else if (++worse == 2) {
                break;
            }
        }
        probe.at_end = probe.strength == strengths.front() || probe.strength == strengths.back();
    }

    detail::SoftmaxLoss loss(principal.rows, known, classes);
    const auto result =
        detail::minimize(loss, w, probe.strength, variance, classes, options.tolerance, options.max_iterations);
    probe.loss = result.value;
    probe.iterations = result.iterations;
    probe.converged = result.converged;
    const Tensor fitted = loss.weights(w).to(at::kDouble);  // [C, R + 1]
    const Tensor weight = fitted.narrow(1, 0, width - 1).mm(principal.map.t());
    probe.weight = weight.to(x.scalar_type());
    probe.bias = (fitted.select(1, width - 1) - weight.mv(principal.mean)).to(x.scalar_type());
    return probe;
}

}  // namespace doppel::eval
