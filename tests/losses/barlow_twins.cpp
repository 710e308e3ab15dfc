// SPDX-License-Identifier: Apache-2.0
#include <doppel/losses/barlow_twins.hpp>

#include "support/losses.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::BarlowTwins;

namespace {

double barlow_by_definition(const Tensor& z0, const Tensor& z1, double lambda) {
    const Rows a = numbers(z0), b = numbers(z1);
    const auto n = static_cast<double>(a.size());
    double loss = 0;
    for (std::size_t i = 0; i < a[0].size(); ++i)
        for (std::size_t j = 0; j < a[0].size(); ++j) {
            const double vi = moment(a, i, a, i) / n + 1e-5, vj = moment(b, j, b, j) / n + 1e-5;
            const double c = moment(a, i, b, j) / n / std::sqrt(vi * vj);
            loss += i == j ? (1 - c) * (1 - c) : lambda * c * c;
        }
    return loss;
}

}  // namespace

TEST_CASE("Barlow Twins gives lightly's values and gradients, with fewer images than dimensions and more") {
    const Fixture fixture = read_fixture("redundancy.txt", 2);  // make_redundancy_fixtures.py
    for (const auto type : {at::kDouble, at::kFloat})
        for (const std::string shape : {"5x7", "9x4", "6x6"})
            for (const bool ours : {true, false}) {
                const std::string key = "barlow_" + shape + (ours ? "_0.0051_1" : "_0.3_0.024");
                const std::vector<std::int64_t> size{shape[0] - '0', shape[2] - '0'};
                const Tensor a = leaf(related_view(0, size), type), b = leaf(related_view(1, size), type);
                const double tolerance = type == at::kDouble ? 1e-11 : 1e-5;
                const Tensor largest = at::tensor(fixture.at(key + " gradient"), at::kDouble).abs().max();
                equals_fixture(fixture, key, (ours ? BarlowTwins{} : BarlowTwins{.lambda = 0.3, .scale = 0.024})(a, b), {a, b},
                               tolerance, tolerance * std::max(1.0, number(largest)));
            }
}

TEST_CASE("Barlow Twins equals its definition, number by number, in float64") {
    for (const auto& shape : std::vector<std::vector<std::int64_t>>{{2, 1}, {2, 5}, {8, 1}, {8, 3}, {3, 8}, {6, 6}})
        for (const double weight : {0.0, 0.0051, 1.0, 30.0}) {
            INFO(shape[0] << " by " << shape[1] << ", lambda " << weight);
            const Tensor a = related_view(0, shape), b = related_view(1, shape);
            const double exact = barlow_by_definition(a, b, weight);
            CHECK(number(BarlowTwins{.lambda = weight}(a, b)) == Approx(exact).epsilon(1e-10).margin(1e-11));
            CHECK(number(BarlowTwins{.lambda = weight, .scale = 0.1}(a, b)) == Approx(exact / 10).epsilon(1e-10).margin(1e-11));
        }
}

TEST_CASE("Barlow Twins' gradients equal central differences, in both views") {
    for (const auto& shape : std::vector<std::vector<std::int64_t>>{{8, 3}, {4, 7}})
        has_right_gradients(BarlowTwins{.lambda = 0.05}, related_view(0, shape), related_view(1, shape), 2e-6);
}

TEST_CASE("Barlow Twins does not depend on which view is which, nor on the order of images and dimensions") {
    const Tensor a = related_view(0, {8, 3}), b = related_view(1, {8, 3});
    const Tensor mixed = order_of(8, 5, 3), turned = at::tensor({2, 0, 1});
    const BarlowTwins loss{.lambda = 0.05};
    const auto plain = Approx(number(loss(a, b))).epsilon(1e-11);
    CHECK(number(loss(b, a)) == plain);
    CHECK(number(loss(a + 3, b + 3)) == plain);
    CHECK(number(loss(a.index_select(0, mixed), b.index_select(0, mixed))) == plain);
    CHECK(number(loss(a.index_select(1, turned), b.index_select(1, turned))) == plain);
    CHECK(std::abs(number(loss(a.index_select(0, mixed), b)) - number(loss(a, b))) > 1e-3);  // but a pair belongs together
}

TEST_CASE("Barlow Twins does not depend on place and scale of each dimension, nor on a sign in both views") {
    const Tensor a = related_view(0, {8, 3}) * 100, b = related_view(1, {8, 3}) * 100;  // far above the 1e-5 below the root
    const Tensor stretch = at::tensor({3.0, 0.5, 20.0}, at::kDouble), move = at::tensor({-7.0, 900.0, 0.3}, at::kDouble);
    const BarlowTwins weak{.lambda = 0.05}, barlow{};
    CHECK(number(weak(a * stretch + move, b)) == Approx(number(weak(a, b))).epsilon(1e-5));
    const Tensor sign = at::tensor({1.0, -1.0, 1.0}, at::kDouble);
    CHECK(number(barlow(a * sign, b * sign)) == Approx(number(barlow(a, b))).epsilon(1e-11));
    CHECK(number(barlow(a * sign, b)) > number(barlow(a, b)) + 1);  // in one view it counts
}

