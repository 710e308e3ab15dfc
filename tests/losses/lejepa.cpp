// SPDX-License-Identifier: Apache-2.0
#include <doppel/heads/mlp.hpp>
#include <doppel/losses/lejepa.hpp>
#include <doppel/recipe/method.hpp>

#include "support/losses.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::Lejepa;

namespace {

// The inputs of make_mmcr_fixtures.py.
Tensor view(int v, at::IntArrayRef shape, at::ScalarType type = at::kDouble) {
    return chirp(shape, 0.13 + 0.05 * v, 0.9 - 0.1 * v, type);
}
Tensor other_view(at::IntArrayRef shape, at::ScalarType type = at::kDouble) { return chirp(shape, 0.11, 0.3, type); }

Outputs outputs(std::vector<Tensor> views) {
    Outputs out;
    out.online = std::move(views);
    return out;
}

double lejepa_by_definition(const std::vector<Tensor>& views, const Tensor& directions, const Lejepa& o) {
    const Rows a = numbers(directions);
    const std::size_t count = o.globals > 0 ? static_cast<std::size_t>(o.globals) : views.size();
    std::vector<Rows> z;
    for (const Tensor& one : views) z.push_back(numbers(one));
    const auto n = static_cast<double>(z[0].size()), v = static_cast<double>(z.size());
    const double step = o.t_max / static_cast<double>(o.knots - 1);
    double statistic = 0, apart = 0;
    for (const Rows& rows : z)
        for (std::size_t k = 0; k < a[0].size(); ++k) {
            double length = 0;
            for (const auto& row : a) length += row[k] * row[k];
            for (std::int64_t i = 1 - o.knots; i < o.knots; ++i) {  // both halves of the axis
                const double t = static_cast<double>(i) * step, normal = std::exp(-t * t / 2);
                double real = -normal, imaginary = 0;
                for (const auto& row : rows) {
                    double x = 0;
                    for (std::size_t d = 0; d < row.size(); ++d) x += row[d] * a[d][k] / std::sqrt(length);
                    real += std::cos(t * x) / n;
                    imaginary += std::sin(t * x) / n;
                }
                const double area = std::abs(i) == o.knots - 1 ? step / 2 : step;
                statistic += area * normal * (real * real + imaginary * imaginary);
            }
        }
    for (std::size_t b = 0; b < z[0].size(); ++b)
        for (std::size_t d = 0; d < z[0][b].size(); ++d) {
            double center = 0;
            for (std::size_t g = 0; g < count; ++g) center += z[g][b][d] / static_cast<double>(count);
            for (const Rows& rows : z) apart += (rows[b][d] - center) * (rows[b][d] - center);
        }
    statistic *= n / (v * static_cast<double>(a[0].size()));
    return o.lambda * statistic + (1 - o.lambda) * apart / (v * n * static_cast<double>(z[0][0].size()));
}

}  // namespace

TEST_CASE("LeJEPA gives lightly's values and gradients for given directions, with global views and one view alone, too") {
    const Fixture fixture = read_fixture("mmcr.txt", 2);  // make_mmcr_fixtures.py
    struct Case {
        std::string key;
        int views;
        Lejepa loss;
    };
    for (const auto type : {at::kDouble, at::kFloat})
        for (const auto& one : {Case{"sigreg", 2, {}},
                                {"sigreg_one", 1, {.lambda = 1}},
                                {"sigreg_globals", 4, {.lambda = 0.3, .knots = 9, .t_max = 5, .globals = 2}}}) {
            std::vector<Tensor> views;
            for (int v = 0; v < one.views; ++v) views.push_back(1.5 * view(v, {5, 4}, type));
            const Tensor z = leaf(at::stack(views)), directions = chirp({4, 7}, 0.19, 0.6, type);
            const double tolerance = type == at::kDouble ? 1e-11 : 4e-6;
            equals_fixture(fixture, one.key, one.loss.with_directions(outputs(z.unbind(0)), directions), {z}, tolerance, tolerance);
        }
}

TEST_CASE("LeJEPA equals its definition, number by number, in float64") {
    const std::vector<Tensor> views{view(0, {4, 3}) * 2, view(1, {4, 3}), view(2, {4, 3}) - 1};
    const Tensor directions = chirp({3, 5}, 0.19, 0.6);
    for (const double lambda : {0.0, 0.05, 1.0})
        for (const std::int64_t knots : {2, 17})
            for (const std::int64_t globals : {0, 1, 3}) {
                const Lejepa loss{.lambda = lambda, .knots = knots, .t_max = 2.5, .globals = globals};
                CHECK(number(loss.with_directions(outputs(views), directions)) ==
                      Approx(lejepa_by_definition(views, directions, loss)).epsilon(1e-11));
            }
}

TEST_CASE("LeJEPA's gradients equal central differences") {
    const Tensor other = other_view({5, 6}), directions = chirp({6, 4}, 0.19, 0.6);
    for (const double lambda : {0.05, 0.9})
        has_right_gradient(
            [&](const Tensor& z) {
                return Lejepa{.lambda = lambda, .globals = 1}.with_directions(outputs({z, other, 2 * z}), directions);
            },
            view(0, {5, 6}));
}

