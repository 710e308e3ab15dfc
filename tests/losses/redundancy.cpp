// SPDX-License-Identifier: Apache-2.0
// The losses of the redundancy-reduction family: Barlow Twins, VICReg, W-MSE.
#include <doppel/heads/mlp.hpp>
#include <doppel/losses/barlow_twins.hpp>
#include <doppel/losses/vicreg.hpp>
#include <doppel/losses/wmse.hpp>
#include <doppel/recipe/method.hpp>

#include "support/torch_support.hpp"

#include <functional>
#include <limits>
#include <map>
#include <sstream>

using namespace doppel;
using namespace doppel::test;
using losses::BarlowTwins;
using losses::Vicreg;
using losses::Wmse;
using losses::detail::off_diagonal_squares;

namespace {

constexpr auto code = Vicreg::Convention::code, paper = Vicreg::Convention::paper;

// The inputs of make_redundancy_fixtures.py: two related views whose dimensions vary by less and by more than 1.
Tensor width_of(std::int64_t d) { return 0.4 + 0.45 * at::arange(d, at::kDouble); }
Tensor view0(at::IntArrayRef shape) { return chirp(shape, 0.13, 0.9) * width_of(shape[1]) + 0.2; }
Tensor view1(at::IntArrayRef shape) {
    return (0.6 * chirp(shape, 0.13, 0.9) + 0.5 * chirp(shape, 0.29, 0.4)) * width_of(shape[1]) - 0.1;
}
Tensor order_of(std::int64_t n, std::int64_t step, std::int64_t first) {
    return (at::arange(n) * step + first).remainder(n);
}

// ---- the definitions, one number at a time ------------------------------------------------------------

double mean_of(const Rows& x, std::size_t d) {
    double sum = 0;
    for (const auto& row : x) sum += row[d];
    return sum / static_cast<double>(x.size());
}

/// Σ (x_i − mean)(y_j − mean) over the rows.
double moment(const Rows& x, std::size_t i, const Rows& y, std::size_t j) {
    const double mx = mean_of(x, i), my = mean_of(y, j);
    double sum = 0;
    for (std::size_t b = 0; b < x.size(); ++b) sum += (x[b][i] - mx) * (y[b][j] - my);
    return sum;
}

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

double vicreg_by_definition(const Tensor& z0, const Tensor& z1, const Vicreg& o) {
    const Rows a = numbers(z0), b = numbers(z1);
    const auto n = static_cast<double>(a.size()), dim = static_cast<double>(a[0].size());
    double loss = 0;
    for (std::size_t r = 0; r < a.size(); ++r)
        for (std::size_t d = 0; d < a[r].size(); ++d)
            loss += o.invariance * (a[r][d] - b[r][d]) * (a[r][d] - b[r][d]) / (n * dim);
    for (const Rows* z : {&a, &b})
        for (std::size_t i = 0; i < a[0].size(); ++i)
            for (std::size_t j = 0; j < a[0].size(); ++j) {
                const double covariance = moment(*z, i, *z, j) / (n - 1);
                if (i != j)
                    loss += o.covariance * covariance * covariance / dim;
                else
                    loss += o.variance * (o.convention == code ? 0.5 : 1) *
                            std::max(0.0, 1 - std::sqrt(covariance + 1e-4)) / dim;
            }
    return loss;
}

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
        for (const auto& row : x) {
            std::vector<double> w(dim);
            for (std::size_t i = 0; i < dim; ++i) {
                w[i] = row[i] - mean_of(x, i);
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
        double la = 0, lb = 0, sum = 0;
        for (const double v : a[r]) la += v * v;
        for (const double v : b[r]) lb += v * v;
        for (std::size_t d = 0; d < a[r].size(); ++d) {
            const double apart = a[r][d] / std::sqrt(la) - b[r][d] / std::sqrt(lb);
            sum += apart * apart;
        }
        loss += sum / static_cast<double>(a.size());
    }
    return loss;
}

using Function = std::function<Tensor(const Tensor&, const Tensor&)>;

/// All losses as functions of two views of 8 images in 3 dimensions or fewer, the partition of W-MSE fixed.
std::map<std::string, Function> all_losses(double eps = 0) {
    return {{"barlow_twins", BarlowTwins{.lambda = 0.05}},
            {"vicreg", Vicreg{}},
            {"vicreg_paper", Vicreg{.convention = paper}},
            {"wmse", [=](const Tensor& a, const Tensor& b) {
                 return Wmse{.w_size = a.size(0) / 2, .eps = eps}.in_order(a, b, order_of(a.size(0), 3, 1));
             }}};
}

double value(const Tensor& loss) { return loss.item<double>(); }
bool finite(const Tensor& x) { return at::isfinite(x).all().item<bool>(); }

}  // namespace

