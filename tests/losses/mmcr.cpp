// SPDX-License-Identifier: Apache-2.0
// MMCR and the nuclear norm under it. Common mistakes: no unit rows, ‖C‖_* divided by N, a decomposition in half precision,
// views mixed with images.
#include <doppel/losses/mmcr.hpp>

#include "support/method_support.hpp"

#include <functional>
#include <limits>
#include <map>

using namespace doppel;
using namespace doppel::test;
using losses::Mmcr;
using losses::detail::nuclear;

namespace {

// The inputs of make_mmcr_fixtures.py.
std::vector<Tensor> online(std::size_t views, at::IntArrayRef shape, at::ScalarType type = at::kDouble) {
    std::vector<Tensor> all;
    for (std::size_t v = 0; v < views; ++v)
        all.push_back(chirp(shape, 0.13 + 0.05 * static_cast<double>(v), 0.9 - 0.1 * static_cast<double>(v), type));
    return all;
}
std::vector<Tensor> target(std::size_t views, at::IntArrayRef shape, at::ScalarType type = at::kDouble) {
    std::vector<Tensor> all;
    for (std::size_t v = 0; v < views; ++v)
        all.push_back(chirp(shape, 0.11 + 0.04 * static_cast<double>(v), 0.3 + 0.2 * static_cast<double>(v), type));
    return all;
}

Outputs outputs(std::vector<Tensor> online, std::vector<Tensor> target = {}) {
    Outputs out;
    out.online = std::move(online);
    out.target = std::move(target);
    return out;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t d = 0; d < a.size(); ++d) sum += a[d] * b[d];
    return sum;
}

// ---- the definition, one number at a time -------------------------------------------------------------

/// The sum of the singular values by Jacobi's rotations: rows are turned in pairs until all are orthogonal.
double nuclear_by_definition(Rows rows) {
    for (int sweep = 0; sweep < 60; ++sweep)
        for (std::size_t p = 0; p < rows.size(); ++p)
            for (std::size_t q = p + 1; q < rows.size(); ++q) {
                const double a = dot(rows[p], rows[p]), b = dot(rows[q], rows[q]), g = dot(rows[p], rows[q]);
                if (std::abs(g) <= 1e-16 * std::sqrt(a * b)) continue;
                const double zeta = (b - a) / (2 * g);
                const double t = (zeta < 0 ? -1 : 1) / (std::abs(zeta) + std::sqrt(1 + zeta * zeta));
                const double c = 1 / std::sqrt(1 + t * t), s = c * t;
                for (std::size_t d = 0; d < rows[p].size(); ++d) {
                    const double x = rows[p][d], y = rows[q][d];
                    rows[p][d] = c * x - s * y;
                    rows[q][d] = s * x + c * y;
                }
            }
    double sum = 0;
    for (const auto& row : rows) sum += std::sqrt(dot(row, row));
    return sum;
}

double by_definition(const Outputs& out, double lambda) {
    const auto unit = [](const std::vector<Tensor>& views) {
        std::vector<Rows> all;
        for (const Tensor& view : views) {
            all.push_back(numbers(view));
            for (auto& row : all.back()) {
                const double length = std::sqrt(dot(row, row));
                for (double& value : row) value /= length;
            }
        }
        return all;
    };
    const auto mean = [](const std::vector<Rows>& views) {
        Rows sum = views[0];
        for (std::size_t b = 0; b < sum.size(); ++b)
            for (std::size_t d = 0; d < sum[b].size(); ++d) {
                for (std::size_t v = 1; v < views.size(); ++v) sum[b][d] += views[v][b][d];
                sum[b][d] /= static_cast<double>(views.size());
            }
        return sum;
    };
    const auto seen = unit(out.online);
    Rows centroids = mean(seen);
    if (!out.target.empty()) {
        const Rows other = mean(unit(out.target));
        for (std::size_t b = 0; b < centroids.size(); ++b)
            for (std::size_t d = 0; d < centroids[b].size(); ++d)
                centroids[b][d] = 0.5 * (centroids[b][d] + other[b][d]);
    }
    double local = 0;
    for (std::size_t b = 0; b < centroids.size(); ++b) {
        Rows image;
        for (const Rows& view : seen) image.push_back(view[b]);
        local += nuclear_by_definition(image);
    }
    return -nuclear_by_definition(centroids) + lambda * local / static_cast<double>(centroids.size());
}

