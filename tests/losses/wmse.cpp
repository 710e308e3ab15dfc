// SPDX-License-Identifier: Apache-2.0
#include <doppel/losses/wmse.hpp>

#include "support/losses.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::Wmse;

namespace {

/// Rows of z named by `order`, whitened part by part: Cholesky and forward substitution by loops.
Rows whiten_by_definition(const Tensor& z, const Tensor& order, std::size_t part, double eps) {
    const Rows all = numbers(z.index_select(0, order));
    const std::size_t dim = all[0].size();
    Rows result;
    for (std::size_t first = 0; first < all.size(); first += part) {
        const auto from = all.begin() + static_cast<std::ptrdiff_t>(first);
        const Rows x(from, from + static_cast<std::ptrdiff_t>(part));
        Rows l(dim, std::vector<double>(dim));
        for (std::size_t i = 0; i < dim; ++i)
            for (std::size_t j = 0; j <= i; ++j) {
                double rest = (1 - eps) * moment(x, i, x, j) / static_cast<double>(part - 1) + (i == j ? eps : 0);
                for (std::size_t k = 0; k < j; ++k) rest -= l[i][k] * l[j][k];
                l[i][j] = i == j ? std::sqrt(rest) : rest / l[j][j];
            }
        std::vector<double> mean(dim);
        for (const auto& row : x)
            for (std::size_t i = 0; i < dim; ++i) mean[i] += row[i] / static_cast<double>(part);
        for (const auto& row : x) {
            std::vector<double> w(dim);
            for (std::size_t i = 0; i < dim; ++i) {
                w[i] = row[i] - mean[i];
                for (std::size_t k = 0; k < i; ++k) w[i] -= l[i][k] * w[k];
                w[i] /= l[i][i];
            }
            result.push_back(w);
        }
    }
    return result;
}

double wmse_by_definition(const Tensor& z0, const Tensor& z1, const Tensor& order, std::size_t part, double eps) {
    const Rows a = whiten_by_definition(z0, order, part, eps), b = whiten_by_definition(z1, order, part, eps);
    double loss = 0;
    for (std::size_t r = 0; r < a.size(); ++r) {
        double sum = 0;
        for (std::size_t d = 0; d < a[r].size(); ++d) {
            const double apart = a[r][d] / std::sqrt(dot(a[r], a[r])) - b[r][d] / std::sqrt(dot(b[r], b[r]));
            sum += apart * apart;
        }
        loss += sum / static_cast<double>(a.size());
    }
    return loss;
}

/// The loss with a partition of half a batch that is fixed.
Tensor halves(const Tensor& a, const Tensor& b, double eps = 0) {
    return Wmse{.w_size = a.size(0) / 2, .eps = eps}.in_order(a, b, order_of(a.size(0), 3, 1));
}

}  // namespace

TEST_CASE("W-MSE gives the values and gradients of the authors' formula") {
    const Fixture fixture = read_fixture("redundancy.txt", 2);  // make_redundancy_fixtures.py
    const Tensor first = order_of(12, 5, 2), second = order_of(12, 7, 4);
    struct Case {
        std::string key;
        double eps;
        std::vector<Tensor> orders;
    };
    for (const auto type : {at::kDouble, at::kFloat})
        for (const auto& one : {Case{"wmse_0.0_1", 0, {first}}, {"wmse_0.0_2", 0, {first, second}}, {"wmse_0.1_1", 0.1, {first}}}) {
            const Tensor a = leaf(related_view(0, {12, 3}), type), b = leaf(related_view(1, {12, 3}), type);
            Tensor sum = at::zeros({}, a.options());
            for (const Tensor& order : one.orders) sum = sum + Wmse{.w_size = 6, .eps = one.eps}.in_order(a, b, order);
            const double tolerance = type == at::kDouble ? 1e-11 : 1e-5;
            const Tensor largest = at::tensor(fixture.at(one.key + " gradient"), at::kDouble).abs().max();
            equals_fixture(fixture, one.key, sum / static_cast<double>(one.orders.size()), {a, b}, tolerance,
                           tolerance * std::max(1.0, number(largest)));
        }
}