TEST_CASE("the redundancy losses give the values and gradients of lightly and of the authors' formulas") {
    // tests/reference/make_redundancy_fixtures.py; pitfall 31: both conventions of the variance term
    std::map<std::string, std::vector<double>> fixture;
    std::ifstream in(reference_folder() / "redundancy.txt");
    for (std::string line; std::getline(in, line);) {
        std::istringstream words(line);
        std::string name, what;
        words >> name >> what;
        for (double number = 0; words >> number;) fixture[name + ' ' + what].push_back(number);
    }
    for (const auto type : {at::kDouble, at::kFloat}) {
        std::size_t cases = 0;
        const auto equal = [&](const std::string& name, at::IntArrayRef shape, const Function& loss) {
            INFO(name << ' ' << type);
            const double tolerance = type == at::kDouble ? 1e-11 : 1e-5;
            const Tensor a = leaf(view0(shape), type), b = leaf(view1(shape), type), got = loss(a, b);
            got.backward();
            CHECK(got.scalar_type() == type);
            CHECK(got.dim() == 0);
            CHECK(value(got) == Approx(fixture.at(name + " value").at(0)).epsilon(tolerance).margin(tolerance));
            const Tensor expected = at::tensor(fixture.at(name + " gradient"), at::kDouble);
            CHECK(largest_difference(at::cat({a.grad().flatten(), b.grad().flatten()}), expected) <
                  tolerance * std::max(1.0, expected.abs().max().item<double>()));
            ++cases;
        };
        for (const auto& [rows, columns] : {std::pair<std::int64_t, std::int64_t>{5, 7}, {9, 4}, {6, 6}}) {
            const std::vector<std::int64_t> shape{rows, columns};
            const std::string where = std::to_string(rows) + 'x' + std::to_string(columns);
            equal("barlow_" + where + "_0.0051_1", shape, BarlowTwins{});
            equal("barlow_" + where + "_0.3_0.024", shape, BarlowTwins{.lambda = 0.3, .scale = 0.024});
            equal("vicreg_" + where + "_25_code", shape, Vicreg{});
            equal("vicreg_" + where + "_25_paper", shape, Vicreg{.convention = paper});
            Vicreg other{.invariance = 10, .variance = 5, .covariance = 2};
            equal("vicreg_" + where + "_10_code", shape, other);
            other.convention = paper;
            equal("vicreg_" + where + "_10_paper", shape, other);
        }
        const Tensor first = order_of(12, 5, 2), second = order_of(12, 7, 4);
        const auto wmse = [](double eps, const std::vector<Tensor>& orders) {
            return [=](const Tensor& a, const Tensor& b) {
                Tensor sum = at::zeros({}, a.options());
                for (const Tensor& order : orders) sum = sum + Wmse{.w_size = 6, .eps = eps}.in_order(a, b, order);
                return sum / static_cast<double>(orders.size());
            };
        };
        equal("wmse_0.0_1", {12, 3}, wmse(0, {first}));
        equal("wmse_0.0_2", {12, 3}, wmse(0, {first, second}));
        equal("wmse_0.1_1", {12, 3}, wmse(0.1, {first}));
        CHECK(cases == 21);
    }
}

