// SPDX-License-Identifier: Apache-2.0
#include <doppel/core/nearest.hpp>
#include <doppel/losses/nnclr.hpp>

#include "support/losses.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::Nnclr;

namespace {

constexpr std::int64_t n = 5, d = 6, queue = 9;  // as in make_variant_fixtures.py
Tensor memory_of(std::int64_t rows, std::int64_t width) { return unit(chirp({rows, width}, 0.17, 0.2)); }

double nnclr_by_definition(const Tensor& p, const Tensor& z, const Tensor& memory, double temperature) {
    const Rows predictions = unit_rows(p), keys = unit_rows(z), rows = numbers(memory);
    double sum = 0;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        std::size_t nearest = 0;
        for (std::size_t j = 1; j < rows.size(); ++j)
            if (dot(keys[i], rows[j]) > dot(keys[i], rows[nearest])) nearest = j;
        std::vector<double> logits;
        for (const auto& prediction : predictions) logits.push_back(dot(rows[nearest], prediction) / temperature);
        sum += cross_entropy(logits, i);
    }
    return sum / static_cast<double>(keys.size());
}

}  // namespace

TEST_CASE("NNCLR gives solo-learn's values and gradients over both directions") {
    const Fixture fixture = read_fixture("variants.txt", 3);  // make_variant_fixtures.py
    for (const auto type : {at::kDouble, at::kFloat})
        for (const std::string temperature : {"0.07", "0.5"}) {
            const double t = std::stod(temperature), tolerance = type == at::kDouble ? 1e-11 : 1e-5;
            const Tensor z0 = chirp({n, d}, 0.13, 0.9, type), z1 = chirp({n, d}, 0.29, 0.4, type);
            const Tensor p0 = leaf(chirp({n, d}, 0.23, 0.5, type)), p1 = leaf(chirp({n, d}, 0.37, 0.1, type));
            const Tensor memory = memory_of(queue, d).to(type);
            equals_fixture(fixture, "nnclr " + temperature, (Nnclr{t}(p0, z1, memory) + Nnclr{t}(p1, z0, memory)) / 2, {p0, p1},
                           tolerance, tolerance / t);
        }
}

TEST_CASE("NNCLR equals its definition, number by number, in float64") {
    for (const double t : {0.01, 0.07, 0.5, 2.0})
        for (const std::int64_t rows : {2, 3, 8}) {
            const Tensor a = chirp({rows, 5}, 0.13, 0.9) * 3, b = chirp({rows, 5}, 0.29, 0.4) * 0.2;
            INFO(rows << " images at temperature " << t);
            for (const Tensor& memory : {memory_of(rows + 3, 5), memory_of(rows + 3, 5).narrow(0, 0, 1)})
                CHECK(number(Nnclr{t}(a, b, memory)) ==
                      Approx(nnclr_by_definition(a, b, memory, t)).epsilon(1e-10).margin(1e-11));
        }
}

TEST_CASE("NNCLR's gradient equals central differences, and none reaches keys and support set") {
    const Tensor y = leaf(chirp({n, d}, 0.29, 0.4)), memory = leaf(memory_of(queue, d));
    for (const double t : {0.1, 0.5})
        has_right_gradient([&](const Tensor& x) { return Nnclr{t}(x, y, memory); }, chirp({n, d}, 0.13, 0.9));
    CHECK(!y.grad().defined());
    CHECK(!memory.grad().defined());
}

TEST_CASE("NNCLR's positive is the row that nearest_rows finds, and nothing else of the key counts") {
    const Tensor p = chirp({n, d}, 0.13, 0.9, at::kFloat), z = chirp({n, d}, 0.29, 0.4, at::kFloat);
    const Tensor memory = memory_of(40, d).to(at::kFloat);
    const Tensor near = nearest_rows(memory, z), logits = near.mm(unit(p).t()) / 0.1;
    const double value = number(Nnclr{0.1}(p, z, memory));
    CHECK(value == Approx(number(at::cross_entropy_loss(logits, at::arange(n)))).epsilon(1e-5));
    CHECK(number(Nnclr{0.1}(p, near * 7, memory)) == value);  // a row is its own neighbor
    CHECK(number(Nnclr{0.1}(p, z.to(at::kDouble), memory)) == Approx(value).epsilon(1e-5));
}