std::vector<Tensor> leaves(const std::vector<Tensor>& values) {
    std::vector<Tensor> all;
    for (const Tensor& value : values) all.push_back(value.detach().clone().set_requires_grad(true));
    return all;
}

Tensor gradients(const std::vector<Tensor>& views) {
    std::vector<Tensor> all;
    for (const Tensor& view : views) all.push_back(view.grad().flatten());
    return at::cat(all);
}

double value(const Outputs& out, double lambda = 0) { return Mmcr{lambda}(out).item<double>(); }

/// U Vᵀ over the singular values that are not zero, by torch's decomposition.
Tensor polar_by_svd(const Tensor& x) {
    const auto [u, s, vh] = at::linalg_svd(x, /*full_matrices=*/false);
    const Tensor kept = (s > s.max() * 1e-10).to(x.scalar_type());
    return (u * kept).mm(vh);
}

}  // namespace

TEST_CASE("MMCR gives the values and gradients of the authors' formula") {
    const Fixture fixture = read_fixture("mmcr.txt", 2);  // make_mmcr_fixtures.py
    struct Case {
        std::string name;
        std::size_t views;
        std::vector<std::int64_t> shape;
        bool follows;
        double lambda;
    };
    const std::vector<Case> cases{{"mmcr_square", 2, {6, 6}, false, 0},
                                  {"mmcr_tall", 3, {9, 4}, false, 0},
                                  {"mmcr_wide", 2, {4, 9}, false, 0},
                                  {"mmcr_local", 3, {5, 6}, false, 0.3},
                                  {"mmcr_momentum", 2, {5, 6}, true, 0},
                                  {"mmcr_momentum_local", 4, {7, 5}, true, 0.2}};
    for (const auto type : {at::kDouble, at::kFloat})
        for (const auto& one : cases) {
            INFO(one.name << ' ' << type);
            const double tolerance = type == at::kDouble ? 1e-11 : 4e-6;
            const auto z = leaves(online(one.views, one.shape, type));
            const auto other = one.follows ? target(one.views, one.shape, type) : std::vector<Tensor>{};
            const Tensor loss = Mmcr{one.lambda}(outputs(z, other));
            loss.backward();
            CHECK(loss.scalar_type() == type);
            CHECK(loss.dim() == 0);
            CHECK(loss.item<double>() == Approx(fixture.at(one.name + " value").at(0)).epsilon(tolerance));
            const Tensor expected = at::tensor(fixture.at(one.name + " gradient"), at::kDouble);
            CHECK(largest_difference(gradients(z), expected) < tolerance);
        }
}

TEST_CASE("MMCR equals its definition, number by number, in float64") {
    for (const auto views : std::vector<std::size_t>{2, 3, 5})
        for (const auto& shape : std::vector<std::vector<std::int64_t>>{{1, 4}, {4, 1}, {5, 5}, {8, 3}, {3, 8}})
            for (const double lambda : {0.0, 0.5, 3.0}) {
                INFO(views << " views, " << shape[0] << " by " << shape[1] << ", lambda " << lambda);
                const auto alone = outputs(online(views, shape));
                const auto both = outputs(online(views, shape), target(views, shape));
                CHECK(value(alone, lambda) == Approx(by_definition(alone, lambda)).epsilon(1e-10).margin(1e-10));
                CHECK(value(both, lambda) == Approx(by_definition(both, lambda)).epsilon(1e-10).margin(1e-10));
            }
}

