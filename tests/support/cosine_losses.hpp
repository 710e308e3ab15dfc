// SPDX-License-Identifier: Apache-2.0
// What BYOL's and SimSiam's loss have in common: both are a line in the mean cosine of predictions and targets.
#pragma once

#include "support/losses.hpp"

#include <functional>
#include <string>

namespace doppel::test {

constexpr std::int64_t cosine_rows = 5, cosine_width = 6;  // as in make_method_fixtures.py

/// The inputs of make_method_fixtures.py: predictions and targets of view 0.
inline Tensor predictions(at::ScalarType type = at::kDouble) { return chirp({cosine_rows, cosine_width}, 0.13, 0.9, type); }
inline Tensor targets_of(at::ScalarType type = at::kDouble) { return chirp({cosine_rows, cosine_width}, 0.29, 0.4, type); }

/// `name` of method_losses.txt, where the two directions are summed and multiplied by `scale`.
template <class Loss>
void equals_both_directions(const std::string& name, const Loss& loss, double scale) {
    const Fixture fixture = read_fixture("method_losses.txt", 4);  // make_method_fixtures.py
    for (const auto type : {at::kDouble, at::kFloat})
        for (const std::string temperature : {"0.07", "0.5"}) {  // the fixture has two rows of equal numbers
            const double tolerance = type == at::kDouble ? 1e-11 : 3e-6;
            const Tensor p0 = leaf(predictions(type)), p1 = leaf(chirp(p0.sizes(), 0.23, 0.5, type));
            const Tensor z0 = leaf(targets_of(type)), z1 = leaf(chirp(p0.sizes(), 0.37, 0.1, type));
            equals_fixture(fixture, name + (type == at::kDouble ? " float64 " : " float32 ") + temperature,
                           (loss(p0, z1) + loss(p1, z0)) * scale, {p0, p1}, tolerance, tolerance);
        }
}

/// The loss is `line` of the mean cosine, in float64 and in half precision, for rows of any length and in any order.
template <class Loss>
void is_a_line_in_the_mean_cosine(const Loss& loss, const std::function<double(double)>& line) {
    for (const std::int64_t rows : {1, 2, 7}) {
        const Tensor q = chirp({rows, 5}, 0.13, 0.9) * 3, k = chirp({rows, 5}, 0.29, 0.4) * 0.2;
        INFO(rows << " images");
        CHECK(number(loss(q, k)) == Approx(line(mean_cosine(q, k))).epsilon(1e-10).margin(1e-11));
    }
    for (const auto type : {at::kHalf, at::kBFloat16}) {
        const Tensor a = chirp({32, 16}, 0.13, 0.9, type), b = chirp({32, 16}, 0.29, 0.4, type);
        is_close_in_half([&](const Tensor& x) { return loss(x, b); }, a, line(mean_cosine(a, b)));
    }
    const Tensor q = predictions(), k = targets_of();
    const double value = number(loss(q, k));
    CHECK(number(loss(q * 1000, k * 1e-3)) == Approx(value).epsilon(1e-11));
    const Tensor lengths = at::tensor({1e-4, 3.0, 200.0, 0.5, 1e5}, at::kDouble).unsqueeze(1);
    CHECK(number(loss(q * lengths, k / lengths)) == Approx(value).epsilon(1e-11));
    const Tensor order = at::tensor({3, 1, 4, 0, 2});
    CHECK(number(loss(q.index_select(0, order), k.index_select(0, order))) == Approx(value).epsilon(1e-12));
}

/// The gradient equals central differences, and the target gets none.
template <class Loss>
void trains_the_prediction_alone(const Loss& loss) {
    const Tensor k = leaf(targets_of());
    has_right_gradient([&](const Tensor& q) { return loss(q, k); }, predictions());
    CHECK(untouched(k));
}

/// Float32 under autocast, finite at rows of zeros.
template <class Loss>
void is_safe(const Loss& loss) {
    const Tensor q = chirp({16, 16}, 0.13, 0.9, at::kFloat), k = chirp({16, 16}, 0.29, 0.4, at::kFloat);
    is_not_changed_by_autocast([&] { return loss(q, k); });
    const Tensor zero = at::zeros({cosine_rows, cosine_width}, at::kDouble);
    is_finite_at([&](const Tensor& x) { return loss(x, zero); }, zero);
}

}  // namespace doppel::test
