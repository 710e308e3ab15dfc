// SPDX-License-Identifier: Apache-2.0
#include <doppel/losses/dcl.hpp>
#include <doppel/losses/nt_xent.hpp>

#include "support/losses.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::Dcl;
using losses::Dclw;
using losses::NtXent;

namespace {

constexpr std::int64_t n = 5, d = 6;  // as in make_variant_fixtures.py

/// With sigma 0 all weights are 1.
double dcl_by_definition(const Tensor& z0, const Tensor& z1, double temperature, double sigma = 0) {
    Rows z = unit_rows(z0);
    for (auto& row : unit_rows(z1)) z.push_back(row);
    const std::size_t images = z.size() / 2;
    double mean = 0, sum = 0;
    for (std::size_t i = 0; i < images && sigma > 0; ++i)
        mean += std::exp(dot(z[i], z[i + images]) / sigma) / static_cast<double>(images);
    for (std::size_t i = 0; i < z.size(); ++i) {
        std::vector<double> others;
        for (std::size_t j = 0; j < z.size(); ++j)
            if (j % images != i % images) others.push_back(dot(z[i], z[j]) / temperature);
        const double positive = dot(z[i], z[(i + images) % z.size()]);
        const double weight = sigma > 0 ? 2 - std::exp(positive / sigma) / mean : 1;
        sum += log_sum_exp(others) - weight * positive / temperature;
    }
    return sum / static_cast<double>(z.size());
}

Tensor both(const Tensor& a, const Tensor& b) { return at::stack({Dcl{}(a, b), Dclw{}(a, b)}); }

}  // namespace

TEST_CASE("DCL gives lightly's values and gradients, DCLW those of the paper's equation") {
    const Fixture fixture = read_fixture("variants.txt", 3);  // make_variant_fixtures.py
    for (const auto type : {at::kDouble, at::kFloat})
        for (const std::string temperature : {"0.07", "0.5"}) {
            const double t = std::stod(temperature), tolerance = type == at::kDouble ? 1e-11 : 1e-5;
            const Tensor a0 = leaf(chirp({n, d}, 0.13, 0.9, type)), a1 = leaf(chirp({n, d}, 0.29, 0.4, type));
            const Tensor b0 = leaf(a0), b1 = leaf(a1);
            equals_fixture(fixture, "dcl " + temperature, Dcl{t}(a0, a1), {a0, a1}, tolerance, tolerance / t);
            equals_fixture(fixture, "dclw " + temperature, Dclw{t, 0.5, true}(b0, b1), {b0, b1}, tolerance, tolerance / t);
        }
}

TEST_CASE("DCL and DCLW equal their definitions, number by number, in float64") {
    for (const double t : {0.01, 0.07, 0.5, 2.0})
        for (const std::int64_t rows : {2, 3, 8}) {
            const Tensor a = chirp({rows, 5}, 0.13, 0.9) * 3, b = chirp({rows, 5}, 0.29, 0.4) * 0.2;
            INFO(rows << " images at temperature " << t);
            CHECK(number(Dcl{t}(a, b)) == Approx(dcl_by_definition(a, b, t)).epsilon(1e-10).margin(1e-11));
            for (const double sigma : {0.05, 0.5, 3.0})
                CHECK(number(Dclw{t, sigma}(a, b)) == Approx(dcl_by_definition(a, b, t, sigma)).epsilon(1e-10).margin(1e-11));
        }
}

TEST_CASE("DCL's gradients equal central differences, DCLW's through its weights, too") {
    const Tensor x = chirp({n, d}, 0.13, 0.9), y = chirp({n, d}, 0.29, 0.4);
    for (const double t : {0.1, 0.5}) {
        has_right_gradient([&](const Tensor& z) { return Dcl{t}(z, y); }, x);
        has_right_gradient([&](const Tensor& z) { return Dcl{t}(y, z); }, x);
        has_right_gradient([&](const Tensor& z) { return Dclw{t, 0.5, true}(z, y); }, x);
        has_right_gradient([&](const Tensor& z) { return Dclw{t, 0.2, true}(y, z); }, x);
    }
}

TEST_CASE("DCL leaves the positive out of the sum, and an embedding itself") {
    const Tensor apart = at::eye(8, at::kDouble);  // equal views, orthogonal images
    for (const double t : {0.05, 0.5}) {
        CHECK(number(Dcl{t}(apart, apart)) == Approx(std::log(14.0) - 1 / t).epsilon(1e-12));
        CHECK(number(NtXent{t}(apart, apart)) == Approx(std::log(14 * std::exp(-1 / t) + 1)).margin(1e-12));
    }
    // NT-Xent's gradient fades where the positive is most of the sum, DCL's does not
    const auto size_of = [](const auto& loss) {
        const Tensor x = leaf(at::eye(8, at::kDouble) + 0.01 * chirp({8, 8}, 0.13, 0.9));
        loss(x, at::eye(8, at::kDouble)).backward();
        return number(x.grad().norm());
    };
    CHECK(size_of(Dcl{0.05}) > 1000 * size_of(NtXent{0.05}));
}