TEST_CASE("the nuclear norm and its gradient are those of torch's singular values") {
    for (const auto& shape : std::vector<std::vector<std::int64_t>>{
             {1, 1}, {1, 7}, {7, 1}, {6, 6}, {20, 7}, {7, 20}, {64, 64}, {150, 40}, {40, 150}, {4, 5, 6}, {3, 6, 2}}) {
        INFO(at::IntArrayRef(shape));
        const auto both = [&](at::ScalarType type, double tolerance) {
            const Tensor x = chirp(shape, 0.13, 0.9, type).set_requires_grad(true);
            const Tensor y = x.detach().to(at::kDouble).set_requires_grad(true);
            const Tensor ours = nuclear(x), torchs = at::linalg_svdvals(y).sum(-1);
            CHECK(ours.scalar_type() == type);
            CHECK(ours.sizes() == torchs.sizes());
            CHECK(largest_difference(ours, torchs) < tolerance * torchs.max().item<double>());
            const Tensor weight = wave(ours.sizes(), 0.7, 0.3) + 2;
            (ours * weight).sum().backward();
            (torchs * weight).sum().backward();
            CHECK(largest_difference(x.grad(), y.grad()) < 1e2 * tolerance);
            const at::NoGradGuard no_grad;  // the way without gradient
            CHECK(largest_difference(nuclear(x), ours) <= tolerance * torchs.max().item<double>());
        };
        both(at::kDouble, 1e-11);
        both(at::kFloat, 3e-7);
    }
}

TEST_CASE("small singular values keep their gradient as long as float32 can tell them from zero") {
    // one direction takes all but a thousandth, as at the start of a training
    const auto [u, r0] = at::linalg_qr(chirp({40, 16}, 0.13, 0.9));
    const auto [v, r1] = at::linalg_qr(chirp({16, 16}, 0.29, 0.4));
    for (const double small : {1e-2, 1e-3, 1e-5}) {
        INFO(small);
        Tensor s = at::full({16}, small, at::kDouble);
        s[0] = 1;
        const Tensor x = (u * s).mm(v.t()).detach().set_requires_grad(true);
        nuclear(x).backward();
        CHECK(largest_difference(x.grad(), u.mm(v.t())) < 1e-15 / (small * small) + 1e-12);
        const Tensor y = x.detach().to(at::kFloat).set_requires_grad(true), torchs = y.detach().to(at::kDouble);
        nuclear(y).backward();
        CHECK(largest_difference(y.grad(), polar_by_svd(torchs)) < 1e-15 / (small * small) + 1e-6);
    }
}

