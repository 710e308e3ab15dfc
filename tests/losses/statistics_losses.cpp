// SPDX-License-Identifier: Apache-2.0
// Losses on statistics of the embeddings, and on a part of the features: TiCo, SIGReg, DirectCLR.
#include <doppel/heads/mlp.hpp>
#include <doppel/losses/directclr.hpp>
#include <doppel/losses/lejepa.hpp>
#include <doppel/losses/tico.hpp>
#include <doppel/recipe/method.hpp>
#include <doppel/schedules/constant.hpp>
#include <doppel/targets/ema.hpp>

#include "support/torch_support.hpp"

#include <functional>
#include <limits>
#include <map>
#include <sstream>

using namespace doppel;
using namespace doppel::test;
using losses::Directclr;
using losses::NtXent;
using losses::Lejepa;
using losses::Tico;

namespace {

// The inputs of make_mmcr_fixtures.py.
Tensor online(int view, at::IntArrayRef shape, at::ScalarType type = at::kDouble) {
    return chirp(shape, 0.13 + 0.05 * view, 0.9 - 0.1 * view, type);
}
Tensor target(int view, at::IntArrayRef shape, at::ScalarType type = at::kDouble) {
    return chirp(shape, 0.11 + 0.04 * view, 0.3 + 0.2 * view, type);
}

Outputs outputs(std::vector<Tensor> online) {
    Outputs out;
    out.online = std::move(online);
    return out;
}

Tico tico(std::int64_t dim, double beta = 0.9, double rho = 8) {
    Tico loss{.beta = beta, .rho = rho};
    loss.build(dim);
    return loss;
}

// ---- the definitions, one number at a time ------------------------------------------------------------

double tico_by_definition(const Tensor& z0, const Tensor& z1, Rows& c, double beta, double rho) {
    const Rows a = numbers(unit(z0)), b = numbers(unit(z1));
    const auto n = static_cast<double>(a.size());
    const std::size_t dim = a[0].size();
    for (std::size_t i = 0; i < dim; ++i)
        for (std::size_t j = 0; j < dim; ++j) {
            double moment = 0;
            for (const auto& row : a) moment += row[i] * row[j] / n;
            c[i][j] = beta * c[i][j] + (1 - beta) * moment;
        }
    double loss = 1;
    for (std::size_t r = 0; r < a.size(); ++r)
        for (std::size_t i = 0; i < dim; ++i) {
            loss -= a[r][i] * b[r][i] / n;
            for (std::size_t j = 0; j < dim; ++j) loss += rho / n * a[r][i] * c[i][j] * a[r][j];
        }
    return loss;
}

double sigreg_by_definition(const std::vector<Tensor>& views, const Tensor& directions, const Lejepa& o) {
    const Rows a = numbers(directions);
    const std::size_t count = o.globals > 0 ? static_cast<std::size_t>(o.globals) : views.size();
    std::vector<Rows> z;
    for (const Tensor& view : views) z.push_back(numbers(view));
    const auto n = static_cast<double>(z[0].size()), v = static_cast<double>(z.size());
    const double step = o.t_max / static_cast<double>(o.knots - 1);
    double statistic = 0, apart = 0;
    for (const Rows& view : z)
        for (std::size_t k = 0; k < a[0].size(); ++k) {
            double length = 0;
            for (const auto& row : a) length += row[k] * row[k];
            for (std::int64_t i = 1 - o.knots; i < o.knots; ++i) {  // both halves of the axis
                const double t = static_cast<double>(i) * step, normal = std::exp(-t * t / 2);
                double real = -normal, imaginary = 0;
                for (const auto& row : view) {
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
            for (const Rows& view : z) apart += (view[b][d] - center) * (view[b][d] - center);
        }
    statistic *= n / (v * static_cast<double>(a[0].size()));
    return o.lambda * statistic + (1 - o.lambda) * apart / (v * n * static_cast<double>(z[0][0].size()));
}

double gradient_error(const Tensor& analytic, const std::function<Tensor(const Tensor&)>& loss, const Tensor& x) {
    const at::NoGradGuard no_grad;
    return largest_difference(analytic, numeric_gradient(loss, x.detach().clone()));
}

void says(const std::function<void()>& action, std::initializer_list<std::string_view> parts) {
    const std::string message = message_of(action);
    INFO(message);
    CHECK(mentions(message, parts));
}

}  // namespace

TEST_CASE("TiCo, DirectCLR and SIGReg give the values, gradients and states of lightly and of the formula in numpy") {
    // tests/reference/make_mmcr_fixtures.py
    std::map<std::string, std::vector<double>> fixture;
    std::ifstream in(reference_folder() / "mmcr.txt");
    for (std::string line; std::getline(in, line);) {
        std::istringstream words(line);
        std::string name, what;
        words >> name >> what;
        auto& values = fixture[name + ' ' + what];
        for (double number = 0; words >> number;) values.push_back(number);
    }
    const auto expected = [&](const std::string& key) { return at::tensor(fixture.at(key), at::kDouble); };
    for (const auto type : {at::kDouble, at::kFloat}) {
        const auto equal = [&](const std::string& name, const Tensor& loss, std::initializer_list<Tensor> inputs,
                               double tolerance) {
            INFO(name << ' ' << type);
            loss.backward();
            CHECK(loss.scalar_type() == type);
            CHECK(loss.item<double>() == Approx(fixture.at(name + " value").at(0)).epsilon(tolerance));
            std::vector<Tensor> all;
            for (const Tensor& x : inputs) all.push_back(x.grad().flatten());
            CHECK(largest_difference(at::cat(all), expected(name + " gradient")) < tolerance);
        };
        const double tight = type == at::kDouble ? 1e-11 : 4e-6;
        Tico loss = tico(6);
        if (type == at::kDouble) loss.covariance = loss.covariance.to(at::kDouble);
        for (int step = 0; step < 3; ++step) {
            const Tensor a = leaf(online(step, {5, 6}, type)), b = leaf(target(step, {5, 6}, type));
            const std::string name = "tico_" + std::to_string(step);
            equal(name, loss(a, b), {a, b}, tight);
            loss.commit(outputs({a, b}));
            CHECK(largest_difference(loss.covariance.flatten(), expected(name + " state")) < tight);
        }
        for (const int dims : {2, 3, 6}) {
            const Tensor a = leaf(online(0, {5, 6}, type)), b = leaf(online(1, {5, 6}, type));
            equal("directclr_" + std::to_string(dims), Directclr{.dims = dims}(a, b), {a, b}, 10 * tight);
        }
        struct Case {
            std::string name;
            int views;
            Lejepa loss;
        };
        const std::vector<Case> cases{{"sigreg", 2, {}},
                                      {"sigreg_one", 1, {.lambda = 1}},
                                      {"sigreg_globals", 4, {.lambda = 0.3, .knots = 9, .t_max = 5, .globals = 2}}};
        for (const auto& one : cases) {
            std::vector<Tensor> views;
            for (int v = 0; v < one.views; ++v) views.push_back(1.5 * online(v, {5, 4}, type));
            const Tensor z = leaf(at::stack(views));
            const Tensor directions = chirp({4, 7}, 0.19, 0.6, type);
            equal(one.name, one.loss.with_directions(outputs(z.unbind(0)), directions), {z}, tight);
        }
    }
}

TEST_CASE("TiCo and SIGReg equal their definitions, number by number, in float64") {
    for (const double beta : {0.0, 0.9, 1.0})
        for (const double rho : {0.0, 8.0, 20.0}) {
            Tico loss = tico(4, beta, rho);
            loss.covariance = loss.covariance.to(at::kDouble);
            Rows c(4, std::vector<double>(4));
            for (int step = 0; step < 4; ++step) {
                const Tensor a = online(step, {3, 4}) * 3, b = target(step, {3, 4}) * 0.2;
                CHECK(loss(a, b).item<double>() == Approx(tico_by_definition(a, b, c, beta, rho)).epsilon(1e-11));
                loss.commit(outputs({a}));
            }
        }
    for (const double lambda : {0.0, 0.05, 1.0})
        for (const std::int64_t knots : {2, 17})
            for (const std::int64_t globals : {0, 1, 3}) {
                const Lejepa loss{.lambda = lambda, .knots = knots, .t_max = 2.5, .globals = globals};
                const std::vector<Tensor> views{online(0, {4, 3}) * 2, online(1, {4, 3}), online(2, {4, 3}) - 1};
                const Tensor directions = chirp({3, 5}, 0.19, 0.6);
                CHECK(loss.with_directions(outputs(views), directions).item<double>() ==
                      Approx(sigreg_by_definition(views, directions, loss)).epsilon(1e-11));
            }
}

TEST_CASE("the statistics losses' gradients equal central differences") {
    const Tensor other = target(0, {5, 6}), directions = chirp({6, 4}, 0.19, 0.6);
    const Tensor x = leaf(online(0, {5, 6}));
    const auto check = [&](const std::function<Tensor(const Tensor&)>& loss) {
        x.mutable_grad() = Tensor();
        loss(x).backward();
        CHECK(x.grad().abs().max().item<double>() > 1e-4);
        CHECK(gradient_error(x.grad(), loss, x) < 1e-7);
    };
    for (const double lambda : {0.05, 0.9})
        check([&](const Tensor& z) {
            return Lejepa{.lambda = lambda, .globals = 1}.with_directions(outputs({z, other, 2 * z}), directions);
        });
    check([&](const Tensor& z) { return Directclr{.dims = 4, .temperature = 0.5}(z, other); });
    Tico late = tico(6, 1);  // β = 1: C is what was before, so that nothing has to be held
    late.covariance = unit(other).t().mm(unit(other)) / 5;
    check([&](const Tensor& z) { return late(z, other); });
    // else the derivative is that with C held
    Tico loss = tico(6);
    x.mutable_grad() = Tensor();
    loss(x, other).backward();
    const Tensor held = 0.1 * unit(x.detach()).t().mm(unit(x.detach())) / 5;
    const auto frozen = [&](const Tensor& z) {
        return 1 - (unit(z) * unit(other)).sum(1).mean() + 8 * (unit(z).mm(held) * unit(z)).sum(1).mean();
    };
    CHECK(gradient_error(x.grad(), frozen, x) < 1e-7);
}

TEST_CASE("TiCo's covariance is read by the loss and written by commit alone") {
    Tico loss = tico(6);
    const Tensor a = online(0, {5, 6}, at::kFloat), b = target(0, {5, 6}, at::kFloat);
    const double first = loss(a, b).item<double>();
    CHECK(loss.covariance.abs().max().item<double>() == 0);
    CHECK(loss(a, b).item<double>() == first);
    loss.commit(outputs({a, b}));
    CHECK(loss.covariance.abs().max().item<double>() > 0);
    CHECK(largest_difference(loss.covariance, 0.1 * unit(a).t().mm(unit(a)) / 5) < 1e-7);
    CHECK(loss(a, b).item<double>() > first);
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

TEST_CASE("SIGReg draws unit directions from torch's generator, anew for each call") {
    const Lejepa loss{.lambda = 1, .directions = 9};
    const auto out = outputs({online(0, {16, 5}, at::kFloat) * 2});
    at::manual_seed(8);
    const double first = loss(out).item<double>(), second = loss(out).item<double>();
    CHECK(first != second);
    at::manual_seed(8);
    const Tensor directions = at::randn({5, 9});
    CHECK(loss.with_directions(out, directions).item<double>() == first);
    CHECK(loss.with_directions(out, directions * 7).item<double>() == Approx(first).epsilon(1e-5));
    at::manual_seed(8);
    CHECK(loss(out).item<double>() == first);
    // in a recipe
    const heads::Mlp head{.hidden = {16}, .out = 6};
    Method method{Recipe{.encoder = tiny(), .projector = head, .loss = Lejepa{.directions = 32}}};
    const Tensor value = method->forward(batch_of(6, 0));
    value.backward();
    CHECK(std::isfinite(value.item<double>()));
    CHECK(method->named_parameters()["encoder.conv.weight"].grad().abs().max().item<double>() > 0);
}

TEST_CASE("the losses of collapsed, normal and perfect embeddings are known numbers") {
    // SIGReg's integrals of Gaussians: N(√2π − 2√π + √(2π/3)) when all is zero, √2π − √(2π/3) for normal embeddings
    const double pi = std::acos(-1.0);
    const Lejepa statistic{.lambda = 1, .t_max = 6};
    const auto of = [&](const Tensor& z) { return statistic(outputs({z})).item<double>(); };
    at::manual_seed(1);
    CHECK(of(at::zeros({64, 8}, at::kDouble)) ==
          Approx(64 * (std::sqrt(2 * pi) - 2 * std::sqrt(pi) + std::sqrt(2 * pi / 3))).epsilon(1e-4));
    const double normal = of(at::randn({512, 8}, at::kDouble));
    CHECK(normal == Approx(std::sqrt(2 * pi) - std::sqrt(2 * pi / 3)).epsilon(0.35));
    const double zero = Lejepa{.lambda = 1}(outputs({at::zeros({64, 8}, at::kDouble)})).item<double>();
    CHECK(zero == Approx(64 * 0.402).epsilon(0.01));
    const Tensor rows = at::randn({512, 8}, at::kDouble), line = at::randn({512, 1}, at::kDouble).expand({512, 8});
    for (const Tensor& wrong : {rows * 0.5, rows * 2, rows + 0.5, line}) CHECK(of(wrong) > 3 * normal);
    const Tensor z = at::randn({32, 8}, at::kDouble);  // the invariance term alone
    CHECK(Lejepa{.lambda = 0}(outputs({z, z, z})).item<double>() == Approx(0).margin(1e-15));
    CHECK(Lejepa{.lambda = 0}(outputs({z, z + 2})).item<double>() == Approx(1).epsilon(1e-12));
    CHECK(Lejepa{.lambda = 0, .globals = 1}(outputs({z, z + 2})).item<double>() == Approx(2).epsilon(1e-12));

    // TiCo: collapsed ρ(1 − β), then towards ρ; spread evenly ρ/D
    const Tensor ones = at::ones({8, 4}), even = at::eye(4).repeat({2, 1});
    Tico collapsed = tico(4), spread = tico(4);
    CHECK(collapsed(ones, ones).item<double>() == Approx(0.8).epsilon(1e-5));
    for (int step = 0; step < 200; ++step) collapsed.commit(outputs({ones})), spread.commit(outputs({even}));
    CHECK(collapsed(ones, ones).item<double>() == Approx(8).epsilon(1e-5));
    CHECK(collapsed(ones, -ones).item<double>() == Approx(10).epsilon(1e-5));
    CHECK(spread(even, even).item<double>() == Approx(2).epsilon(1e-5));

    // DirectCLR: log(2N − 1), and it sees the first features alone
    CHECK(Directclr{.dims = 2}(ones, ones).item<double>() == Approx(std::log(15.0)).epsilon(1e-5));
    const Tensor a = online(0, {5, 6}), b = online(1, {5, 6});
    const auto cut = [](const Tensor& x) { return x.narrow(1, 0, 3); };
    CHECK(Directclr{.dims = 3}(a, b).item<double>() == NtXent{.temperature = 0.1}(cut(a), cut(b)).item<double>());
    CHECK(Directclr{.dims = 6}(a, b).item<double>() == NtXent{.temperature = 0.1}(a, b).item<double>());
    Tensor changed = a.clone();
    changed.narrow(1, 3, 3).mul_(100);
    CHECK(Directclr{.dims = 3}(changed, b).item<double>() == Directclr{.dims = 3}(a, b).item<double>());
    Method method{Recipe{.encoder = tiny(), .loss = Directclr{.dims = 4}}};
    CHECK(std::isfinite(method->forward(batch_of(6)).item<double>()));
}

TEST_CASE("the statistics losses do not care about the order of the images; SIGReg not about rotations either") {
    const Tensor order = at::tensor({3, 1, 4, 0, 2}), a = online(0, {5, 6}), b = target(0, {5, 6});
    const Tensor directions = chirp({6, 4}, 0.19, 0.6);
    const auto mixed = [&](const Tensor& x) { return x.index_select(0, order); };
    const auto sig = [&](const Tensor& x, const Tensor& y, const Tensor& along) {
        return Lejepa{.lambda = 0.4}.with_directions(outputs({x, y}), along).item<double>();
    };
    Tico loss = tico(6);
    CHECK(loss(mixed(a), mixed(b)).item<double>() == Approx(loss(a, b).item<double>()).epsilon(1e-12));
    CHECK(loss(a * 1000, b * 0.01).item<double>() == Approx(loss(a, b).item<double>()).epsilon(1e-12));
    CHECK(sig(mixed(a), mixed(b), directions) == Approx(sig(a, b, directions)).epsilon(1e-12));
    CHECK(sig(b, a, directions) == Approx(sig(a, b, directions)).epsilon(1e-12));
    const auto [turn, rest] = at::linalg_qr(chirp({6, 6}, 0.29, 0.4));
    CHECK(sig(a.mm(turn), b.mm(turn), turn.t().mm(directions)) == Approx(sig(a, b, directions)).epsilon(1e-10));
    // but row i belongs to row i, and SIGReg sees lengths
    CHECK(std::abs(loss(a, mixed(b)).item<double>() - loss(a, b).item<double>()) > 1e-3);
    CHECK(std::abs(sig(a, mixed(b), directions) - sig(a, b, directions)) > 1e-3);
    CHECK(std::abs(sig(a * 2, b * 2, directions) - sig(a, b, directions)) > 1e-3);
}

TEST_CASE("half-precision, zero and equal embeddings give finite statistics losses and gradients") {  // pitfall 16
    const Tensor directions = chirp({16, 8}, 0.19, 0.6, at::kFloat);
    const auto all = [&](const Tensor& a, const Tensor& b) {
        return at::stack({Lejepa{.lambda = 0.5}.with_directions(outputs({a, b}), directions), tico(16)(a, b),
                          Directclr{.dims = 8}(a, b)});
    };
    for (const auto type : {at::kHalf, at::kBFloat16}) {
        const Tensor a = leaf(online(0, {12, 16}, type)), b = target(0, {12, 16}, type);
        const Tensor values = all(a, b);
        CHECK(values.scalar_type() == at::kFloat);
        CHECK(largest_difference(values, all(a.detach().to(at::kFloat), b.to(at::kFloat))) < 1e-5);
        values.sum().backward();
        CHECK(at::isfinite(a.grad()).all().item<bool>());
        CHECK(a.grad().abs().max().item<double>() > 0);
    }
    for (const Tensor& x : {at::zeros({12, 16}), at::ones({12, 16}), at::full({12, 16}, 1e4)}) {
        const Tensor a = leaf(x), values = all(a, x);
        values.sum().backward();
        CHECK(at::isfinite(values).all().item<bool>());
        CHECK(at::isfinite(a.grad()).all().item<bool>());
    }
}

TEST_CASE("the statistics losses compute in float32 under bfloat16 autocast") {
    const Tensor a = online(0, {12, 16}, at::kFloat), b = target(0, {12, 16}, at::kFloat);
    const Tensor directions = chirp({16, 8}, 0.19, 0.6, at::kFloat);
    const auto all = [&] {
        Tico loss = tico(16);
        loss.commit(outputs({a}));
        return at::stack({Lejepa{.lambda = 0.5}.with_directions(outputs({a, b}), directions), loss(a, b),
                          Directclr{.dims = 8}(a, b)});
    };
    const Tensor outside = all();
    const Autocast scope(at::kCPU, Precision::bf16);
    CHECK(bit_equal(all(), outside));
    CHECK(a.mm(b.t()).scalar_type() == at::kBFloat16);  // the scope itself is as it was
}

TEST_CASE("the statistics losses say what is wrong with their input") {
    const Tensor good = wave({4, 3});
    const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
    for (const double bad : {-0.1, 1.1, nan}) {
        says([&] { tico(3, bad); }, {"TiCo", "beta", "between 0 and 1"});
        says([&] { Tico{.beta = bad}(good, good); }, {"TiCo", "beta"});
        says([&] { Lejepa{.lambda = bad}(outputs({good})); }, {"Lejepa", "lambda", "between 0 and 1"});
    }
    for (const double bad : {-0.1, nan, infinity}) {
        says([&] { tico(3, 0.9, bad); }, {"TiCo", "rho", "at least 0 and finite"});
        says([&] { Directclr{.dims = 2, .temperature = bad}(good, good); }, {"Directclr", "temperature", "positive"});
        says([&] { Lejepa{.t_max = bad}(outputs({good})); }, {"Lejepa", "t_max", "positive and finite"});
    }
    const auto pairs = [&](const std::string& who, const std::function<void(const Tensor&, const Tensor&)>& loss) {
        says([&] { loss(wave({2, 3, 4}), good); }, {who, "[N, D]", "[2, 3, 4]"});
        says([&] { loss(Tensor(), good); }, {who});
        says([&] { loss(good, wave({5, 3})); }, {who, "[4, 3]", "[5, 3]"});
        says([&] { loss(good.to(at::kLong), good); }, {who, "floating-point", "long"});
    };
    pairs("TiCo", [](const Tensor& a, const Tensor& b) { tico(3)(a, b); });
    pairs("Directclr", [](const Tensor& a, const Tensor& b) { Directclr{.dims = 2}(a, b); });
    pairs("Lejepa", [](const Tensor& a, const Tensor& b) { Lejepa{}(outputs({a.defined() ? a : at::ones({2}), b})); });
    says([&] { Tico{}(good, good); }, {"TiCo", "[3, 3]", "build(3)"});
    says([&] { tico(4)(good, good); }, {"TiCo", "[3, 3]", "[4, 4]"});
    says([&] { Directclr{}(good, good); }, {"Directclr", "360", "only 3 features"});
    says([&] { Directclr{.dims = 0}(good, good); }, {"Directclr", "dims", "at least 1"});
    says([&] { Directclr{.dims = 2}(wave({1, 3}), wave({1, 3})); }, {"Directclr", "at least 2 images", "1"});
    says([&] { Lejepa{}(outputs({})); }, {"Lejepa", "at least one view"});
    says([&] { Lejepa{.directions = 0}(outputs({good})); }, {"Lejepa", "directions", "at least 1"});
    says([&] { Lejepa{.knots = 1}(outputs({good})); }, {"Lejepa", "knots", "at least 2"});
    says([&] { Lejepa{.globals = 2}(outputs({good})); }, {"Lejepa", "globals", "1 views", "got 2"});
    says([&] { Lejepa{.globals = -1}(outputs({good})); }, {"Lejepa", "globals", "got -1"});
}
