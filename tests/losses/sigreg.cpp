// SPDX-License-Identifier: Apache-2.0
#include <doppel/losses/lejepa.hpp>
#include <doppel/losses/sigreg.hpp>

#include "support/losses.hpp"
#include "support/peak_memory.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::Sigreg;

namespace {

Outputs outputs(std::vector<Tensor> views) {
    Outputs out;
    out.online = std::move(views);
    return out;
}

}  // namespace

TEST_CASE("SIGReg of collapsed and of normal embeddings is its integral of Gaussians, of others far more") {
    // N(√2π − 2√π + √(2π/3)) when all is zero, √2π − √(2π/3) for normal embeddings
    const double pi = std::acos(-1.0);
    const Sigreg statistic{.t_max = 6};
    const auto of = [&](const Tensor& z) { return number(statistic(outputs({z}))); };
    at::manual_seed(1);
    CHECK(of(at::zeros({64, 8}, at::kDouble)) ==
          Approx(64 * (std::sqrt(2 * pi) - 2 * std::sqrt(pi) + std::sqrt(2 * pi / 3))).epsilon(1e-4));
    // of 512 draws; the statistic of one direction varies by about a third
    const double normal = of(at::randn({512, 8}, at::kDouble));
    CHECK(normal == Approx(std::sqrt(2 * pi) - std::sqrt(2 * pi / 3)).epsilon(0.35));
    CHECK(number(Sigreg{}(outputs({at::zeros({64, 8}, at::kDouble)}))) == Approx(64 * 0.402).epsilon(0.01));
    const Tensor rows = at::randn({512, 8}, at::kDouble), line = at::randn({512, 1}, at::kDouble).expand({512, 8});
    for (const Tensor& wrong : {rows * 0.5, rows * 2, rows + 0.5, line}) CHECK(of(wrong) > 3 * normal);
}

TEST_CASE("SIGReg is LeJEPA's statistic: the same bits as LeJEPA with lambda 1, from the same draws") {
    const auto out = outputs({chirp({16, 5}, 0.13, 0.9, at::kFloat) * 2, chirp({16, 5}, 0.18, 0.8, at::kFloat)});
    at::manual_seed(8);
    const Tensor alone = Sigreg{.directions = 9}(out), next = Sigreg{.directions = 9}(out);
    at::manual_seed(8);
    CHECK(bit_equal(alone, losses::Lejepa{.lambda = 1, .directions = 9}(out)));
    CHECK(!bit_equal(alone, next));  // new directions in each call
}

TEST_CASE("SIGReg of half-precision, zero and equal embeddings is finite, and computed in float32") {
    const auto loss = [](const Tensor& z) {
        at::manual_seed(3);
        return Sigreg{.directions = 8}(outputs({z}));
    };
    for (const auto type : {at::kHalf, at::kBFloat16}) {
        const Tensor z = chirp({12, 16}, 0.13, 0.9, type);
        is_close_in_half(loss, z, number(loss(z.to(at::kFloat))));
    }
    for (const Tensor& x : {at::zeros({12, 16}), at::ones({12, 16}), at::full({12, 16}, 1e4)}) is_finite_at(loss, x);
    is_not_changed_by_autocast([&] { return loss(chirp({12, 16}, 0.13, 0.9, at::kFloat)); });
}

TEST_CASE("SIGReg's angles are made in portions: the bits of all at once, the right gradient, and little memory") {
    using losses::detail::characteristic;
    const Tensor t = at::linspace(0, 3, 5, at::kDouble), weight = wave({2, 7, 5}), other = wave({2, 7, 5}, 0.3, 0.1);
    const auto gradient = [&](auto&& means) {
        const Tensor x = leaf(chirp({2, 6, 7}, 0.13, 0.9));
        const auto [cosine, sine] = means(x);
        (cosine * weight + sine * other).sum().backward();
        return at::cat({cosine.detach().flatten(), sine.detach().flatten(), x.grad().flatten()});
    };
    const Tensor exact = gradient([&](const Tensor& x) {
        const Tensor angles = x.unsqueeze(3) * t;
        return std::pair{angles.cos().mean(1), angles.sin().mean(1)};
    });
    for (const std::int64_t values : {1, 2 * 6 * 5 * 3, 0}) {
        const Tensor ours = gradient([&](const Tensor& x) { return characteristic(x, t, values); });
        CHECK(largest_difference(ours, exact) < 1e-13);
        CHECK(bit_equal(ours, gradient([&](const Tensor& x) { return characteristic(x, t, values); })));
    }
    const Tensor z = leaf(at::randn({256, 16}));
    const auto peak = peak_memory([&] { Sigreg{.directions = 2048}(outputs({z})).backward(); });
    INFO(peak);
    CHECK(peak < 30 << 20);  // projections and their gradient 2 MiB each, three portions of 4 MiB; all angles would be 34 MiB
}

TEST_CASE("SIGReg says what is wrong with its options and input") {
    const Tensor good = wave({4, 3});
    for (const double bad : {-0.1, 0.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
        says([&] { Sigreg{.t_max = bad}(outputs({good})); }, {"Sigreg", "t_max", "positive and finite"});
    says([&] { Sigreg{.directions = 0}(outputs({good})); }, {"Sigreg", "directions", "at least 1"});
    says([&] { Sigreg{.knots = 1}(outputs({good})); }, {"Sigreg", "knots", "at least 2"});
    says([&] { Sigreg{}(outputs({})); }, {"Sigreg", "at least one view"});
    says([&] { Sigreg{}(outputs({good, wave({5, 3})})); }, {"Sigreg", "[4, 3]", "[5, 3]"});
}