TEST_CASE("NNCLR of uninformative and perfect embeddings is a known number") {
    for (const std::int64_t images : {8, 256}) {
        const Tensor ones = at::ones({images, 4}, at::kFloat);
        CHECK(number(Nnclr{0.1}(ones, ones, at::full({9, 4}, 0.5f))) ==
              Approx(std::log(static_cast<double>(images))).margin(1e-4));
    }
    // every prediction is the neighbor of its own image
    const Tensor apart = at::eye(8, at::kDouble);
    CHECK(number(Nnclr{0.01}(apart, apart, apart.flip(0))) == Approx(0).margin(1e-12));
}

TEST_CASE("NNCLR does not depend on lengths, the order of images and of the support set") {
    const Tensor a = chirp({n, d}, 0.13, 0.9), b = chirp({n, d}, 0.29, 0.4), memory = memory_of(queue, d);
    const double start = number(Nnclr{}(a, b, memory));
    CHECK(number(Nnclr{}(a * 1000, b * 1e-3, memory)) == Approx(start).epsilon(1e-11));
    const Tensor lengths = at::tensor({1e-4, 3.0, 200.0, 0.5, 1e5}, at::kDouble).unsqueeze(1);
    CHECK(number(Nnclr{}(a * lengths, b / lengths, memory)) == Approx(start).epsilon(1e-11));
    const Tensor order = at::tensor({3, 1, 4, 0, 2}), mixed = at::tensor({8, 0, 3, 1, 7, 2, 6, 5, 4});
    CHECK(number(Nnclr{}(a.index_select(0, order), b.index_select(0, order), memory.index_select(0, mixed))) ==
          Approx(start).epsilon(1e-11));
    // but row i belongs to row i
    const Tensor apart = at::eye(n, at::kDouble);
    CHECK(number(Nnclr{}(apart, apart.roll(1, 0), apart)) > number(Nnclr{}(apart, apart, apart)) + 1);
}

TEST_CASE("NNCLR of half-precision inputs stays finite and close at temperature 0.01") {
    const Tensor memory = memory_of(40, 16).to(at::kFloat);
    for (const auto type : {at::kHalf, at::kBFloat16})
        for (const double t : {0.01, 0.05, 0.5}) {
            INFO("temperature " << t);
            const Tensor a = chirp({32, 16}, 0.13, 0.9, type), b = chirp({32, 16}, 0.29, 0.4, type);
            is_close_in_half([&](const Tensor& x) { return Nnclr{t}(x, b, memory); }, a, nnclr_by_definition(a, b, memory, t),
                             1e-4, 1e-4);
        }
}

TEST_CASE("NNCLR computes in float32 under bfloat16 autocast, and survives rows of zeros") {
    const Tensor x = chirp({16, 16}, 0.13, 0.9, at::kFloat), y = chirp({16, 16}, 0.29, 0.4, at::kFloat);
    const Tensor memory = memory_of(40, 16).to(at::kFloat);
    is_not_changed_by_autocast([&] { return Nnclr{0.05}(x, y, memory); });
    is_finite_at([&](const Tensor& z) { return Nnclr{}(z, z, memory_of(queue, d)); }, at::zeros({n, d}, at::kDouble));
}

TEST_CASE("NNCLR says what is wrong with its input") {
    const Tensor good = wave({4, 3}), memory = memory_of(5, 3);
    refuses_what_is_not_positive([&](double bad) { Nnclr{bad}(good, good, memory); },
                                 {"Nnclr:", "temperature", "positive and finite"});
    refuses_wrong_pairs("Nnclr", [&](const Tensor& a, const Tensor& b) { return Nnclr{}(a, b, memory); });
    for (const Tensor& rows : {Tensor(), wave({5, 4}), wave({3}), at::empty({0, 3}, at::kDouble)})
        says([&] { Nnclr{}(good, good, rows); }, {"Nnclr", "support set", "[K, 3]"});
}