TEST_CASE("DCLW's weights are constants for the gradient unless it is to flow through them") {
    const double t = 0.3, sigma = 0.5;
    const Tensor x = chirp({n, d}, 0.13, 0.9), y = chirp({n, d}, 0.29, 0.4);
    const auto cosines = [&](const Tensor& a) { return (unit(a) * unit(y)).sum(1); };
    const Tensor weight = 2 - static_cast<double>(n) * (cosines(x) / sigma).softmax(0);
    const auto held = [&](const Tensor& a) {  // DCL with its positives taken out and put back with those weights
        return Dcl{t}(a, y) + (cosines(a) - weight * cosines(a)).mean() / t;
    };
    const Tensor a = leaf(x), b = leaf(x);
    const Tensor loss = Dclw{t, sigma}(a, y);
    CHECK(number(loss) == Approx(number(held(x))).epsilon(1e-12));
    CHECK(number(loss) == Approx(number(Dclw{t, sigma, true}(x, y))).epsilon(1e-12));
    loss.backward();
    CHECK(largest_difference(a.grad(), numeric_gradient(held, x.clone())) < 1e-8);
    Dclw{t, sigma, true}(b, y).backward();
    CHECK(largest_difference(a.grad(), b.grad()) > 1e-3);
}

TEST_CASE("DCLW's weights have mean 1: images alike, or a wide sigma, give DCL") {
    const Tensor a = chirp({6, d}, 0.13, 0.9), b = chirp({6, d}, 0.29, 0.4);
    CHECK(number(Dclw{0.1, 0.5}(a, a)) == Approx(number(Dcl{0.1}(a, a))).epsilon(1e-12));
    CHECK(number(Dclw{0.1, 1e9}(a, b)) == Approx(number(Dcl{0.1}(a, b))).epsilon(1e-7));
    CHECK(std::abs(number(Dclw{0.1, 0.5}(a, b)) - number(Dcl{0.1}(a, b))) > 0.1);
}

TEST_CASE("DCL of uninformative embeddings is log(2N - 2)") {
    for (const std::int64_t images : {8, 256}) {
        const Tensor ones = at::ones({images, 4}, at::kFloat);
        const double expected = std::log(2 * static_cast<double>(images) - 2);
        CHECK(number(Dcl{0.07}(ones, ones)) == Approx(expected).margin(1e-4));
        CHECK(number(Dclw{0.07}(ones, ones)) == Approx(expected).margin(1e-4));
    }
}

TEST_CASE("DCL does not depend on lengths, the order of images and which view is first") {
    const Tensor a = chirp({n, d}, 0.13, 0.9), b = chirp({n, d}, 0.29, 0.4), start = both(a, b);
    CHECK(largest_difference(start, both(a * 1000, b * 1e-3)) < 1e-11);
    const Tensor lengths = at::tensor({1e-4, 3.0, 200.0, 0.5, 1e5}, at::kDouble).unsqueeze(1);
    CHECK(largest_difference(start, both(a * lengths, b / lengths)) < 1e-11);
    const Tensor order = at::tensor({3, 1, 4, 0, 2});
    CHECK(largest_difference(start, both(a.index_select(0, order), b.index_select(0, order))) < 1e-11);
    CHECK(largest_difference(start, both(b, a)) < 1e-11);
    // but row i belongs to row i
    const Tensor apart = at::eye(n, at::kDouble);
    CHECK((both(apart, apart.roll(1, 0)) - both(apart, apart)).min().item<double>() > 1);
}

TEST_CASE("DCL of half-precision inputs stays finite and close at temperature 0.01") {
    for (const auto type : {at::kHalf, at::kBFloat16})
        for (const double t : {0.01, 0.05, 0.5}) {
            INFO("temperature " << t);
            const Tensor a = chirp({32, 16}, 0.13, 0.9, type), b = chirp({32, 16}, 0.29, 0.4, type);
            is_close_in_half([&](const Tensor& x) { return Dcl{t}(x, b); }, a, dcl_by_definition(a, b, t), 1e-4, 1e-4);
            is_close_in_half([&](const Tensor& x) { return Dclw{t}(x, b); }, a, dcl_by_definition(a, b, t, 0.5), 1e-4, 1e-4);
        }
}

TEST_CASE("DCL computes in float32 under bfloat16 autocast") {
    const Tensor x = chirp({16, 16}, 0.13, 0.9, at::kFloat), y = chirp({16, 16}, 0.29, 0.4, at::kFloat);
    is_not_changed_by_autocast([&] { return Dcl{0.05}(x, y); });
    is_not_changed_by_autocast([&] { return Dclw{0.05}(x, y); });
}

TEST_CASE("DCL survives rows of zeros") {
    const Tensor zero = at::zeros({n, d}, at::kDouble), other = chirp({n, d}, 0.29, 0.4);
    is_finite_at([&](const Tensor& x) { return Dcl{}(x, other); }, zero);
    is_finite_at([&](const Tensor& x) { return Dclw{}(x, other); }, zero);
}

TEST_CASE("DCL says what is wrong with its input") {
    const Tensor good = wave({4, 3});
    refuses_what_is_not_positive([&](double bad) { Dcl{bad}(good, good); }, {"Dcl:", "temperature", "positive and finite"});
    refuses_what_is_not_positive([&](double bad) { Dclw{bad}(good, good); }, {"Dclw:", "temperature", "positive and finite"});
    refuses_what_is_not_positive([&](double bad) { Dclw{0.1, bad}(good, good); }, {"Dclw:", "sigma", "positive and finite"});
    refuses_wrong_pairs("Dcl", Dcl{});
    refuses_wrong_pairs("Dclw", Dclw{});
    says([&] { Dcl{}(wave({1, 3}), wave({1, 3})); }, {"Dcl:", "at least 2 images", "1"});
    says([&] { Dclw{}(wave({1, 3}), wave({1, 3})); }, {"Dclw:", "at least 2 images", "1"});
}
