// SPDX-License-Identifier: Apache-2.0
#include <doppel/losses/byol.hpp>

#include "support/losses.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::Byol;

namespace {

constexpr std::int64_t n = 5, d = 6;  // as in make_method_fixtures.py

}  // namespace

TEST_CASE("BYOL's loss gives solo-learn's values and gradients over both directions") {
    const Fixture fixture = read_fixture("method_losses.txt", 4);  // make_method_fixtures.py
    for (const auto type : {at::kDouble, at::kFloat})
        for (const std::string temperature : {"0.07", "0.5"}) {  // the fixture has two rows of equal numbers
            const double tolerance = type == at::kDouble ? 1e-11 : 3e-6;
            const Tensor p0 = leaf(chirp({n, d}, 0.13, 0.9, type)), p1 = leaf(chirp({n, d}, 0.23, 0.5, type));
            const Tensor z0 = leaf(chirp({n, d}, 0.29, 0.4, type)), z1 = leaf(chirp({n, d}, 0.37, 0.1, type));
            equals_fixture(fixture, (type == at::kDouble ? "byol float64 " : "byol float32 ") + temperature,
                           (Byol{}(p0, z1) + Byol{}(p1, z0)), {p0, p1}, tolerance, tolerance);
        }
}

TEST_CASE("BYOL's loss equals its definition, number by number, in float64") {
    for (const std::int64_t rows : {1, 2, 7}) {
        const Tensor q = chirp({rows, 5}, 0.13, 0.9) * 3, k = chirp({rows, 5}, 0.29, 0.4) * 0.2;
        INFO(rows << " images");
        CHECK(number(Byol{}(q, k)) == Approx(2 - 2 * mean_cosine(q, k)).epsilon(1e-10).margin(1e-11));
    }
}

TEST_CASE("the gradient of BYOL's loss equals central differences, and none reaches the target") {
    const Tensor k = leaf(chirp({n, d}, 0.29, 0.4));
    has_right_gradient([&](const Tensor& q) { return Byol{}(q, k); }, chirp({n, d}, 0.13, 0.9));
    CHECK(untouched(k));
}

TEST_CASE("BYOL's loss does not depend on the length of rows, nor on the order of images") {
    const Tensor q = chirp({n, d}, 0.13, 0.9), k = chirp({n, d}, 0.29, 0.4);
    const double value = number(Byol{}(q, k));
    CHECK(number(Byol{}(q * 1000, k * 1e-3)) == Approx(value).epsilon(1e-11));
    const Tensor lengths = at::tensor({1e-4, 3.0, 200.0, 0.5, 1e5}, at::kDouble).unsqueeze(1);
    CHECK(number(Byol{}(q * lengths, k / lengths)) == Approx(value).epsilon(1e-11));
    const Tensor order = at::tensor({3, 1, 4, 0, 2});
    CHECK(number(Byol{}(q.index_select(0, order), k.index_select(0, order))) == Approx(value).epsilon(1e-12));
}

TEST_CASE("BYOL's two directions go from 0 to 8, and are added") {
    const Tensor x = chirp({32, 16}, 0.13, 0.9), q = chirp({n, d}, 0.13, 0.9), k = chirp({n, d}, 0.29, 0.4);
    CHECK(2 * number(Byol{}(x, x)) == Approx(0).margin(1e-12));
    CHECK(2 * number(Byol{}(x, -x)) == Approx(8).epsilon(1e-12));
    CHECK(number(Byol{}(at::eye(4, at::kDouble), at::eye(4, at::kDouble).roll(1, 0))) == Approx(2).epsilon(1e-12));
    CHECK(number(Byol{}(q, k)) == Approx(number((unit(q) - unit(k)).pow(2).sum(1).mean())).epsilon(1e-12));
    CHECK(Byol::Pairing{}.reduce == pairings::Reduce::sum);
}

TEST_CASE("BYOL's loss of half-precision inputs stays finite and close") {
    for (const auto type : {at::kHalf, at::kBFloat16}) {
        const Tensor a = chirp({32, 16}, 0.13, 0.9, type), b = chirp({32, 16}, 0.29, 0.4, type);
        is_close_in_half([&](const Tensor& x) { return Byol{}(x, b); }, a, 2 - 2 * mean_cosine(a, b));
    }
}

TEST_CASE("BYOL's loss is computed in float32 under bfloat16 autocast") {
    const Tensor q = chirp({16, 16}, 0.13, 0.9, at::kFloat), k = chirp({16, 16}, 0.29, 0.4, at::kFloat);
    is_not_changed_by_autocast([&] { return Byol{}(q, k); });
}

TEST_CASE("zero rows give a finite loss of BYOL and finite gradients") {
    const Tensor zero = at::zeros({n, d}, at::kDouble);
    is_finite_at([&](const Tensor& q) { return Byol{}(q, zero); }, zero);
}

TEST_CASE("BYOL's loss says what is wrong with its input") { refuses_wrong_pairs("Byol", Byol{}); }
