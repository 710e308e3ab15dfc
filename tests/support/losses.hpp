// SPDX-License-Identifier: Apache-2.0
// What every loss is held against: fixtures, central differences, half precision, autocast, rows of zeros, wrong inputs.
#pragma once

#include <doppel/core/precision.hpp>
#include <doppel/heads/mlp.hpp>
#include <doppel/recipe/method.hpp>

#include "support/torch_support.hpp"

#include <algorithm>
#include <functional>
#include <limits>

namespace doppel::test {

// ---- definitions, one number at a time ---------------------------------------------------------------------

inline double dot(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

inline double cosine(const std::vector<double>& a, const std::vector<double>& b) {
    return dot(a, b) / std::sqrt(dot(a, a)) / std::sqrt(dot(b, b));
}

inline double log_sum_exp(const std::vector<double>& values) {
    const double most = *std::max_element(values.begin(), values.end());
    double sum = 0;
    for (const double value : values) sum += std::exp(value - most);
    return most + std::log(sum);
}

/// −log of the softmax at `own`.
inline double cross_entropy(const std::vector<double>& logits, std::size_t own) { return log_sum_exp(logits) - logits[own]; }

/// The rows, each divided by its length.
inline Rows unit_rows(const Tensor& x) {
    Rows rows = numbers(x);
    for (auto& row : rows) {
        const double length = std::sqrt(dot(row, row));
        for (double& value : row) value /= length;
    }
    return rows;
}

/// The mean cosine of row i of one tensor and row i of the other.
inline double mean_cosine(const Tensor& p, const Tensor& z) {
    const Rows a = numbers(p), b = numbers(z);
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += cosine(a[i], b[i]);
    return sum / static_cast<double>(a.size());
}

/// Σ (x_i − mean)(y_j − mean) over the rows.
inline double moment(const Rows& x, std::size_t i, const Rows& y, std::size_t j) {
    double mx = 0, my = 0, sum = 0;
    for (const auto& row : x) mx += row[i] / static_cast<double>(x.size());
    for (const auto& row : y) my += row[j] / static_cast<double>(y.size());
    for (std::size_t b = 0; b < x.size(); ++b) sum += (x[b][i] - mx) * (y[b][j] - my);
    return sum;
}

// ---- inputs ------------------------------------------------------------------------------------------------

/// The inputs of make_redundancy_fixtures.py: two related views whose dimensions vary by less and by more than 1.
inline Tensor related_view(int view, at::IntArrayRef shape) {
    const Tensor width = 0.4 + 0.45 * at::arange(shape[1], at::kDouble), first = chirp(shape, 0.13, 0.9);
    return view == 0 ? first * width + 0.2 : (0.6 * first + 0.5 * chirp(shape, 0.29, 0.4)) * width - 0.1;
}

/// A permutation of 0 to n − 1 by formula.
inline Tensor order_of(std::int64_t n, std::int64_t step, std::int64_t first) {
    return (at::arange(n) * step + first).remainder(n);
}

// ---- checks ------------------------------------------------------------------------------------------------

inline double number(const Tensor& loss) { return loss.item<double>(); }
inline bool finite(const Tensor& x) { return at::isfinite(x).all().item<bool>(); }
inline bool untouched(const Tensor& x) { return !x.grad().defined() || x.grad().abs().max().item<double>() == 0; }

/// `loss` and the gradients of `inputs` are the fixture's "<key> value" and "<key> gradient" (its first numbers).
inline void equals_fixture(const Fixture& fixture, const std::string& key, const Tensor& loss, const std::vector<Tensor>& inputs,
                           double tolerance, double gradient_tolerance) {
    INFO(key << ' ' << loss.scalar_type());
    loss.backward();
    CHECK(loss.scalar_type() == inputs[0].scalar_type());
    CHECK(loss.dim() == 0);
    CHECK(number(loss) == Approx(fixture.at(key + " value").at(0)).epsilon(tolerance).margin(tolerance));
    std::vector<Tensor> gradients;
    for (const Tensor& x : inputs) gradients.push_back(x.grad().flatten());
    const Tensor all = at::cat(gradients);
    auto expected = fixture.at(key + " gradient");
    REQUIRE(static_cast<std::int64_t>(expected.size()) >= all.numel());
    expected.resize(static_cast<std::size_t>(all.numel()));
    CHECK(largest_difference(all, at::tensor(expected, at::kDouble)) < gradient_tolerance);
}

using Loss = std::function<Tensor(const Tensor&)>;

/// The gradient at x equals central differences and is not zero.
inline void has_right_gradient(const Loss& loss, const Tensor& at_values, double tolerance = 1e-7) {
    const Tensor x = leaf(at_values);
    loss(x).backward();
    CHECK(x.grad().abs().max().item<double>() > 1e-4);
    const at::NoGradGuard no_grad;
    CHECK(largest_difference(x.grad(), numeric_gradient(loss, at_values.detach().clone())) < tolerance);
}

/// At the half-precision values x: a float32 loss close to `exact`, a finite gradient that is not zero.
inline void is_close_in_half(const Loss& loss, const Tensor& x, double exact, double epsilon = 1e-4, double margin = 1e-5) {
    const Tensor a = leaf(x), value = loss(a);
    INFO(x.scalar_type());
    CHECK(value.scalar_type() == at::kFloat);
    CHECK(number(value) == Approx(exact).epsilon(epsilon).margin(margin));
    value.backward();
    CHECK(finite(a.grad()));
    CHECK(a.grad().abs().max().item<double>() > 0);
}

/// Under bfloat16 autocast the same bits as without.
inline void is_not_changed_by_autocast(const std::function<Tensor()>& loss) {
    const Tensor outside = loss();
    const Autocast scope(at::kCPU, Precision::bf16);
    CHECK(bit_equal(loss(), outside));
    const Tensor a = at::ones({2, 2});
    CHECK(a.mm(a).scalar_type() == at::kBFloat16);  // the scope itself is as it was
}

/// Finite with a finite gradient.
inline void is_finite_at(const Loss& loss, const Tensor& x) {
    const Tensor a = leaf(x), value = loss(a);
    value.backward();
    CHECK(finite(value));
    CHECK(finite(a.grad()));
}

/// A loss of two views: its gradients in both equal central differences.
template <class PairLoss>
void has_right_gradients(PairLoss&& loss, const Tensor& a, const Tensor& b, double tolerance) {
    const auto of_both = [&](const Tensor& z) { return loss(z[0], z[1]); };
    const Tensor z = leaf(at::stack({a, b}));
    of_both(z).backward();
    CHECK(z.grad()[0].abs().max().item<double>() > 1e-3);
    CHECK(z.grad()[1].abs().max().item<double>() > 1e-3);
    const at::NoGradGuard no_grad;
    CHECK(largest_difference(z.grad(), numeric_gradient(of_both, z.detach().clone())) < tolerance);
}

/// Options that must be positive and finite are refused as such.
template <class Action>
void refuses_what_is_not_positive(Action&& action, std::initializer_list<std::string_view> parts) {
    for (const double bad :
         {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        INFO(bad);
        says([&] { action(bad); }, parts);
        says([&] { action(bad); }, {"positive"});
    }
}

/// Wrong pairs of embeddings: another shape, none, integers, two devices.
template <class PairLoss>
void refuses_wrong_pairs(std::string_view who, PairLoss&& loss) {
    const Tensor good = wave({4, 3});
    says([&] { loss(wave({2, 3, 4}), good); }, {who, "first input", "[N, D]", "[2, 3, 4]"});
    says([&] { loss(Tensor(), good); }, {who, "first input", "[N, D]"});
    says([&] { loss(good, wave({5, 3})); }, {who, "second input", "[4, 3]", "[5, 3]"});
    says([&] { loss(good, Tensor()); }, {who, "second input", "[4, 3]"});
    says([&] { loss(good.to(at::kLong), good); }, {who, "floating-point", "long"});
    says([&] { loss(good, good.to(at::kInt)); }, {who, "floating-point", "int"});
    says([&] { loss(good, at::empty({4, 3}, at::device(at::kMeta).dtype(at::kDouble))); }, {who, "one device", "cpu", "meta"});
}

/// In a method without target a pair loss is that of the two views, once, and its step reaches every parameter.
template <class PairLoss>
void trains_one_network(const PairLoss& loss) {
    Method method{Recipe{.encoder = tiny(), .projector = heads::Mlp{.hidden = {16}, .out = 4}, .loss = loss}, {.seed = 2}};
    method->begin({.samples = 1000, .steps = 2});
    const Tensor first = method->forward(batch_of(12));
    const auto& z = method->last()[0].online;
    CHECK(bit_equal(first.detach(), loss(z[0], z[1])));
    first.backward();
    {
        const at::NoGradGuard no_grad;
        for (Tensor& p : method->parameters()) p.sub_(0.01 * p.grad());
    }
    method->commit();
    CHECK(std::isfinite(number(method->forward(batch_of(12)))));
    CHECK(method->named_buffers().contains("encoder.bn.running_mean"));
    for (const auto& item : method->named_parameters()) CHECK(item.value().grad().defined());
}

}  // namespace doppel::test
