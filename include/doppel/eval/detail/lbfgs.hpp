// SPDX-License-Identifier: Apache-2.0
// L-BFGS for smooth convex functions.
#pragma once

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

namespace doppel::eval::detail {

struct LbfgsOptions {
    double tolerance = 1e-5;            ///< converged: no component of the gradient is larger
    std::int64_t max_iterations = 500;  ///< then it ends without convergence
    std::size_t memory = 10;            ///< pairs of differences that are kept
    double noise = 1e-7;                ///< rounding of the value, relative
};

struct LbfgsResult {
    double value = 0;             ///< of the function at the end
    std::int64_t iterations = 0;  ///< steps taken
    bool converged = false;
};

/// Minimizes objective(x, gradient) → value from x, which becomes the minimum. `scale` is the diagonal of a first guess of the
/// inverse Hessian; its overall factor does not matter after the first step.
/// The step along a direction is halved or shortened by a parabola until the value decreases enough (Armijo), up to the value's
/// rounding. A function that is convex needs no second condition. Ends without convergence where no step decreases the value.
/// Source: Liu, Nocedal, "On the limited memory BFGS method for large scale optimization", 1989; Nocedal, Wright, "Numerical
/// Optimization", 2006, algorithm 7.4 and equation 3.58.
template <class Objective>
LbfgsResult lbfgs(Objective&& objective, Eigen::VectorXd& x, const Eigen::VectorXd& scale, const LbfgsOptions& options = {}) {
    struct Pair {
        Eigen::VectorXd step, change;  // of x and of the gradient
        double inverse;                // 1 / (step · change)
    };
    std::deque<Pair> pairs;
    Eigen::VectorXd gradient(x.size()), next(x.size()), next_gradient(x.size());
    LbfgsResult result{.value = objective(x, gradient)};
    for (;; ++result.iterations) {
        result.converged = gradient.size() == 0 || gradient.lpNorm<Eigen::Infinity>() <= options.tolerance;
        if (result.converged || result.iterations == options.max_iterations) return result;

        Eigen::VectorXd direction = -gradient;
        std::vector<double> along(pairs.size());
        for (std::size_t i = pairs.size(); i-- > 0;) {
            along[i] = pairs[i].inverse * pairs[i].step.dot(direction);
            direction -= along[i] * pairs[i].change;
        }
        const double factor =
            pairs.empty() ? 1 : 1 / (pairs.back().inverse * pairs.back().change.cwiseAbs2().dot(scale));
        direction = factor * scale.cwiseProduct(direction);
        for (std::size_t i = 0; i < pairs.size(); ++i)
            direction += (along[i] - pairs[i].inverse * pairs[i].change.dot(direction)) * pairs[i].step;

        const double slope = direction.dot(gradient);
        double length = 1, value = result.value;
        bool decreased = false;
        for (int tries = 0; tries < 30 && !decreased && slope < 0; ++tries) {
            next = x + length * direction;
            value = objective(next, next_gradient);
            decreased = value <= result.value + 1e-4 * length * slope + options.noise * std::abs(result.value);
            if (decreased) break;
            const double lowest = -slope * length * length / (2 * (value - result.value - length * slope));
            length = std::isfinite(lowest) ? std::clamp(lowest, 0.1 * length, 0.5 * length) : 0.1 * length;
        }
        if (!decreased) return result;

        Pair pair{next - x, next_gradient - gradient, 0};
        const double curvature = pair.step.dot(pair.change);
        if (curvature > 1e-12 * pair.step.norm() * pair.change.norm()) {
            pair.inverse = 1 / curvature;
            if (pairs.size() == options.memory) pairs.pop_front();
            pairs.push_back(std::move(pair));
        }
        std::swap(x, next);
        std::swap(gradient, next_gradient);
        result.value = value;
    }
}

}  // namespace doppel::eval::detail