TEST_CASE("the redundancy losses equal their definitions, number by number, in float64") {
    for (const auto& shape : std::vector<std::vector<std::int64_t>>{{2, 1}, {2, 5}, {8, 1}, {8, 3}, {3, 8}, {6, 6}}) {
        INFO(shape[0] << " by " << shape[1]);
        const Tensor a = view0(shape), b = view1(shape);
        for (const double weight : {0.0, 0.0051, 1.0, 30.0}) {
            const double exact = barlow_by_definition(a, b, weight);
            CHECK(value(BarlowTwins{.lambda = weight}(a, b)) == Approx(exact).epsilon(1e-10).margin(1e-11));
            CHECK(value(BarlowTwins{.lambda = weight, .scale = 0.1}(a, b)) ==
                  Approx(exact / 10).epsilon(1e-10).margin(1e-11));
        }
        for (const auto convention : {code, paper})
            for (const Vicreg& o : {Vicreg{}, Vicreg{1, 0, 0}, Vicreg{0, 1, 0}, Vicreg{0, 0, 1}}) {
                Vicreg loss = o;
                loss.convention = convention;
                CHECK(value(loss(a, b)) == Approx(vicreg_by_definition(a, b, loss)).epsilon(1e-10).margin(1e-11));
            }
    }
    for (const double eps : {0.0, 0.01, 0.5, 1.0})
        for (const std::int64_t part : {4, 6, 12}) {
            const Tensor a = view0({12, 3}), b = view1({12, 3}), order = order_of(12, 5, 2);
            const double exact = wmse_by_definition(a, b, order, static_cast<std::size_t>(part), eps);
            const Wmse loss{.w_size = part, .eps = eps};
            CHECK(value(loss.in_order(a, b, order)) == Approx(exact).epsilon(1e-10).margin(1e-11));
        }
}

TEST_CASE("elements off the diagonal count the same by small Gram matrices as in the large matrix") {
    for (const auto& shape :
         std::vector<std::vector<std::int64_t>>{{1, 1}, {4, 1}, {1, 4}, {4, 9}, {9, 4}, {5, 5}, {32, 200}})
        for (const bool alone : {false, true}) {
            INFO(shape[0] << " by " << shape[1]);
            const Tensor a = chirp(shape, 0.13, 0.9), b = alone ? a : chirp(shape, 0.29, 0.4);
            const Tensor exact = (a.t().mm(b) * (1 - at::eye(shape[1], at::kDouble))).square().sum();
            CHECK(value(off_diagonal_squares(a, b)) == Approx(value(exact)).epsilon(1e-11).margin(1e-11));
            const Tensor low = a.to(at::kFloat), other = alone ? low : b.to(at::kFloat);
            CHECK(value(off_diagonal_squares(low, other)) == Approx(value(exact)).epsilon(1e-5).margin(1e-5));
        }
}

TEST_CASE("the redundancy losses' gradients equal central differences, in both views") {
    for (const auto& [name, loss] : all_losses(0.05))
        for (const auto& shape : std::vector<std::vector<std::int64_t>>{{8, 3}, {4, 7}}) {
            INFO(name << ' ' << shape[0] << " by " << shape[1]);
            const auto of_both = [&loss = loss](const Tensor& z) { return loss(z[0], z[1]); };
            const Tensor z = leaf(at::stack({view0(shape), view1(shape)}));
            of_both(z).backward();
            CHECK(z.grad()[0].abs().max().item<double>() > 1e-3);
            CHECK(z.grad()[1].abs().max().item<double>() > 1e-3);
            const at::NoGradGuard no_grad;
            CHECK(largest_difference(z.grad(), numeric_gradient(of_both, z.detach().clone())) < 2e-6);
        }
}