TEST_CASE("the polar factor by matrix products is that of the decomposition") {
    const auto result = [](const Tensor& input, bool by_products) {
        const Tensor x = leaf(input), norm = nuclear(x, by_products);
        (norm * (wave(norm.sizes(), 0.7, 0.3) + 2)).sum().backward();
        CHECK(norm.scalar_type() == input.scalar_type());
        return std::pair{norm.detach(), x.grad()};
    };
    const auto same = [&](const Tensor& x, double tolerance) {
        const auto [norm, gradient] = result(x, true);
        const auto [exact, polar] = result(x, false);
        CHECK(norm.sizes() == exact.sizes());
        CHECK(largest_difference(norm, exact) <= tolerance * (1 + exact.max().item<double>()));
        CHECK(largest_difference(gradient, polar) <= tolerance * 3);
    };
    for (const auto& shape : std::vector<std::vector<std::int64_t>>{
             {1, 1}, {1, 7}, {7, 1}, {6, 6}, {20, 7}, {7, 20}, {64, 64}, {150, 40}, {40, 150}, {4, 5, 6}, {3, 6, 2}}) {
        INFO(at::IntArrayRef(shape));
        same(chirp(shape, 0.13, 0.9), 1e-8);
        same(chirp(shape, 0.13, 0.9, at::kFloat), 1e-6);
    }
    // a wide range of singular values
    const auto [u, r0] = at::linalg_qr(chirp({40, 16}, 0.13, 0.9));
    const auto [v, r1] = at::linalg_qr(chirp({16, 16}, 0.29, 0.4));
    for (const double small : {1e-2, 1e-3, 1e-4}) {
        INFO(small);
        Tensor s = at::full({16}, small, at::kDouble);
        s[0] = 1;
        same((u * s).mm(v.t()), 1e-8 + 1e-15 / (small * small));
    }
    // equal rows, zeros, equal singular values
    for (const auto type : {at::kDouble, at::kFloat}) {
        const Tensor row = chirp({1, 6}, 0.13, 0.9, type);
        same(row.expand({9, 6}), 1e-6);
        same(at::zeros({5, 7}, type), 0);
        same(at::eye(5, type).mul(2), 1e-6);
    }
    Tensor several = chirp({2, 4, 3}, 0.13, 0.9);  // each matrix for itself, and nothing throws
    several[0][0][0] = std::numeric_limits<double>::infinity();
    const auto [norms, gradient] = result(several, true);
    CHECK(std::isnan(norms[0].item<double>()));
    CHECK(at::isnan(gradient[0]).all().item<bool>());
    CHECK(norms[1].item<double>() == Approx(at::linalg_svdvals(several[1]).sum().item<double>()).epsilon(1e-8));
}

TEST_CASE("MMCR's gradients equal central differences") {
    for (const bool follows : {false, true})
        for (const double lambda : {0.0, 0.5}) {
            INFO(follows << ' ' << lambda);
            const std::vector<std::int64_t> shape{4, 5};
            const auto other = follows ? target(3, shape) : std::vector<Tensor>{};
            const auto loss = [&](const Tensor& z) { return Mmcr{lambda}(outputs(z.unbind(0), other)); };
            const Tensor z = at::stack(online(3, shape)).set_requires_grad(true);
            loss(z).backward();
            CHECK(z.grad().abs().max().item<double>() > 1e-3);
            const at::NoGradGuard no_grad;
            CHECK(largest_difference(z.grad(), numeric_gradient(loss, z.detach().clone())) < 1e-7);
        }
}

