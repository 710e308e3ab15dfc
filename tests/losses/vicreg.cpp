// SPDX-License-Identifier: Apache-2.0
#include <doppel/losses/vicreg.hpp>

#include "support/losses.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::Vicreg;

namespace {

constexpr auto code = Vicreg::Convention::code, paper = Vicreg::Convention::paper;

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

}  // namespace

TEST_CASE("VICReg gives lightly's values and gradients, with the variance term halved as in the code and as in the paper") {
    const Fixture fixture = read_fixture("redundancy.txt", 2);  // make_redundancy_fixtures.py
    for (const auto type : {at::kDouble, at::kFloat})
        for (const std::string shape : {"5x7", "9x4", "6x6"})
            for (const bool ours : {true, false})
                for (const auto convention : {code, paper}) {
                    const std::string key =
                        "vicreg_" + shape + (ours ? "_25" : "_10") + (convention == code ? "_code" : "_paper");
                    const std::vector<std::int64_t> size{shape[0] - '0', shape[2] - '0'};
                    const Tensor a = leaf(related_view(0, size), type), b = leaf(related_view(1, size), type);
                    Vicreg loss = ours ? Vicreg{} : Vicreg{.invariance = 10, .variance = 5, .covariance = 2};
                    loss.convention = convention;
                    const double tolerance = type == at::kDouble ? 1e-11 : 1e-5;
                    const Tensor largest = at::tensor(fixture.at(key + " gradient"), at::kDouble).abs().max();
                    equals_fixture(fixture, key, loss(a, b), {a, b}, tolerance, tolerance * std::max(1.0, number(largest)));
                }
}

TEST_CASE("VICReg equals its definition, number by number, in float64") {
    for (const auto& shape : std::vector<std::vector<std::int64_t>>{{2, 1}, {2, 5}, {8, 1}, {8, 3}, {3, 8}, {6, 6}})
        for (const auto convention : {code, paper})
            for (const Vicreg& o : {Vicreg{}, Vicreg{1, 0, 0}, Vicreg{0, 1, 0}, Vicreg{0, 0, 1}}) {
                INFO(shape[0] << " by " << shape[1]);
                const Tensor a = related_view(0, shape), b = related_view(1, shape);
                Vicreg loss = o;
                loss.convention = convention;
                CHECK(number(loss(a, b)) == Approx(vicreg_by_definition(a, b, loss)).epsilon(1e-10).margin(1e-11));
            }
}

TEST_CASE("VICReg's gradients equal central differences, in both views") {
    for (const auto& shape : std::vector<std::vector<std::int64_t>>{{8, 3}, {4, 7}})
        for (const auto convention : {code, paper})
            has_right_gradients(Vicreg{.convention = convention}, related_view(0, shape), related_view(1, shape), 2e-6);
}

TEST_CASE("VICReg does not depend on which view is which, nor on the order of images and dimensions; on scale it does") {
    const Tensor a = related_view(0, {8, 3}), b = related_view(1, {8, 3});
    const Tensor mixed = order_of(8, 5, 3), turned = at::tensor({2, 0, 1});
    for (const auto convention : {code, paper}) {
        const Vicreg loss{.convention = convention};
        const auto plain = Approx(number(loss(a, b))).epsilon(1e-11);
        CHECK(number(loss(b, a)) == plain);
        CHECK(number(loss(a + 3, b + 3)) == plain);
        CHECK(number(loss(a.index_select(0, mixed), b.index_select(0, mixed))) == plain);
        CHECK(number(loss(a.index_select(1, turned), b.index_select(1, turned))) == plain);
        CHECK(std::abs(number(loss(a.index_select(0, mixed), b)) - number(loss(a, b))) > 1e-3);  // a pair belongs together
        const Tensor stretch = at::tensor({3.0, 0.5, 20.0}, at::kDouble), move = at::tensor({-7.0, 900.0, 0.3}, at::kDouble);
        CHECK(std::abs(number(loss(a * 100 * stretch + move, b * 100)) - number(loss(a * 100, b * 100))) > 1);
    }
}