TEST_CASE("the redundancy losses do not care which view is which, nor about the order of images and dimensions") {
    const std::vector<std::int64_t> shape{8, 3};
    const Tensor a = view0(shape), b = view1(shape), mixed = order_of(8, 5, 3), turned = at::tensor({2, 0, 1});
    for (const auto& [name, loss] : all_losses()) {
        INFO(name);
        const double plain = value(loss(a, b));
        const auto equal = [&](const Tensor& x, const Tensor& y) {
            CHECK(value(loss(x, y)) == Approx(plain).epsilon(1e-11));
        };
        equal(b, a);
        equal(a + 3, b + 3);  // and not where the embeddings lie
        if (name == "wmse") continue;
        equal(a.index_select(0, mixed), b.index_select(0, mixed));
        equal(a.index_select(1, turned), b.index_select(1, turned));
        CHECK(std::abs(value(loss(a.index_select(0, mixed), b)) - plain) > 1e-3);  // but a pair belongs together
    }
    // W-MSE: which parts there are counts, not what comes first
    const Wmse loss{.w_size = 4};
    const Tensor order = order_of(8, 3, 1);
    const double plain = value(loss.in_order(a, b, order));
    CHECK(value(loss.in_order(a, b, order.roll(4, 0))) == Approx(plain).epsilon(1e-11));
    CHECK(value(loss.in_order(a, b, at::cat({order.narrow(0, 0, 4).flip(0), order.narrow(0, 4, 4)}))) ==
          Approx(plain).epsilon(1e-11));
    CHECK(std::abs(value(loss.in_order(a, b, order.roll(2, 0))) - plain) > 1e-3);
}

TEST_CASE("Barlow Twins and W-MSE do not care about place and scale of each dimension, VICReg does") {
    const std::vector<std::int64_t> shape{8, 3};
    const Tensor a = view0(shape) * 100, b = view1(shape) * 100;  // far above Barlow's 1e-5
    const Tensor stretch = at::tensor({3.0, 0.5, 20.0}, at::kDouble),
                 move = at::tensor({-7.0, 900.0, 0.3}, at::kDouble);
    for (const auto& [name, loss] : all_losses()) {
        INFO(name);
        const double plain = value(loss(a, b)), other = value(loss(a * stretch + move, b));
        if (name == "barlow_twins" || name == "wmse")
            CHECK(other == Approx(plain).epsilon(1e-5));
        else
            CHECK(std::abs(other - plain) > 1);
    }
    // A triangular mixture of dimensions has the same Cholesky-whitened rows.
    const Tensor mixture = at::tensor({2.0, -1.0, 0.7, 0.0, 0.5, 3.0, 0.0, 0.0, 1.5}, at::kDouble).view({3, 3});
    CHECK(value(all_losses().at("wmse")(a.mm(mixture), b)) ==
          Approx(value(all_losses().at("wmse")(a, b))).epsilon(1e-9));
    // The sign of a dimension in both views does not count, in one it does.
    const Tensor sign = at::tensor({1.0, -1.0, 1.0}, at::kDouble);
    const BarlowTwins barlow{};
    CHECK(value(barlow(a * sign, b * sign)) == Approx(value(barlow(a, b))).epsilon(1e-11));
    CHECK(value(barlow(a * sign, b)) > value(barlow(a, b)) + 1);
}