TEST_CASE("Barlow Twins of unrelated, equal and collapsed views is a known number") {
    at::manual_seed(5);
    const auto noise = [](std::int64_t n, std::int64_t d) { return at::randn({n, d}, at::kFloat); };
    {  // at the start: D + λ D²/N, and D/N of the diagonal's own noise
        const std::int64_t n = 128, d = 1024;
        const auto width = static_cast<double>(d), rows = static_cast<double>(n);
        const double expected = width * (1 + 1 / rows) + 0.0051 * width * width / rows;
        CHECK(number(BarlowTwins{}(noise(n, d), noise(n, d))) == Approx(expected).epsilon(0.02));
        CHECK(number(BarlowTwins{.lambda = 1}(noise(n, d), noise(n, d))) == Approx(width + width * width / rows).epsilon(0.03));
        CHECK(number(BarlowTwins{.scale = 0.1}(noise(n, d), noise(n, d))) == Approx(expected / 10).epsilon(0.02));
    }
    for (const std::int64_t n : {4, 64}) {  // C of equal views has a unit diagonal, whatever N
        const Tensor z = noise(n, 6) * 30;
        CHECK(number(BarlowTwins{.lambda = 0}(z, z)) == Approx(0).margin(1e-8));
        CHECK(number(BarlowTwins{.lambda = 0}(z, -z)) == Approx(4 * 6).epsilon(1e-5));
    }
    // uncorrelated dimensions, equal views: 0
    const Tensor hadamard = at::tensor({1., 1., 1., -1., 1., -1., 1., -1., -1., -1., -1., 1.}, at::kDouble).view({4, 3});
    CHECK(number(BarlowTwins{.lambda = 1}(hadamard, hadamard)) == Approx(0).margin(1e-9));
    for (const auto type : {at::kDouble, at::kFloat})
        for (const double level : {0.0, 1.0, 0.37, -50.0}) {  // exact collapse: D
            INFO(level << ' ' << type);
            const Tensor a = leaf(at::full({16, 5}, level), type), b = leaf(at::full({16, 5}, level), type);
            const Tensor got = BarlowTwins{}(a, b);
            got.backward();
            CHECK(number(got) == Approx(5).epsilon(1e-5));
            CHECK(finite(a.grad()));
            CHECK(finite(b.grad()));
        }
}

TEST_CASE("halves of a batch are not the batch for Barlow Twins") {
    const Tensor a = related_view(0, {8, 3}), b = related_view(1, {8, 3});
    const BarlowTwins loss{.lambda = 0.05};
    const double halves = (number(loss(a.narrow(0, 0, 4), b.narrow(0, 0, 4))) + number(loss(a.narrow(0, 4, 4), b.narrow(0, 4, 4)))) / 2;
    CHECK(std::abs(halves - number(loss(a, b))) > 1e-2);
}

TEST_CASE("Barlow Twins of half-precision inputs is finite and close, also far from zero") {
    for (const auto& shape : std::vector<std::vector<std::int64_t>>{{32, 8}, {8, 32}})
        for (const auto type : {at::kHalf, at::kBFloat16})
            for (const double size : {1.0, 1000.0}) {  // squares of the second are beyond half's range
                INFO(size);
                const Tensor a = (related_view(0, shape) * size).to(type), b = (related_view(1, shape) * size).to(type);
                is_close_in_half([&](const Tensor& x) { return BarlowTwins{}(x, b); }, a, barlow_by_definition(a, b, 0.0051),
                                 2e-4, 1e-4);
            }
    // float32 embeddings that lie far from zero keep their digits
    const Tensor a = (related_view(0, {32, 8}) + 500).to(at::kFloat), b = (related_view(1, {32, 8}) + 500).to(at::kFloat);
    CHECK(number(BarlowTwins{}(a, b)) == Approx(barlow_by_definition(a, b, 0.0051)).epsilon(1e-4));
}

TEST_CASE("Barlow Twins computes in float32 under bfloat16 autocast") {
    for (const auto& shape : std::vector<std::vector<std::int64_t>>{{16, 4}, {16, 40}}) {
        const Tensor a = related_view(0, shape).to(at::kFloat), b = related_view(1, shape).to(at::kFloat);
        is_not_changed_by_autocast([&] { return BarlowTwins{.lambda = 0.05}(a, b); });
    }
}

TEST_CASE("Barlow Twins trains a method of one shared network, paired once") { trains_one_network(BarlowTwins{}); }

TEST_CASE("Barlow Twins says what is wrong with its input") {
    const Tensor good = related_view(0, {4, 3});
    for (const double bad : {-1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        says([&] { BarlowTwins{.lambda = bad}(good, good); }, {"BarlowTwins", "lambda", "at least 0"});
        says([&] { BarlowTwins{.scale = bad}(good, good); }, {"BarlowTwins", "scale", "positive"});
    }
    says([&] { BarlowTwins{.scale = 0}(good, good); }, {"BarlowTwins", "scale", "positive", "0"});
    refuses_wrong_pairs("BarlowTwins", BarlowTwins{});
    says([&] { BarlowTwins{}(wave({1, 3}), wave({1, 3})); }, {"BarlowTwins", "at least 2 images", "1"});
}