TEST_CASE("W-MSE equals its definition, number by number, in float64") {
    const Tensor a = related_view(0, {12, 3}), b = related_view(1, {12, 3}), order = order_of(12, 5, 2);
    for (const double eps : {0.0, 0.01, 0.5, 1.0})
        for (const std::int64_t part : {4, 6, 12})
            CHECK(number(Wmse{.w_size = part, .eps = eps}.in_order(a, b, order)) ==
                  Approx(wmse_by_definition(a, b, order, static_cast<std::size_t>(part), eps)).epsilon(1e-10).margin(1e-11));
}

TEST_CASE("W-MSE's gradients equal central differences, in both views") {
    for (const auto& shape : std::vector<std::vector<std::int64_t>>{{8, 3}, {4, 7}})
        has_right_gradients([](const Tensor& a, const Tensor& b) { return halves(a, b, 0.05); }, related_view(0, shape),
                            related_view(1, shape), 2e-6);
}

TEST_CASE("W-MSE does not depend on which view is which, nor on place, scale and triangular mixtures of dimensions") {
    const Tensor a = related_view(0, {8, 3}), b = related_view(1, {8, 3});
    const double plain = number(halves(a, b));
    CHECK(number(halves(b, a)) == Approx(plain).epsilon(1e-11));
    CHECK(number(halves(a + 3, b + 3)) == Approx(plain).epsilon(1e-11));
    const Tensor stretch = at::tensor({3.0, 0.5, 20.0}, at::kDouble), move = at::tensor({-7.0, 900.0, 0.3}, at::kDouble);
    CHECK(number(halves(a * 100 * stretch + move, b * 100)) == Approx(plain).epsilon(1e-5));
    // A triangular mixture of dimensions has the same Cholesky-whitened rows.
    const Tensor mixture = at::tensor({2.0, -1.0, 0.7, 0.0, 0.5, 3.0, 0.0, 0.0, 1.5}, at::kDouble).view({3, 3});
    CHECK(number(halves(a.mm(mixture), b)) == Approx(plain).epsilon(1e-9));
}

TEST_CASE("for W-MSE it counts which parts there are, not what comes first") {
    const Tensor a = related_view(0, {8, 3}), b = related_view(1, {8, 3}), order = order_of(8, 3, 1);
    const Wmse loss{.w_size = 4};
    const double plain = number(loss.in_order(a, b, order));
    CHECK(number(loss.in_order(a, b, order.roll(4, 0))) == Approx(plain).epsilon(1e-11));
    CHECK(number(loss.in_order(a, b, at::cat({order.narrow(0, 0, 4).flip(0), order.narrow(0, 4, 4)}))) ==
          Approx(plain).epsilon(1e-11));
    CHECK(std::abs(number(loss.in_order(a, b, order.roll(2, 0))) - plain) > 1e-3);
}

TEST_CASE("W-MSE of unrelated, equal and opposite views is a known number") {
    at::manual_seed(5);
    const Tensor hadamard = at::tensor({1., 1., 1., -1., 1., -1., 1., -1., -1., -1., -1., 1.}, at::kDouble).view({4, 3});
    CHECK(number(Wmse{.w_size = 4}(hadamard, hadamard)) == Approx(0).margin(1e-12));
    CHECK(number(Wmse{.w_size = 4}(hadamard, -hadamard)) == Approx(4).epsilon(1e-12));
    const Tensor a = at::randn({4096, 64}, at::kFloat), b = at::randn({4096, 64}, at::kFloat);
    CHECK(number(Wmse{.w_size = 256}(a, b)) == Approx(2).epsilon(0.02));
}

TEST_CASE("W-MSE has no whitening for a covariance without full rank: not a number, or with eps a finite loss") {
    const Tensor flat = at::zeros({16, 5}, at::kFloat), same = chirp({16, 1}, 0.13, 0.9, at::kFloat).expand({16, 5});
    CHECK(std::isnan(number(Wmse{.w_size = 16}(flat, flat))));
    for (const Tensor& z : {flat, same}) {
        const Tensor a = leaf(z, at::kFloat), b = leaf(z, at::kFloat);
        const Tensor got = Wmse{.w_size = 16, .eps = 0.01}(a, b);
        got.backward();
        CHECK(finite(got));
        CHECK(finite(a.grad()));
        CHECK(finite(b.grad()));
    }
}