TEST_CASE("the redundancy losses of unrelated, equal and collapsed views are known numbers") {  // section 15
    at::manual_seed(5);
    const auto noise = [](std::int64_t n, std::int64_t d) { return at::randn({n, d}, at::kFloat); };
    {  // Barlow Twins at the start: D + λ D²/N, and D/N of the diagonal's own noise
        const std::int64_t n = 128, d = 1024;
        const auto width = static_cast<double>(d), rows = static_cast<double>(n);
        const double expected = width * (1 + 1 / rows) + 0.0051 * width * width / rows;
        CHECK(value(BarlowTwins{}(noise(n, d), noise(n, d))) == Approx(expected).epsilon(0.02));
        CHECK(value(BarlowTwins{.lambda = 1}(noise(n, d), noise(n, d))) ==
              Approx(width + width * width / rows).epsilon(0.03));
        CHECK(value(BarlowTwins{.scale = 0.1}(noise(n, d), noise(n, d))) == Approx(expected / 10).epsilon(0.02));
    }
    for (const std::int64_t n : {4, 64}) {  // pitfall 30: C of equal views has a unit diagonal, whatever N
        const Tensor z = noise(n, 6) * 30;
        CHECK(value(BarlowTwins{.lambda = 0}(z, z)) == Approx(0).margin(1e-8));
        CHECK(value(BarlowTwins{.lambda = 0}(z, -z)) == Approx(4 * 6).epsilon(1e-5));
    }
    {  // uncorrelated dimensions, equal views: 0; their deviation is above 1, so that VICReg is content too
        const Tensor hadamard =
            at::tensor({1., 1., 1., -1., 1., -1., 1., -1., -1., -1., -1., 1.}, at::kDouble).view({4, 3});
        CHECK(value(BarlowTwins{.lambda = 1}(hadamard, hadamard)) == Approx(0).margin(1e-9));
        CHECK(value(Vicreg{}(hadamard, hadamard)) == Approx(0).margin(1e-12));
        CHECK(value(Wmse{.w_size = 4}(hadamard, hadamard)) == Approx(0).margin(1e-12));
        CHECK(value(Wmse{.w_size = 4}(hadamard, -hadamard)) == Approx(4).epsilon(1e-12));
    }
    CHECK(value(Wmse{.w_size = 256}(noise(4096, 64), noise(4096, 64))) == Approx(2).epsilon(0.02));

    for (const auto type : {at::kDouble, at::kFloat})
        for (const double level : {0.0, 1.0, 0.37, -50.0}) {  // pitfall 31: exact collapse
            INFO(level << ' ' << type);
            const auto collapsed = [&](const Function& loss, double expected) {
                const Tensor a = leaf(at::full({16, 5}, level), type), b = leaf(at::full({16, 5}, level), type);
                const Tensor got = loss(a, b);
                got.backward();
                CHECK(value(got) == Approx(expected).epsilon(1e-5));
                CHECK(finite(a.grad()));
                CHECK(finite(b.grad()));
            };
            collapsed(BarlowTwins{}, 5);
            collapsed(Vicreg{}, 24.75);
            collapsed(Vicreg{.convention = paper}, 49.5);
        }
    // W-MSE has no whitening for a covariance without full rank: not a number, or with eps a finite loss
    const Tensor flat = at::zeros({16, 5}, at::kFloat), same = chirp({16, 1}, 0.13, 0.9, at::kFloat).expand({16, 5});
    CHECK(std::isnan(value(Wmse{.w_size = 16}(flat, flat))));
    for (const Tensor& z : {flat, same}) {
        const Tensor a = leaf(z, at::kFloat), b = leaf(z, at::kFloat);
        const Tensor got = Wmse{.w_size = 16, .eps = 0.01}(a, b);
        got.backward();
        CHECK(std::isfinite(value(got)));
        CHECK(finite(a.grad()));
        CHECK(finite(b.grad()));
    }
}

TEST_CASE("VICReg's hinge lets go at a deviation of 1, and pulls a collapsed dimension apart") {  // pitfall 31
    const Tensor signs = at::tensor({1.0, -1.0, 1.0, -1.0}, at::kDouble).unsqueeze(1);
    const Vicreg alone{0, 1, 0};
    for (const double factor : {0.01, 0.3, 0.86, 0.87, 5.0}) {
        const Tensor z = leaf(signs * factor);
        const double deviation = std::sqrt(factor * factor * 4 / 3 + 1e-4);  // divided by N − 1
        const Tensor got = alone(z, z);
        got.backward();
        CHECK(value(got) == Approx(std::max(0.0, 1 - deviation)).margin(1e-12));
        CHECK((z.grad() * signs).sum().item<double>() <= 0);
        CHECK((z.grad().abs().max().item<double>() > 0) == (deviation < 1));
    }
}

TEST_CASE("whitened rows have mean 0 and covariance I, part by part") {
    const Tensor z = view0({12, 3}), order = order_of(12, 5, 2);
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
    const Tensor a = view0({12, 3}), b = view1({12, 3});
    Wmse loss{.w_size = 6};
    const auto drawn = [&](std::uint64_t seed) {
        at::manual_seed(seed);
        return value(loss(a, b));
    };
    at::manual_seed(8);
    const Tensor first = at::randperm(12, at::kLong), second = at::randperm(12, at::kLong);
    CHECK(drawn(8) == Approx(value(loss.in_order(a, b, first))).epsilon(1e-12));
    CHECK(drawn(8) == drawn(8));
    CHECK(drawn(8) != drawn(9));
    loss.iterations = 2;
    CHECK(drawn(8) ==
          Approx((value(loss.in_order(a, b, first)) + value(loss.in_order(a, b, second))) / 2).epsilon(1e-12));
    loss.w_size = 0;  // the whole batch: nothing is left to chance
    CHECK(drawn(8) == Approx(drawn(9)).epsilon(1e-12));
}