TEST_CASE("values and gradients stay finite for centroids of low rank, equal and zero ones") {
    for (const auto type : {at::kDouble, at::kFloat}) {
        const double tolerance = type == at::kDouble ? 1e-9 : 1e-6;
        const Tensor row = chirp({1, 6}, 0.13, 0.9, type), unit = row / row.norm();
        {  // equal rows: σ = √N·‖row‖, polar factor 1/√N · 1 · unit
            const Tensor x = row.expand({9, 6}).clone().set_requires_grad(true);
            const Tensor norm = nuclear(x);
            norm.backward();
            CHECK(norm.item<double>() == Approx(3 * row.norm().item<double>()).epsilon(tolerance));
            CHECK(largest_difference(x.grad(), unit.expand({9, 6}) / 3) < tolerance);
        }
        for (const auto& shape : {std::pair{9, 6}, std::pair{6, 9}}) {  // rank 2 of 6
            const Tensor exact = chirp({shape.first, 2}, 0.13, 0.9).mm(chirp({2, shape.second}, 0.29, 0.4));
            const Tensor x = exact.to(type).set_requires_grad(true);
            const Tensor norm = nuclear(x);
            norm.backward();
            CHECK(norm.item<double>() == Approx(at::linalg_svdvals(exact).sum().item<double>()).epsilon(tolerance));
            CHECK(at::isfinite(x.grad()).all().item<bool>());
            CHECK(at::linalg_svdvals(x.grad()).max().item<double>() < 1 + 1e-5);
            if (type == at::kDouble) CHECK(largest_difference(x.grad(), polar_by_svd(exact)) < tolerance);
        }
        const Tensor zero = at::zeros({5, 7}, type).set_requires_grad(true);
        const Tensor norm = nuclear(zero);
        norm.backward();
        CHECK(norm.item<double>() == 0);
        CHECK(zero.grad().abs().max().item<double>() == 0);
        const Tensor same = at::eye(5, type).mul(2).set_requires_grad(true);  // all singular values equal
        nuclear(same).backward();
        CHECK(largest_difference(same.grad(), at::eye(5)) < tolerance);

        // the loss: collapsed, rank one with opposite rows, zero rows, opposite views whose centroids are zero
        const Tensor equal = row.expand({8, 6}), signs = wave({8, 1}, 3.1, 1.5).sign().to(type);
        const Tensor one_zero = at::cat({equal.narrow(0, 0, 7), at::zeros({1, 6}, type)});
        const std::vector<std::vector<Tensor>> inputs{{equal, equal},
                                                      {equal * signs, equal * signs},
                                                      {one_zero, one_zero},
                                                      {at::zeros({8, 6}, type), at::zeros({8, 6}, type)},
                                                      {equal, -equal}};
        const std::vector<double> expected{-std::sqrt(8), -std::sqrt(8), -std::sqrt(7), 0, 0};
        for (std::size_t i = 0; i < inputs.size(); ++i)
            for (const double lambda : {0.0, 0.5}) {
                INFO(i << ' ' << lambda);
                const auto z = leaves(inputs[i]);
                const Tensor loss = Mmcr{lambda}(outputs(z));
                loss.backward();
                if (lambda == 0) CHECK(loss.item<double>() == Approx(expected[i]).epsilon(1e-6).margin(1e-5));
                CHECK(std::isfinite(loss.item<double>()));
                CHECK(at::isfinite(gradients(z)).all().item<bool>());
            }
    }
}

TEST_CASE("MMCR lies between its collapsed and its best value") {
    for (const auto& [n, d, collapsed, best] :
         {std::tuple{2048, 512, -45.2548, -1024.0}, {32, 128, -5.65685, -32.0}, {128, 128, -11.3137, -128.0}}) {
        INFO(n << ' ' << d);
        const Tensor ones = at::ones({n, d}) * 7;
        CHECK(value(outputs({ones, ones})) == Approx(collapsed).epsilon(1e-5));
        CHECK(value(outputs({ones, ones})) == Approx(-std::sqrt(n)).epsilon(1e-5));
        const Tensor even = at::eye(d).repeat({(n + d - 1) / d, 1}).narrow(0, 0, n) * 3;
        CHECK(value(outputs({even, even, even})) == Approx(best).epsilon(1e-5));
        CHECK(value(outputs({even, even})) == Approx(-std::sqrt(n * std::min(n, d))).epsilon(1e-5));
        if (n > 1000) continue;
        const auto between = value(outputs(online(2, {n, d}, at::kFloat)));
        CHECK(between > best);
        CHECK(between < 0);
    }
    // the local term: views that agree give √V, orthogonal ones V
    const Tensor x = at::eye(3, at::kDouble);
    CHECK(value(outputs({x, x, x}), 1) - value(outputs({x, x, x})) == Approx(std::sqrt(3)).epsilon(1e-9));
    const auto turned = [&](int by) { return x.roll(by, 0); };
    CHECK(value(outputs({x, turned(1), turned(2)}), 1) - value(outputs({x, turned(1), turned(2)})) ==
          Approx(3).epsilon(1e-9));
}