TEST_CASE("VICReg of perfect and of collapsed views is a known number") {
    // uncorrelated dimensions with a deviation above 1, equal views: 0
    const Tensor hadamard = at::tensor({1., 1., 1., -1., 1., -1., 1., -1., -1., -1., -1., 1.}, at::kDouble).view({4, 3});
    CHECK(number(Vicreg{}(hadamard, hadamard)) == Approx(0).margin(1e-12));
    for (const auto type : {at::kDouble, at::kFloat})
        for (const double level : {0.0, 1.0, 0.37, -50.0})  // exact collapse: 25 · (1 − √1e-4), per view half or whole
            for (const auto convention : {code, paper}) {
                INFO(level << ' ' << type);
                const Tensor a = leaf(at::full({16, 5}, level), type), b = leaf(at::full({16, 5}, level), type);
                const Tensor got = Vicreg{.convention = convention}(a, b);
                got.backward();
                CHECK(number(got) == Approx(convention == code ? 24.75 : 49.5).epsilon(1e-5));
                CHECK(finite(a.grad()));
                CHECK(finite(b.grad()));
            }
}

TEST_CASE("VICReg's hinge lets go at a deviation of 1, and pulls a collapsed dimension apart") {
    const Tensor signs = at::tensor({1.0, -1.0, 1.0, -1.0}, at::kDouble).unsqueeze(1);
    const Vicreg alone{0, 1, 0};
    for (const double factor : {0.01, 0.3, 0.86, 0.87, 5.0}) {
        const Tensor z = leaf(signs * factor);
        const double deviation = std::sqrt(factor * factor * 4 / 3 + 1e-4);  // divided by N − 1
        const Tensor got = alone(z, z);
        got.backward();
        CHECK(number(got) == Approx(std::max(0.0, 1 - deviation)).margin(1e-12));
        CHECK((z.grad() * signs).sum().item<double>() <= 0);
        CHECK((z.grad().abs().max().item<double>() > 0) == (deviation < 1));
    }
}

TEST_CASE("halves of a batch are not the batch for VICReg") {
    const Tensor a = related_view(0, {8, 3}), b = related_view(1, {8, 3});
    for (const auto convention : {code, paper}) {
        const Vicreg loss{.convention = convention};
        const double first = number(loss(a.narrow(0, 0, 4), b.narrow(0, 0, 4)));
        const double second = number(loss(a.narrow(0, 4, 4), b.narrow(0, 4, 4)));
        CHECK(std::abs((first + second) / 2 - number(loss(a, b))) > 1e-2);
    }
}

TEST_CASE("VICReg of half-precision inputs is finite and close, also far from zero") {
    for (const auto& shape : std::vector<std::vector<std::int64_t>>{{32, 8}, {8, 32}})
        for (const auto type : {at::kHalf, at::kBFloat16}) {
            const Tensor a = related_view(0, shape).to(type), b = related_view(1, shape).to(type);
            is_close_in_half([&](const Tensor& x) { return Vicreg{}(x, b); }, a, vicreg_by_definition(a, b, {}), 2e-4, 1e-4);
        }
    // float32 embeddings that lie far from zero keep their digits
    const Tensor a = (related_view(0, {32, 8}) + 500).to(at::kFloat), b = (related_view(1, {32, 8}) + 500).to(at::kFloat);
    CHECK(number(Vicreg{}(a, b)) == Approx(vicreg_by_definition(a, b, {})).epsilon(1e-4));
}

TEST_CASE("VICReg computes in float32 under bfloat16 autocast") {
    for (const auto& shape : std::vector<std::vector<std::int64_t>>{{16, 4}, {16, 40}}) {
        const Tensor a = related_view(0, shape).to(at::kFloat), b = related_view(1, shape).to(at::kFloat);
        is_not_changed_by_autocast([&] { return Vicreg{}(a, b); });
        is_not_changed_by_autocast([&] { return Vicreg{.convention = paper}(a, b); });
    }
}

TEST_CASE("VICReg trains a method of one shared network, paired once") { trains_one_network(Vicreg{}); }

TEST_CASE("VICReg says what is wrong with its input") {
    const Tensor good = related_view(0, {4, 3});
    for (const double bad : {-1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        says([&] { Vicreg{.invariance = bad}(good, good); }, {"Vicreg", "invariance", "at least 0"});
        says([&] { Vicreg{.variance = bad}(good, good); }, {"Vicreg", ": variance", "at least 0"});
        says([&] { Vicreg{.covariance = bad}(good, good); }, {"Vicreg", "covariance", "at least 0"});
    }
    refuses_wrong_pairs("Vicreg", Vicreg{});
    says([&] { Vicreg{}(wave({1, 3}), wave({1, 3})); }, {"Vicreg", "at least 2 images", "1"});
}