TEST_CASE("halves of a batch are not the batch for Barlow Twins and VICReg") {  // pitfall 29
    const Tensor a = view0({8, 3}), b = view1({8, 3});
    for (const auto& [name, loss] : all_losses()) {
        if (name == "wmse") continue;
        INFO(name);
        const double halves =
            (value(loss(a.narrow(0, 0, 4), b.narrow(0, 0, 4))) + value(loss(a.narrow(0, 4, 4), b.narrow(0, 4, 4)))) / 2;
        CHECK(std::abs(halves - value(loss(a, b))) > 1e-2);
    }
}

TEST_CASE("half-precision inputs give finite and close redundancy losses") {
    const std::vector<std::int64_t> tall{32, 8}, wide{8, 32};
    for (const auto type : {at::kHalf, at::kBFloat16})
        for (const double size : {1.0, 1000.0}) {  // squares of the second are beyond half's range
            INFO(type << ' ' << size);
            const auto close = [&](const std::vector<std::int64_t>& shape, const Function& loss, double exact) {
                const Tensor a = leaf(view0(shape) * size, type), b = leaf(view1(shape) * size, type);
                const Tensor got = loss(a, b);
                got.backward();
                CHECK(got.scalar_type() == at::kFloat);
                CHECK(value(got) == Approx(exact).epsilon(2e-4).margin(1e-4));
                CHECK(finite(a.grad()));
                CHECK(a.grad().abs().max().item<double>() > 0);
            };
            for (const auto& shape : {tall, wide}) {
                const Tensor a = (view0(shape) * size).to(type), b = (view1(shape) * size).to(type);
                close(shape, BarlowTwins{}, barlow_by_definition(a, b, 0.0051));
                if (size == 1) close(shape, Vicreg{}, vicreg_by_definition(a, b, {}));
            }
            const Tensor a = (view0(tall) * size).to(type), b = (view1(tall) * size).to(type),
                         order = order_of(32, 5, 2);
            const Wmse loss{.w_size = 16};
            close(
                tall, [&](const Tensor& x, const Tensor& y) { return loss.in_order(x, y, order); },
                wmse_by_definition(a, b, order, 16, 0));
        }
    // float32 embeddings that lie far from zero keep their digits
    const Tensor a = view0(tall) + 500, b = view1(tall) + 500;
    const Tensor low = a.to(at::kFloat), other = b.to(at::kFloat);
    CHECK(value(BarlowTwins{}(low, other)) == Approx(barlow_by_definition(low, other, 0.0051)).epsilon(1e-4));
    CHECK(value(Vicreg{}(low, other)) == Approx(vicreg_by_definition(low, other, {})).epsilon(1e-4));
}

TEST_CASE("the redundancy losses compute in float32 under bfloat16 autocast") {
    for (const auto& shape : std::vector<std::vector<std::int64_t>>{{16, 4}, {16, 40}}) {
        const Tensor a = view0(shape).to(at::kFloat), b = view1(shape).to(at::kFloat);
        for (const auto& [name, loss] : all_losses(0.1)) {
            INFO(name);
            const Tensor outside = loss(a, b);
            const Autocast scope(at::kCPU, Precision::bf16);
            CHECK(bit_equal(loss(a, b), outside));
            CHECK(a.mm(b.t()).scalar_type() == at::kBFloat16);  // the scope itself is as it was
        }
    }
}

