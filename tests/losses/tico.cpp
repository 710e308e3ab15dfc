// SPDX-License-Identifier: Apache-2.0
#include <doppel/heads/mlp.hpp>
#include <doppel/losses/tico.hpp>
#include <doppel/recipe/method.hpp>
#include <doppel/schedules/constant.hpp>
#include <doppel/targets/ema.hpp>

#include "support/losses.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::Tico;

namespace {

// The inputs of make_mmcr_fixtures.py.
Tensor online(int view, at::IntArrayRef shape, at::ScalarType type = at::kDouble) {
    return chirp(shape, 0.13 + 0.05 * view, 0.9 - 0.1 * view, type);
}
Tensor target(int view, at::IntArrayRef shape, at::ScalarType type = at::kDouble) {
    return chirp(shape, 0.11 + 0.04 * view, 0.3 + 0.2 * view, type);
}

Outputs outputs(std::vector<Tensor> views) {
    Outputs out;
    out.online = std::move(views);
    return out;
}

Tico tico(std::int64_t dim, double beta = 0.9, double rho = 8) {
    Tico loss{.beta = beta, .rho = rho};
    loss.build(dim);
    return loss;
}

double tico_by_definition(const Tensor& z0, const Tensor& z1, Rows& c, double beta, double rho) {
    const Rows a = unit_rows(z0), b = unit_rows(z1);
    const auto n = static_cast<double>(a.size());
    const std::size_t dim = a[0].size();
    for (std::size_t i = 0; i < dim; ++i)
        for (std::size_t j = 0; j < dim; ++j) {
            double product = 0;
            for (const auto& row : a) product += row[i] * row[j] / n;
            c[i][j] = beta * c[i][j] + (1 - beta) * product;
        }
    double loss = 1;
    for (std::size_t r = 0; r < a.size(); ++r)
        for (std::size_t i = 0; i < dim; ++i) {
            loss -= a[r][i] * b[r][i] / n;
            for (std::size_t j = 0; j < dim; ++j) loss += rho / n * a[r][i] * c[i][j] * a[r][j];
        }
    return loss;
}

}  // namespace

TEST_CASE("TiCo gives lightly's values, gradients and covariances over three steps") {
    const Fixture fixture = read_fixture("mmcr.txt", 2);  // make_mmcr_fixtures.py
    for (const auto type : {at::kDouble, at::kFloat}) {
        const double tolerance = type == at::kDouble ? 1e-11 : 4e-6;
        Tico loss = tico(6);
        if (type == at::kDouble) loss.covariance = loss.covariance.to(at::kDouble);
        for (int step = 0; step < 3; ++step) {
            const Tensor a = leaf(online(step, {5, 6}, type)), b = leaf(target(step, {5, 6}, type));
            const std::string key = "tico_" + std::to_string(step);
            equals_fixture(fixture, key, loss(a, b), {a, b}, tolerance, tolerance);
            loss.commit(outputs({a, b}));
            CHECK(largest_difference(loss.covariance.flatten(), at::tensor(fixture.at(key + " state"), at::kDouble)) < tolerance);
        }
    }
}

TEST_CASE("TiCo equals its definition over four steps, number by number, in float64") {
    for (const double beta : {0.0, 0.9, 1.0})
        for (const double rho : {0.0, 8.0, 20.0}) {
            Tico loss = tico(4, beta, rho);
            loss.covariance = loss.covariance.to(at::kDouble);
            Rows c(4, std::vector<double>(4));
            for (int step = 0; step < 4; ++step) {
                const Tensor a = online(step, {3, 4}) * 3, b = target(step, {3, 4}) * 0.2;
                CHECK(number(loss(a, b)) == Approx(tico_by_definition(a, b, c, beta, rho)).epsilon(1e-11));
                loss.commit(outputs({a}));
            }
        }
}

TEST_CASE("TiCo's gradient equals central differences with the covariance held") {
    const Tensor x = online(0, {5, 6}), other = target(0, {5, 6});
    Tico late = tico(6, 1);  // β = 1: C is what was before, so that nothing has to be held
    late.covariance = unit(other).t().mm(unit(other)) / 5;
    has_right_gradient([&](const Tensor& z) { return late(z, other); }, x);
    const Tensor z = leaf(x);
    tico(6)(z, other).backward();
    const Tensor held = 0.1 * unit(x).t().mm(unit(x)) / 5;
    const auto frozen = [&](const Tensor& y) {
        return 1 - (unit(y) * unit(other)).sum(1).mean() + 8 * (unit(y).mm(held) * unit(y)).sum(1).mean();
    };
    CHECK(z.grad().abs().max().item<double>() > 1e-4);
    CHECK(largest_difference(z.grad(), numeric_gradient(frozen, x.clone())) < 1e-7);
}