TEST_CASE("whitened rows have mean 0 and covariance I, part by part") {
    const Tensor z = related_view(0, {12, 3}), order = order_of(12, 5, 2);
    for (const auto type : {at::kDouble, at::kFloat, at::kBFloat16})
        for (const std::int64_t part : {6, 12, 0}) {
            const Wmse loss{.w_size = part};
            const Tensor white = loss.whitened(z.to(type), order);
            CHECK(white.scalar_type() == at::kDouble);
            const std::int64_t size = part == 0 ? 12 : part;
            for (const Tensor& rows : white.split(size)) {
                CHECK(largest_difference(rows.mean(0), at::zeros({3})) < 1e-10);
                CHECK(largest_difference(rows.t().mm(rows) / (static_cast<double>(size) - 1), at::eye(3)) < 1e-9);
            }
        }
}

TEST_CASE("W-MSE draws its partitions from torch's generator, a new one each iteration") {
    const Tensor a = related_view(0, {12, 3}), b = related_view(1, {12, 3});
    Wmse loss{.w_size = 6};
    const auto drawn = [&](std::uint64_t seed) {
        at::manual_seed(seed);
        return number(loss(a, b));
    };
    at::manual_seed(8);
    const Tensor first = at::randperm(12, at::kLong), second = at::randperm(12, at::kLong);
    CHECK(drawn(8) == Approx(number(loss.in_order(a, b, first))).epsilon(1e-12));
    CHECK(drawn(8) == drawn(8));
    CHECK(drawn(8) != drawn(9));
    loss.iterations = 2;
    CHECK(drawn(8) == Approx((number(loss.in_order(a, b, first)) + number(loss.in_order(a, b, second))) / 2).epsilon(1e-12));
    loss.w_size = 0;  // the whole batch: nothing is left to chance
    CHECK(drawn(8) == Approx(drawn(9)).epsilon(1e-12));
}

TEST_CASE("W-MSE of half-precision inputs is finite and close") {
    const Tensor order = order_of(32, 5, 2);
    for (const auto type : {at::kHalf, at::kBFloat16})
        for (const double size : {1.0, 1000.0}) {  // squares of the second are beyond half's range
            INFO(size);
            const Tensor a = (related_view(0, {32, 8}) * size).to(type), b = (related_view(1, {32, 8}) * size).to(type);
            is_close_in_half([&](const Tensor& x) { return Wmse{.w_size = 16}.in_order(x, b, order); }, a,
                             wmse_by_definition(a, b, order, 16, 0), 2e-4, 1e-4);
        }
}

TEST_CASE("W-MSE computes in float32 under bfloat16 autocast") {
    for (const auto& shape : std::vector<std::vector<std::int64_t>>{{16, 4}, {16, 40}}) {
        const Tensor a = related_view(0, shape).to(at::kFloat), b = related_view(1, shape).to(at::kFloat);
        is_not_changed_by_autocast([&] { return halves(a, b, 0.1); });
    }
}

TEST_CASE("W-MSE trains a method of one shared network, paired once") { trains_one_network(Wmse{.w_size = 0}); }

TEST_CASE("W-MSE says what is wrong with its input") {
    const Tensor good = related_view(0, {4, 3});
    for (const double bad : {-1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
        says([&] { Wmse{.w_size = 4, .eps = bad}(good, good); }, {"Wmse", "eps", "0 to 1"});
    says([&] { Wmse{.w_size = 4, .iterations = 0}(good, good); }, {"Wmse", "iterations", "at least 1", "0"});
    says([&] { Wmse{.w_size = 1}(good, good); }, {"Wmse", "w_size", "at least 2", "1"});
    says([&] { Wmse{.w_size = -4}(good, good); }, {"Wmse", "w_size", "at least 2", "-4"});
    says([&] { Wmse{.w_size = 3, .eps = 0.1}(good, good); }, {"Wmse", "w_size", "divide", "3", "4 images"});
    says([&] { Wmse{}(good, good); }, {"Wmse", "w_size", "divide", "128", "4 images"});
    says([&] { Wmse{.w_size = 4}(related_view(0, {4, 4}), related_view(1, {4, 4})); }, {"Wmse", "w_size", "above the width", "4"});
    refuses_wrong_pairs("Wmse", Wmse{.w_size = 0});
    says([&] { Wmse{.w_size = 0}(wave({1, 3}), wave({1, 3})); }, {"Wmse", "at least 2 images", "1"});
}
