// SPDX-License-Identifier: Apache-2.0
#include <doppel/losses/ressl.hpp>

#include "support/losses.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::Ressl;

namespace {

constexpr std::int64_t n = 5, d = 6, queue = 9;  // as in make_variant_fixtures.py
Tensor memory_of(std::int64_t rows, std::int64_t width) { return unit(chirp({rows, width}, 0.17, 0.2)); }

double ressl_by_definition(const Tensor& online, const Tensor& target, const Tensor& memory, double temperature,
                           double target_temperature) {
    const Rows o = unit_rows(online), t = unit_rows(target), rows = numbers(memory);
    double sum = 0;
    for (std::size_t i = 0; i < o.size(); ++i) {
        std::vector<double> seen, wanted;
        for (const auto& row : rows) {
            seen.push_back(dot(o[i], row) / temperature);
            wanted.push_back(dot(t[i], row) / target_temperature);
        }
        for (std::size_t j = 0; j < rows.size(); ++j)
            sum -= std::exp(wanted[j] - log_sum_exp(wanted)) * (seen[j] - log_sum_exp(seen));
    }
    return sum / static_cast<double>(o.size());
}

}  // namespace

TEST_CASE("ReSSL gives solo-learn's values and gradients") {
    const Fixture fixture = read_fixture("variants.txt", 3);  // make_variant_fixtures.py
    for (const auto type : {at::kDouble, at::kFloat})
        for (const std::string temperature : {"0.07", "0.5"}) {
            const double t = std::stod(temperature), tolerance = type == at::kDouble ? 1e-11 : 1e-5;
            const Tensor z0 = leaf(chirp({n, d}, 0.13, 0.9, type)), z1 = chirp({n, d}, 0.29, 0.4, type);
            equals_fixture(fixture, "ressl " + temperature, Ressl{t, 0.4 * t}(z0, z1, memory_of(queue, d).to(type)), {z0},
                           tolerance, tolerance / t);
        }
}

TEST_CASE("ReSSL equals its definition, number by number, in float64") {
    for (const double t : {0.01, 0.07, 0.5, 2.0})
        for (const std::int64_t rows : {2, 3, 8}) {
            const Tensor a = chirp({rows, 5}, 0.13, 0.9) * 3, b = chirp({rows, 5}, 0.29, 0.4) * 0.2, m = memory_of(rows + 3, 5);
            INFO(rows << " images at temperature " << t);
            CHECK(number(Ressl{t, 0.04}(a, b, m)) == Approx(ressl_by_definition(a, b, m, t, 0.04)).epsilon(1e-10).margin(1e-11));
            CHECK(number(Ressl{0.1, t}(a, b, m)) == Approx(ressl_by_definition(a, b, m, 0.1, t)).epsilon(1e-10).margin(1e-11));
        }
}

TEST_CASE("ReSSL's gradient equals central differences, and none reaches target and queue") {
    const Tensor y = leaf(chirp({n, d}, 0.29, 0.4)), memory = leaf(memory_of(queue, d));
    for (const double t : {0.1, 0.5})
        has_right_gradient([&](const Tensor& x) { return Ressl{t, 0.04}(x, y, memory); }, chirp({n, d}, 0.13, 0.9));
    CHECK(!y.grad().defined());
    CHECK(!memory.grad().defined());
}

TEST_CASE("ReSSL's least value is the entropy of the target's relations") {
    const Tensor t = chirp({n, d}, 0.29, 0.4), memory = memory_of(queue, d);
    const Tensor q = (unit(t).mm(memory.t()) / 0.1).softmax(1);
    const double entropy = -number((q * q.log()).sum(1).mean());
    CHECK(number(Ressl{0.1, 0.1}(t, t, memory)) == Approx(entropy).epsilon(1e-12));
    for (const double shift : {0.01, 0.3, 2.0})
        CHECK(number(Ressl{0.1, 0.1}(t + shift * chirp({n, d}, 0.13, 0.9), t, memory)) > entropy);
    // all rows of the queue alike: log K
    for (const std::int64_t rows : {8, 256})
        CHECK(number(Ressl{}(at::ones({8, 4}), at::ones({8, 4}), at::full({rows, 4}, 0.5f))) ==
              Approx(std::log(static_cast<double>(rows))).margin(1e-4));
}

TEST_CASE("ReSSL does not depend on lengths, the order of images and of the queue") {
    const Tensor a = chirp({n, d}, 0.13, 0.9), b = chirp({n, d}, 0.29, 0.4), memory = memory_of(queue, d);
    const double start = number(Ressl{}(a, b, memory));
    CHECK(number(Ressl{}(a * 1000, b * 1e-3, memory)) == Approx(start).epsilon(1e-11));
    const Tensor lengths = at::tensor({1e-4, 3.0, 200.0, 0.5, 1e5}, at::kDouble).unsqueeze(1);
    CHECK(number(Ressl{}(a * lengths, b / lengths, memory)) == Approx(start).epsilon(1e-11));
    const Tensor order = at::tensor({3, 1, 4, 0, 2}), mixed = at::tensor({8, 0, 3, 1, 7, 2, 6, 5, 4});
    CHECK(number(Ressl{}(a.index_select(0, order), b.index_select(0, order), memory.index_select(0, mixed))) ==
          Approx(start).epsilon(1e-11));
    // but row i belongs to row i
    const Tensor apart = at::eye(n, at::kDouble);
    CHECK(number(Ressl{}(apart, apart.roll(1, 0), apart)) > number(Ressl{}(apart, apart, apart)) + 1);
}

TEST_CASE("ReSSL of half-precision inputs stays finite and close at temperature 0.01") {
    const Tensor memory = memory_of(40, 16).to(at::kFloat);
    for (const auto type : {at::kHalf, at::kBFloat16})
        for (const double t : {0.01, 0.05, 0.5}) {
            INFO("temperature " << t);
            const Tensor a = chirp({32, 16}, 0.13, 0.9, type), b = chirp({32, 16}, 0.29, 0.4, type);
            is_close_in_half([&](const Tensor& x) { return Ressl{t, t}(x, b.to(at::kDouble), memory); }, a,
                             ressl_by_definition(a, b, memory, t, t), 1e-4, 1e-4);
        }
}

TEST_CASE("ReSSL computes in float32 under bfloat16 autocast, and survives rows of zeros") {
    const Tensor x = chirp({16, 16}, 0.13, 0.9, at::kFloat), y = chirp({16, 16}, 0.29, 0.4, at::kFloat);
    const Tensor memory = memory_of(40, 16).to(at::kFloat);
    is_not_changed_by_autocast([&] { return Ressl{0.05}(x, y, memory); });
    is_finite_at([&](const Tensor& z) { return Ressl{}(z, z, memory_of(queue, d)); }, at::zeros({n, d}, at::kDouble));
}

TEST_CASE("ReSSL says what is wrong with its input") {
    const Tensor good = wave({4, 3}), memory = memory_of(5, 3);
    refuses_what_is_not_positive([&](double bad) { Ressl{bad}(good, good, memory); },
                                 {"Ressl:", "temperature", "positive and finite"});
    refuses_what_is_not_positive([&](double bad) { Ressl{0.1, bad}(good, good, memory); },
                                 {"Ressl:", "target_temperature", "positive and finite"});
    refuses_wrong_pairs("Ressl", [&](const Tensor& a, const Tensor& b) { return Ressl{}(a, b, memory); });
    for (const Tensor& rows : {Tensor(), wave({5, 4}), wave({3}), at::empty({0, 3}, at::kDouble)})
        says([&] { Ressl{}(good, good, rows); }, {"Ressl", "queue", "[K, 3]"});
}