TEST_CASE("MMCR does not care about the order of views and images, lengths and rotations") {
    const std::vector<std::int64_t> shape{6, 5};
    const Tensor order = at::tensor({3, 1, 4, 0, 2, 5});
    const auto [turn, rest] = at::linalg_qr(chirp({5, 5}, 0.29, 0.4));
    const auto each = [](const std::vector<Tensor>& views, const std::function<Tensor(const Tensor&)>& change) {
        std::vector<Tensor> all;
        for (const Tensor& view : views) all.push_back(change(view));
        return all;
    };
    const auto a = online(3, shape), b = target(3, shape);
    for (const double lambda : {0.0, 0.4}) {
        const double plain = value(outputs(a, b), lambda);
        const auto equal = [&](const Outputs& out) { CHECK(value(out, lambda) == Approx(plain).epsilon(1e-11)); };
        equal(outputs({a[2], a[0], a[1]}, b));
        equal(outputs(a, {b[1], b[2], b[0]}));
        const auto mixed = [&](const Tensor& x) { return x.index_select(0, order); };
        equal(outputs(each(a, mixed), each(b, mixed)));
        const auto rotated = [&turn = turn](const Tensor& x) { return x.mm(turn); };
        equal(outputs(each(a, rotated), each(b, rotated)));
        const Tensor lengths = at::tensor({1e-4, 3.0, 200.0, 0.5, 1e5, 1.0}, at::kDouble).unsqueeze(1);
        const auto longer = [&](const Tensor& x) { return x * lengths; };
        equal(outputs(each(a, longer), each(b, [](const Tensor& x) { return x * 1000; })));
        // but an image's views belong together
        CHECK(std::abs(value(outputs({a[0], mixed(a[1]), a[2]}, b), lambda) - plain) > 1e-3);
    }
}

TEST_CASE("a target network's embeddings count half in the centroids, not in the local term, and get no gradient") {
    const std::vector<std::int64_t> shape{5, 6};
    const auto a = online(2, shape), b = target(2, shape);
    CHECK(value(outputs(a, b)) != Approx(value(outputs(a))).epsilon(1e-3));
    // one network: the same tensors in both lists, or their copies
    CHECK(value(outputs(a, a), 0.3) == value(outputs(a), 0.3));
    CHECK(value(outputs(a, {a[0].clone(), a[1].clone()}), 0.3) == Approx(value(outputs(a), 0.3)).epsilon(1e-12));
    const double local = value(outputs(a), 0.3) - value(outputs(a));
    CHECK(value(outputs(a, b), 0.3) - value(outputs(a, b)) == Approx(local).epsilon(1e-10));
    // targets equal in value: the same loss, half the gradient
    const auto z = leaves(a), alone = leaves(a);
    Mmcr{}(outputs(z, {a[0], a[1]})).backward();
    Mmcr{}(outputs(alone)).backward();
    CHECK(largest_difference(gradients(z) * 2, gradients(alone)) < 1e-12);
    // a target that some views do not pass
    CHECK(std::isfinite(value(outputs(a, {b[0], Tensor()}))));
    CHECK(value(outputs(a, {Tensor(), Tensor()})) == value(outputs(a)));

    // in a method: an Ema target takes part, and its network gets no gradient
    Method method{Recipe{.encoder = tiny(),
                         .projector = heads::Mlp{.hidden = {16}, .out = 5},
                         .target = targets::Ema{.schedule = 0.9},
                         .loss = Mmcr{}},
                  {.seed = 1}};
    auto optimizer = sgd(method, 0.05, 0);
    step(method, optimizer, views_of(2));
    const double loss = method->forward(views_of(2, 1)).item<double>();
    const auto& out = method->last()[0];
    REQUIRE(out.target.size() == 2);
    CHECK(largest_difference(out.target[0], out.online[0]) > 1e-5);
    CHECK(loss == Approx(by_definition(out, 0)).epsilon(1e-5));
    for (const auto& item : method->named_parameters())
        if (item.key().starts_with("target.")) CHECK(!item.value().grad().defined());
}

TEST_CASE("n micro-batches are not one large batch") {
    const auto z = online(2, {8, 4});
    const auto part = [&](std::int64_t from) { return outputs({z[0].narrow(0, from, 4), z[1].narrow(0, from, 4)}); };
    CHECK(std::abs(value(outputs(z)) - value(part(0)) - value(part(4))) > 0.1);
}