TEST_CASE("the redundancy losses train a method of one shared network, paired once") {
    const auto train = [](auto loss) {
        Recipe recipe{.encoder = tiny(), .projector = heads::Mlp{.hidden = {16}, .out = 4}, .loss = loss};
        Method method{recipe, {.seed = 2}};
        method->begin({.samples = 1000, .steps = 2});
        std::vector<Tensor> parameters;
        for (const Tensor& p : method->parameters()) parameters.push_back(p);
        torch::optim::SGD optimizer(parameters, torch::optim::SGDOptions(0.01));
        const Tensor first = method->forward(batch_of(12));
        const auto& z = method->last()[0].online;
        CHECK(bit_equal(first.detach(), loss(z[0], z[1])));
        first.backward();
        optimizer.step();
        method->commit();
        CHECK(std::isfinite(value(method->forward(batch_of(12)))));
        CHECK(method->named_buffers().contains("encoder.bn.running_mean"));
        for (const auto& item : method->named_parameters()) CHECK(item.value().grad().defined());
    };
    train(BarlowTwins{});
    train(Vicreg{});
    train(Wmse{.w_size = 0});
}

TEST_CASE("the redundancy losses say what is wrong with their input") {
    const Tensor good = view0({4, 3});
    const auto says = [](auto&& action, std::initializer_list<std::string_view> parts) {
        const std::string message = message_of(action);
        INFO(message);
        CHECK(mentions(message, parts));
    };
    const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
    for (const double bad : {-1.0, nan, infinity}) {
        says([&] { BarlowTwins{.lambda = bad}(good, good); }, {"BarlowTwins", "lambda", "at least 0"});
        says([&] { BarlowTwins{.scale = bad}(good, good); }, {"BarlowTwins", "scale", "positive"});
        says([&] { Vicreg{.invariance = bad}(good, good); }, {"Vicreg", "invariance", "at least 0"});
        says([&] { Vicreg{.variance = bad}(good, good); }, {"Vicreg", ": variance", "at least 0"});
        says([&] { Vicreg{.covariance = bad}(good, good); }, {"Vicreg", "covariance", "at least 0"});
        says([&] { Wmse{.w_size = 4, .eps = bad}(good, good); }, {"Wmse", "eps", "0 to 1"});
    }
    says([&] { BarlowTwins{.scale = 0}(good, good); }, {"BarlowTwins", "scale", "positive", "0"});
    says([&] { Wmse{.w_size = 4, .iterations = 0}(good, good); }, {"Wmse", "iterations", "at least 1", "0"});
    says([&] { Wmse{.w_size = 1}(good, good); }, {"Wmse", "w_size", "at least 2", "1"});
    says([&] { Wmse{.w_size = -4}(good, good); }, {"Wmse", "w_size", "at least 2", "-4"});
    says([&] { Wmse{.w_size = 3, .eps = 0.1}(good, good); }, {"Wmse", "w_size", "divide", "3", "4 images"});
    says([&] { Wmse{}(good, good); }, {"Wmse", "w_size", "divide", "128", "4 images"});
    says([&] { Wmse{.w_size = 4}(view0({4, 4}), view1({4, 4})); }, {"Wmse", "w_size", "above the width", "4"});

    const auto pairs = [&](const std::string& who, auto&& loss) {
        says([&] { loss(wave({2, 3, 4}), good); }, {who, "first input", "[N, D]", "[2, 3, 4]"});
        says([&] { loss(Tensor(), good); }, {who, "first input", "[N, D]"});
        says([&] { loss(good, wave({5, 3})); }, {who, "second input", "[4, 3]", "[5, 3]"});
        says([&] { loss(good, Tensor()); }, {who, "second input", "[4, 3]"});
        says([&] { loss(good.to(at::kLong), good); }, {who, "floating-point", "long"});
        says(
            [&] {
                loss(good, at::empty({4, 3}, at::device(at::kMeta).dtype(at::kDouble)));
            },
            {who, "one device", "cpu", "meta"});
        says([&] { loss(wave({1, 3}), wave({1, 3})); }, {who, "at least 2 images", "1"});
    };
    pairs("BarlowTwins", BarlowTwins{});
    pairs("Vicreg", Vicreg{});
    pairs("Wmse", Wmse{.w_size = 0});
}
