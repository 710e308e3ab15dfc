// SPDX-License-Identifier: Apache-2.0
#include <doppel/losses/simsiam.hpp>

#include "support/losses.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::Simsiam;

namespace {

constexpr std::int64_t n = 5, d = 6;  // as in make_method_fixtures.py

}  // namespace

TEST_CASE("SimSiam's loss gives lightly's values and gradients over both directions") {
    const Fixture fixture = read_fixture("method_losses.txt", 4);  // make_method_fixtures.py
    for (const auto type : {at::kDouble, at::kFloat})
        for (const std::string temperature : {"0.07", "0.5"}) {  // the fixture has two rows of equal numbers
            const double tolerance = type == at::kDouble ? 1e-11 : 3e-6;
            const Tensor p0 = leaf(chirp({n, d}, 0.13, 0.9, type)), p1 = leaf(chirp({n, d}, 0.23, 0.5, type));
            const Tensor z0 = leaf(chirp({n, d}, 0.29, 0.4, type)), z1 = leaf(chirp({n, d}, 0.37, 0.1, type));
            equals_fixture(fixture, (type == at::kDouble ? "simsiam float64 " : "simsiam float32 ") + temperature,
                           (Simsiam{}(p0, z1) + Simsiam{}(p1, z0)) / 2, {p0, p1}, tolerance, tolerance);
        }
}

TEST_CASE("SimSiam's loss equals its definition, number by number, in float64") {
    for (const std::int64_t rows : {1, 2, 7}) {
        const Tensor q = chirp({rows, 5}, 0.13, 0.9) * 3, k = chirp({rows, 5}, 0.29, 0.4) * 0.2;
        INFO(rows << " images");
        CHECK(number(Simsiam{}(q, k)) == Approx(-mean_cosine(q, k)).epsilon(1e-10).margin(1e-11));
    }
}

TEST_CASE("the gradient of SimSiam's loss equals central differences, and none reaches the target") {
    const Tensor k = leaf(chirp({n, d}, 0.29, 0.4));
    has_right_gradient([&](const Tensor& q) { return Simsiam{}(q, k); }, chirp({n, d}, 0.13, 0.9));
    CHECK(untouched(k));
}

TEST_CASE("SimSiam's loss does not depend on the length of rows, nor on the order of images") {
    const Tensor q = chirp({n, d}, 0.13, 0.9), k = chirp({n, d}, 0.29, 0.4);
    const double value = number(Simsiam{}(q, k));
    CHECK(number(Simsiam{}(q * 1000, k * 1e-3)) == Approx(value).epsilon(1e-11));
    const Tensor lengths = at::tensor({1e-4, 3.0, 200.0, 0.5, 1e5}, at::kDouble).unsqueeze(1);
    CHECK(number(Simsiam{}(q * lengths, k / lengths)) == Approx(value).epsilon(1e-11));
    const Tensor order = at::tensor({3, 1, 4, 0, 2});
    CHECK(number(Simsiam{}(q.index_select(0, order), k.index_select(0, order))) == Approx(value).epsilon(1e-12));
}

TEST_CASE("SimSiam's loss goes from -1 to 1, and its two directions are averaged") {
    const Tensor x = chirp({32, 16}, 0.13, 0.9);
    CHECK(number(Simsiam{}(x, x)) == Approx(-1).epsilon(1e-12));
    CHECK(number(Simsiam{}(x, -x)) == Approx(1).epsilon(1e-12));
    CHECK(Simsiam::Pairing{}.reduce == pairings::Reduce::mean);
    CHECK(Simsiam::Pairing{}(2, 2).size() == 2);
}

TEST_CASE("SimSiam's loss of half-precision inputs stays finite and close") {
    for (const auto type : {at::kHalf, at::kBFloat16}) {
        const Tensor a = chirp({32, 16}, 0.13, 0.9, type), b = chirp({32, 16}, 0.29, 0.4, type);
        is_close_in_half([&](const Tensor& x) { return Simsiam{}(x, b); }, a, -mean_cosine(a, b));
    }
}

TEST_CASE("SimSiam's loss is computed in float32 under bfloat16 autocast") {
    const Tensor q = chirp({16, 16}, 0.13, 0.9, at::kFloat), k = chirp({16, 16}, 0.29, 0.4, at::kFloat);
    is_not_changed_by_autocast([&] { return Simsiam{}(q, k); });
}

TEST_CASE("zero rows give a finite loss of SimSiam and finite gradients") {
    const Tensor zero = at::zeros({n, d}, at::kDouble);
    is_finite_at([&](const Tensor& q) { return Simsiam{}(q, zero); }, zero);
}

TEST_CASE("SimSiam's loss says what is wrong with its input") { refuses_wrong_pairs("Simsiam", Simsiam{}); }