TEST_CASE("MMCR of half-precision embeddings is finite and close") {
    for (const auto type : {at::kHalf, at::kBFloat16})
        for (const double lambda : {0.0, 0.5}) {
            const auto z = leaves(online(3, {24, 16}, type));
            const auto b = target(3, {24, 16}, type);
            const Tensor loss = Mmcr{lambda}(outputs(z, b));
            CHECK(loss.scalar_type() == at::kFloat);
            CHECK(loss.item<double>() == Approx(by_definition(outputs(z, b), lambda)).epsilon(1e-5));
            loss.backward();
            CHECK(at::isfinite(gradients(z)).all().item<bool>());
            CHECK(gradients(z).abs().max().item<double>() > 0);
        }
}

TEST_CASE("MMCR computes in float32 under bfloat16 autocast") {
    const auto a = online(2, {16, 12}, at::kFloat), b = target(2, {16, 12}, at::kFloat);
    const auto both = [&] {
        const auto z = leaves(a);
        const Tensor loss = Mmcr{0.3}(outputs(z, b));
        loss.backward();
        const Tensor values = at::stack({loss.detach(), Mmcr{0.3}(outputs(a, b)), nuclear(a[0])});
        return at::cat({values, gradients(z)});
    };
    const Tensor outside = both();
    const Autocast scope(at::kCPU, Precision::bf16);
    CHECK(bit_equal(both(), outside));
    CHECK(a[0].mm(b[0].t()).scalar_type() == at::kBFloat16);  // the scope itself is as it was
}

TEST_CASE("embeddings that are not finite give NaN and do not throw") {
    for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
        for (const double lambda : {0.0, 0.5}) {
            auto a = online(2, {5, 6}, at::kFloat);
            a[0][1][2] = bad;
            CHECK(std::isnan(value(outputs(a), lambda)));
            const auto z = leaves(a);
            const Tensor loss = Mmcr{lambda}(outputs(z));
            CHECK(std::isnan(loss.item<double>()));
            CHECK_NOTHROW(loss.backward());
        }
    Tensor several = chirp({2, 4, 3}, 0.13, 0.9);  // each matrix for itself
    several[0][0][0] = std::numeric_limits<double>::quiet_NaN();
    const Tensor norms = nuclear(several);
    CHECK(std::isnan(norms[0].item<double>()));
    CHECK(norms[1].item<double>() == Approx(at::linalg_svdvals(several[1]).sum().item<double>()).epsilon(1e-11));
}

TEST_CASE("MMCR says what is wrong with its input") {
    const Tensor good = wave({4, 3});
    for (const double bad : {-1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
        says([&] { Mmcr{bad}(outputs({good, good})); }, {"Mmcr", "lambda", "at least 0 and finite"});
    says([&] { Mmcr{}(outputs({good})); }, {"Mmcr", "at least 2 views", "got 1"});
    says([&] { Mmcr{}(outputs({good, Tensor()})); }, {"Mmcr", "at least 2 views", "got 1"});
    says([&] { Mmcr{}(outputs({})); }, {"Mmcr", "at least 2 views", "got 0"});
    says([&] { Mmcr{}(outputs({wave({2, 3, 4}), good})); }, {"Mmcr", "[N, D]", "[2, 3, 4]"});
    says([&] { Mmcr{}(outputs({good, wave({5, 3})})); }, {"Mmcr", "[4, 3]", "[5, 3]"});
    says([&] { Mmcr{}(outputs({good, good}, {wave({4, 2}), good})); }, {"Mmcr", "[4, 3]", "[4, 2]"});
    says([&] { Mmcr{}(outputs({good, good.to(at::kLong)})); }, {"Mmcr", "floating-point", "long"});
}