TEST_CASE("LeJEPA draws unit directions from torch's generator, anew for each call") {
    const Lejepa loss{.lambda = 1, .directions = 9};
    const auto out = outputs({view(0, {16, 5}, at::kFloat) * 2});
    at::manual_seed(8);
    const double first = number(loss(out)), second = number(loss(out));
    CHECK(first != second);
    at::manual_seed(8);
    const Tensor directions = at::randn({5, 9});
    CHECK(number(loss.with_directions(out, directions)) == first);
    CHECK(number(loss.with_directions(out, directions * 7)) == Approx(first).epsilon(1e-5));
    at::manual_seed(8);
    CHECK(number(loss(out)) == first);
    // in a recipe
    const heads::Mlp head{.hidden = {16}, .out = 6};
    Method method{Recipe{.encoder = tiny(), .projector = head, .loss = Lejepa{.directions = 32}}};
    const Tensor value = method->forward(batch_of(6, 0));
    value.backward();
    CHECK(finite(value));
    CHECK(method->named_parameters()["encoder.conv.weight"].grad().abs().max().item<double>() > 0);
}

TEST_CASE("LeJEPA's invariance term alone is the mean square distance from the center of the global views") {
    at::manual_seed(1);
    const Tensor z = at::randn({32, 8}, at::kDouble);
    CHECK(number(Lejepa{.lambda = 0}(outputs({z, z, z}))) == Approx(0).margin(1e-15));
    CHECK(number(Lejepa{.lambda = 0}(outputs({z, z + 2}))) == Approx(1).epsilon(1e-12));
    CHECK(number(Lejepa{.lambda = 0, .globals = 1}(outputs({z, z + 2}))) == Approx(2).epsilon(1e-12));
}

TEST_CASE("LeJEPA does not depend on the order of images and views, nor on rotations with the directions") {
    const Tensor order = at::tensor({3, 1, 4, 0, 2}), a = view(0, {5, 6}), b = other_view({5, 6});
    const Tensor directions = chirp({6, 4}, 0.19, 0.6);
    const auto mixed = [&](const Tensor& x) { return x.index_select(0, order); };
    const auto value = [&](const Tensor& x, const Tensor& y, const Tensor& along) {
        return number(Lejepa{.lambda = 0.4}.with_directions(outputs({x, y}), along));
    };
    const double plain = value(a, b, directions);
    CHECK(value(mixed(a), mixed(b), directions) == Approx(plain).epsilon(1e-12));
    CHECK(value(b, a, directions) == Approx(plain).epsilon(1e-12));
    const auto [turn, rest] = at::linalg_qr(chirp({6, 6}, 0.29, 0.4));
    CHECK(value(a.mm(turn), b.mm(turn), turn.t().mm(directions)) == Approx(plain).epsilon(1e-10));
    // but row i belongs to row i, and lengths count
    CHECK(std::abs(value(a, mixed(b), directions) - plain) > 1e-3);
    CHECK(std::abs(value(a * 2, b * 2, directions) - plain) > 1e-3);
}

TEST_CASE("LeJEPA of half-precision, zero and equal embeddings is finite with finite gradients") {
    const Tensor directions = chirp({16, 8}, 0.19, 0.6, at::kFloat);
    const auto loss = [&](const Tensor& a, const Tensor& b) {
        return Lejepa{.lambda = 0.5}.with_directions(outputs({a, b}), directions);
    };
    for (const auto type : {at::kHalf, at::kBFloat16}) {
        const Tensor a = view(0, {12, 16}, type), b = other_view({12, 16}, type);
        is_close_in_half([&](const Tensor& x) { return loss(x, b); }, a, number(loss(a.to(at::kFloat), b.to(at::kFloat))));
    }
    for (const Tensor& x : {at::zeros({12, 16}), at::ones({12, 16}), at::full({12, 16}, 1e4)})
        is_finite_at([&](const Tensor& z) { return loss(z, x); }, x);
}

TEST_CASE("LeJEPA computes in float32 under bfloat16 autocast") {
    const Tensor a = view(0, {12, 16}, at::kFloat), b = other_view({12, 16}, at::kFloat);
    const Tensor directions = chirp({16, 8}, 0.19, 0.6, at::kFloat);
    is_not_changed_by_autocast([&] { return Lejepa{.lambda = 0.5}.with_directions(outputs({a, b}), directions); });
}

TEST_CASE("LeJEPA says what is wrong with its options and input") {
    const Tensor good = wave({4, 3});
    const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
    for (const double bad : {-0.1, 1.1, nan})
        says([&] { Lejepa{.lambda = bad}(outputs({good})); }, {"Lejepa", "lambda", "between 0 and 1"});
    for (const double bad : {-0.1, nan, infinity})
        says([&] { Lejepa{.t_max = bad}(outputs({good})); }, {"Lejepa", "t_max", "positive and finite"});
    says([&] { Lejepa{}(outputs({good, wave({2, 3, 4})})); }, {"Lejepa", "[4, 3]", "[2, 3, 4]"});
    says([&] { Lejepa{}(outputs({wave({2, 3, 4}), good})); }, {"Lejepa", "[N, D]", "[2, 3, 4]"});
    says([&] { Lejepa{}(outputs({good, wave({5, 3})})); }, {"Lejepa", "[4, 3]", "[5, 3]"});
    says([&] { Lejepa{}(outputs({good.to(at::kLong), good})); }, {"Lejepa", "floating-point", "long"});
    says([&] { Lejepa{}(outputs({})); }, {"Lejepa", "at least one view"});
    says([&] { Lejepa{.directions = 0}(outputs({good})); }, {"Lejepa", "directions", "at least 1"});
    says([&] { Lejepa{.knots = 1}(outputs({good})); }, {"Lejepa", "knots", "at least 2"});
    says([&] { Lejepa{.globals = 2}(outputs({good})); }, {"Lejepa", "globals", "1 views", "got 2"});
    says([&] { Lejepa{.globals = -1}(outputs({good})); }, {"Lejepa", "globals", "got -1"});
}