TEST_CASE("TiCo's covariance is read by the loss and written by commit alone") {
    Tico loss = tico(6);
    const Tensor a = online(0, {5, 6}, at::kFloat), b = target(0, {5, 6}, at::kFloat);
    const double first = number(loss(a, b));
    CHECK(loss.covariance.abs().max().item<double>() == 0);
    CHECK(number(loss(a, b)) == first);
    loss.commit(outputs({a, b}));
    CHECK(loss.covariance.abs().max().item<double>() > 0);
    CHECK(largest_difference(loss.covariance, 0.1 * unit(a).t().mm(unit(a)) / 5) < 1e-7);
    CHECK(number(loss(a, b)) > first);
    CHECK(loss.covariance.diagonal().sum().item<double>() == Approx(0.1).epsilon(1e-5));  // unit rows

    // in a method: a buffer with a fixed name, written once a step, untouched by a step that is thrown away
    const Recipe recipe{.encoder = tiny(),
                        .projector = heads::Mlp{.hidden = {16}, .out = 6},
                        .target = targets::Ema{.schedule = schedules::Constant{0.9}},
                        .loss = Tico{}};
    Method method{recipe, {.seed = 1}};
    const auto c = [&] { return method->named_buffers()["loss.covariance"].clone(); };
    CHECK(c().sizes() == at::IntArrayRef({6, 6}));
    method->forward(batch_of(6)).backward();
    method->discard();
    CHECK(c().abs().max().item<double>() == 0);
    method->forward(batch_of(6)).backward();
    method->commit();
    CHECK(c().diagonal().sum().item<double>() == Approx(0.1).epsilon(1e-5));
    method->forward(batch_of(6, 1));
    method->forward(batch_of(6, 2));
    method->commit();  // two updates: 1 − 0.9³
    CHECK(c().diagonal().sum().item<double>() == Approx(0.271).epsilon(1e-5));
    // what was saved goes on in another method
    Method other{recipe, {.seed = 1}};
    {
        const at::NoGradGuard no_grad;
        for (const auto& item : method->named_parameters()) other->named_parameters()[item.key()].copy_(item.value());
        for (const auto& item : method->named_buffers()) other->named_buffers()[item.key()].copy_(item.value());
    }
    CHECK(method->forward(batch_of(6, 3)).item<float>() == other->forward(batch_of(6, 3)).item<float>());
}

TEST_CASE("TiCo of collapsed and of spread embeddings goes to a known number") {
    // collapsed ρ(1 − β), then toward ρ; spread evenly ρ/D
    const Tensor ones = at::ones({8, 4}), even = at::eye(4).repeat({2, 1});
    Tico collapsed = tico(4), spread = tico(4);
    CHECK(number(collapsed(ones, ones)) == Approx(0.8).epsilon(1e-5));
    for (int step = 0; step < 200; ++step) collapsed.commit(outputs({ones})), spread.commit(outputs({even}));
    CHECK(number(collapsed(ones, ones)) == Approx(8).epsilon(1e-5));
    CHECK(number(collapsed(ones, -ones)) == Approx(10).epsilon(1e-5));
    CHECK(number(spread(even, even)) == Approx(2).epsilon(1e-5));
}

TEST_CASE("TiCo does not depend on the order of the images, nor on lengths") {
    const Tensor order = at::tensor({3, 1, 4, 0, 2}), a = online(0, {5, 6}), b = target(0, {5, 6});
    const auto mixed = [&](const Tensor& x) { return x.index_select(0, order); };
    Tico loss = tico(6);
    CHECK(number(loss(mixed(a), mixed(b))) == Approx(number(loss(a, b))).epsilon(1e-12));
    CHECK(number(loss(a * 1000, b * 0.01)) == Approx(number(loss(a, b))).epsilon(1e-12));
    CHECK(std::abs(number(loss(a, mixed(b))) - number(loss(a, b))) > 1e-3);  // but row i belongs to row i
}

TEST_CASE("TiCo of half-precision, zero and equal embeddings is finite with finite gradients") {
    for (const auto type : {at::kHalf, at::kBFloat16}) {
        const Tensor a = online(0, {12, 16}, type), b = target(0, {12, 16}, type);
        is_close_in_half([&](const Tensor& x) { return tico(16)(x, b); }, a,
                         number(tico(16)(a.to(at::kFloat), b.to(at::kFloat))));
    }
    for (const Tensor& x : {at::zeros({12, 16}), at::ones({12, 16}), at::full({12, 16}, 1e4)})
        is_finite_at([&](const Tensor& z) { return tico(16)(z, x); }, x);
}

TEST_CASE("TiCo computes in float32 under bfloat16 autocast") {
    const Tensor a = online(0, {12, 16}, at::kFloat), b = target(0, {12, 16}, at::kFloat);
    is_not_changed_by_autocast([&] {
        Tico loss = tico(16);
        loss.commit(outputs({a}));
        return loss(a, b);
    });
}

TEST_CASE("TiCo says what is wrong with its input") {
    const Tensor good = wave({4, 3});
    const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
    for (const double bad : {-0.1, 1.1, nan}) {
        says([&] { tico(3, bad); }, {"TiCo", "beta", "between 0 and 1"});
        says([&] { Tico{.beta = bad}(good, good); }, {"TiCo", "beta"});
    }
    for (const double bad : {-0.1, nan, infinity}) says([&] { tico(3, 0.9, bad); }, {"TiCo", "rho", "at least 0 and finite"});
    refuses_wrong_pairs("TiCo", [](const Tensor& a, const Tensor& b) { tico(3)(a, b); });
    says([&] { Tico{}(good, good); }, {"TiCo", "[3, 3]", "build(3)"});
    says([&] { tico(4)(good, good); }, {"TiCo", "[3, 3]", "[4, 4]"});
}
