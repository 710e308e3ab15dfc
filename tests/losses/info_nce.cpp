// SPDX-License-Identifier: Apache-2.0
#include <doppel/losses/info_nce.hpp>

#include "support/losses.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::CrossViewInfoNce;
using losses::InBatchInfoNce;
using losses::InfoNce;

namespace {

constexpr std::int64_t n = 5, d = 6, queue = 9;  // as in make_method_fixtures.py

Tensor memory_of(std::int64_t rows, std::int64_t width) { return unit(chirp({rows, width}, 0.17, 0.2)); }

double info_nce_by_definition(const Tensor& q, const Tensor& k, const Tensor& memory, double temperature) {
    const Rows a = numbers(q), b = numbers(k), rows = numbers(memory);
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::vector<double> logits{cosine(a[i], b[i]) / temperature};
        for (const auto& row : rows) logits.push_back(dot(a[i], row) / std::sqrt(dot(a[i], a[i])) / temperature);
        sum += cross_entropy(logits, 0);
    }
    return sum / static_cast<double>(a.size());
}

double in_batch_by_definition(const Tensor& q, const Tensor& k, double temperature) {
    const Rows a = numbers(q), b = numbers(k);
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::vector<double> logits;
        for (const auto& row : b) logits.push_back(cosine(a[i], row) / temperature);
        sum += 2 * temperature * cross_entropy(logits, i);
    }
    return sum / static_cast<double>(a.size());
}

}  // namespace

TEST_CASE("InfoNCE gives lightly's values and gradients, in its batch those of MoCo v3's authors") {
    const Fixture fixture = read_fixture("method_losses.txt", 4);  // make_method_fixtures.py
    for (const auto type : {at::kDouble, at::kFloat})
        for (const std::string temperature : {"0.07", "0.5"}) {
            const double t = std::stod(temperature), tolerance = type == at::kDouble ? 1e-11 : 3e-6;
            const std::string where = (type == at::kDouble ? " float64 " : " float32 ") + temperature;
            const Tensor memory = memory_of(queue, d).to(type), k = chirp({n, d}, 0.29, 0.4, type);
            const Tensor q = leaf(chirp({n, d}, 0.13, 0.9, type)), q3 = leaf(q);
            equals_fixture(fixture, "info_nce" + where, InfoNce{t}(q, k, memory), {q}, tolerance, tolerance / t);
            equals_fixture(fixture, "in_batch" + where, InBatchInfoNce{t}(q3, k), {q3}, tolerance, tolerance / t);
        }
}

TEST_CASE("InfoNCE equals its definition, number by number, in float64") {
    for (const double t : {0.01, 0.07, 0.2, 1.0, 3.0})
        for (const std::int64_t rows : {1, 2, 7}) {
            const Tensor q = chirp({rows, 5}, 0.13, 0.9) * 3, k = chirp({rows, 5}, 0.29, 0.4) * 0.2,
                         memory = memory_of(rows + 3, 5);
            INFO(rows << " images at temperature " << t);
            const auto close = [&](const Tensor& value, double exact) {
                CHECK(number(value) == Approx(exact).epsilon(1e-10).margin(1e-11));
            };
            close(InfoNce{t}(q, k, memory), info_nce_by_definition(q, k, memory, t));
            close(InfoNce{t}(q, k, memory.narrow(0, 0, 1)), info_nce_by_definition(q, k, memory.narrow(0, 0, 1), t));
            close(InBatchInfoNce{t}(q, k), in_batch_by_definition(q, k, t));
        }
}

TEST_CASE("InfoNCE's gradients equal central differences") {
    const Tensor q = chirp({n, d}, 0.13, 0.9), k = chirp({n, d}, 0.29, 0.4), memory = memory_of(queue, d);
    for (const double t : {0.1, 0.5}) {
        has_right_gradient([&](const Tensor& x) { return InfoNce{t}(x, k, memory); }, q);
        has_right_gradient([&](const Tensor& x) { return InBatchInfoNce{t}(x, k); }, q);
    }
}

TEST_CASE("no gradient of InfoNCE reaches keys and queue") {
    const Tensor k = leaf(unit(chirp({n, d}, 0.29, 0.4))), memory = leaf(memory_of(queue, d));
    for (const bool in_batch : {false, true}) {
        const Tensor q = leaf(unit(chirp({n, d}, 0.13, 0.4)));
        (in_batch ? InBatchInfoNce{}(q, k) : InfoNce{}(q, k, memory)).backward();
        CHECK(!untouched(q));
        CHECK(untouched(k));
        CHECK(untouched(memory));
    }
}

TEST_CASE("InfoNCE does not depend on the length of rows, nor on the order of images and of the queue") {
    const Tensor q = chirp({n, d}, 0.13, 0.9), k = chirp({n, d}, 0.29, 0.4), memory = memory_of(queue, d);
    const auto values = [&](const Tensor& a, const Tensor& b, const Tensor& rows) {
        return at::stack({InfoNce{}(a, b, rows), InBatchInfoNce{}(a, b)});
    };
    CHECK(largest_difference(values(q, k, memory), values(q * 1000, k * 1e-3, memory)) < 1e-11);
    const Tensor lengths = at::tensor({1e-4, 3.0, 200.0, 0.5, 1e5}, at::kDouble).unsqueeze(1);
    CHECK(largest_difference(values(q, k, memory), values(q * lengths, k / lengths, memory)) < 1e-11);
    const Tensor order = at::tensor({3, 1, 4, 0, 2}), mixed = at::tensor({8, 0, 3, 1, 7, 2, 6, 5, 4});
    const auto at_order = [&](const Tensor& x) { return x.index_select(0, order); };
    CHECK(largest_difference(values(q, k, memory), values(at_order(q), at_order(k), memory.index_select(0, mixed))) < 1e-11);
    // but row i belongs to row i
    CHECK(number(InfoNce{}(q, q, memory)) + 1 < number(InfoNce{}(q, at_order(q), memory)));
    CHECK(number(InBatchInfoNce{0.1}(q, q)) + 0.1 < number(InBatchInfoNce{0.1}(q, at_order(q))));
}

TEST_CASE("InfoNCE of uninformative and perfect embeddings is a known number") {
    const auto ones = [](std::int64_t rows) { return at::ones({rows, 4}, at::kFloat); };
    const Tensor half = ones(1).div(2);  // a unit row
    // MoCo: log(K + 1); K = 65536 and 4096
    CHECK(number(InfoNce{0.07}(ones(8), ones(8), half.expand({65536, 4}))) == Approx(11.0904).margin(1e-4));
    CHECK(number(InfoNce{0.2}(ones(8), ones(8), half.expand({4096, 4}))) == Approx(std::log(4097.0)).margin(1e-4));
    CHECK(number(InfoNce{0.2}(ones(8), ones(8), half.expand({4096, 4}))) == Approx(8.318).margin(1e-3));
    // MoCo v3: 2·2τ·log N, N = 4096
    CHECK(2 * number(InBatchInfoNce{0.2}(ones(4096), ones(4096))) == Approx(6.654).margin(1e-3));
    CHECK(2 * number(InBatchInfoNce{1}(ones(4096), ones(4096))) == Approx(33.27).margin(1e-2));
    // a single image has no other: 0
    CHECK(number(InBatchInfoNce{0.2}(ones(1), ones(1))) == Approx(0).margin(1e-6));
    const Tensor apart = at::eye(8, at::kDouble);  // perfect: every image in a direction of its own
    CHECK(number(InfoNce{0.01}(apart.narrow(0, 0, 4), apart.narrow(0, 0, 4), apart.narrow(0, 4, 4))) ==
          Approx(0).margin(1e-12));
    CHECK(number(InBatchInfoNce{0.01}(apart, apart)) == Approx(0).margin(1e-12));
}

TEST_CASE("MoCo v3's factor 2 tau is there, and its two directions are added") {
    const Tensor q = chirp({n, d}, 0.13, 0.9), k = chirp({n, d}, 0.29, 0.4);
    for (const double t : {0.2, 1.0}) {
        const Tensor plain = at::cross_entropy_loss(unit(q).mm(unit(k).t()) / t, at::arange(n));
        CHECK(number(InBatchInfoNce{t}(q, k)) == Approx(2 * t * number(plain)).epsilon(1e-12));
    }
    CHECK(InBatchInfoNce::Pairing{}.reduce == pairings::Reduce::sum);
}

TEST_CASE("CrossViewInfoNce is the mean of both directions' cross-entropies, with gradients into both views") {
    const Tensor first = chirp({n, d}, 0.13, 0.9), second = chirp({n, d}, 0.29, 0.4);
    for (const double t : {0.07, 0.1, 1.0}) {
        const CrossViewInfoNce loss{.temperature = t};
        const Tensor logits = unit(first).mm(unit(second).t()) / t;
        const Tensor plain = (at::cross_entropy_loss(logits, at::arange(n)) + at::cross_entropy_loss(logits.t(), at::arange(n))) / 2;
        CHECK(number(loss(first, second)) == Approx(number(plain)).epsilon(1e-12));
        CHECK(number(loss(first, second)) == Approx(number(loss(second, first))).epsilon(1e-12));
        CHECK(2 * number(loss(first, second)) * 2 * t ==
              Approx(in_batch_by_definition(first, second, t) + in_batch_by_definition(second, first, t)).epsilon(1e-11));
        has_right_gradient([&](const Tensor& x) { return loss(x, second); }, first);
        has_right_gradient([&](const Tensor& x) { return loss(first, x); }, second);
    }
    const auto ones = at::ones({8, 4}, at::kFloat);  // uninformative
    CHECK(number(CrossViewInfoNce{}(ones, ones)) == Approx(std::log(8.0)).epsilon(1e-6));
    const Tensor apart = at::eye(8, at::kDouble);
    CHECK(number(CrossViewInfoNce{0.01}(apart, apart)) == Approx(0).margin(1e-12));
    const Tensor wide = chirp({16, 16}, 0.13, 0.9, at::kFloat), other = chirp({16, 16}, 0.29, 0.4, at::kFloat);
    is_not_changed_by_autocast([&] { return CrossViewInfoNce{0.05}(wide, other); });
    is_finite_at([&](const Tensor& x) { return CrossViewInfoNce{}(x, at::zeros({n, d}, at::kDouble)); }, at::zeros({n, d}, at::kDouble));
    refuses_what_is_not_positive([&](double bad) { CrossViewInfoNce{bad}(apart, apart); }, {"CrossViewInfoNce", "temperature"});
    refuses_wrong_pairs("CrossViewInfoNce", CrossViewInfoNce{});
}

TEST_CASE("InfoNCE of half-precision inputs stays finite and close at temperature 0.01") {
    const Tensor q = chirp({32, 16}, 0.13, 0.9), k = chirp({32, 16}, 0.29, 0.4), memory = memory_of(40, 16).to(at::kFloat);
    for (const auto type : {at::kHalf, at::kBFloat16})
        for (const double t : {0.01, 0.05, 0.5}) {
            INFO("temperature " << t);
            const Tensor a = q.to(type), b = k.to(type);
            is_close_in_half([&](const Tensor& x) { return InfoNce{t}(x, b, memory); }, a,
                             info_nce_by_definition(a, b, memory, t));
            is_close_in_half([&](const Tensor& x) { return InBatchInfoNce{t}(x, b); }, a, in_batch_by_definition(a, b, t));
        }
}

TEST_CASE("InfoNCE computes in float32 under bfloat16 autocast") {
    const Tensor q = chirp({16, 16}, 0.13, 0.9, at::kFloat), k = chirp({16, 16}, 0.29, 0.4, at::kFloat),
                 memory = memory_of(40, 16).to(at::kFloat);
    is_not_changed_by_autocast([&] { return InfoNce{0.05}(q, k, memory); });
    is_not_changed_by_autocast([&] { return InBatchInfoNce{0.05}(q, k); });
}

TEST_CASE("zero rows give a finite InfoNCE and finite gradients") {
    const Tensor zero = at::zeros({n, d}, at::kDouble), memory = memory_of(queue, d);
    is_finite_at([&](const Tensor& q) { return InfoNce{}(q, zero, memory); }, zero);
    is_finite_at([&](const Tensor& q) { return InBatchInfoNce{}(q, zero); }, zero);
}

TEST_CASE("InfoNCE says what is wrong with its input") {
    const Tensor good = wave({4, 3}), memory = memory_of(5, 3);
    refuses_what_is_not_positive([&](double bad) { InfoNce{bad}(good, good, memory); },
                                 {"InfoNce", "temperature", "positive and finite"});
    refuses_what_is_not_positive([&](double bad) { InBatchInfoNce{bad}(good, good); },
                                 {"InBatchInfoNce", "temperature", "positive and finite"});
    refuses_wrong_pairs("InfoNce", [&](const Tensor& a, const Tensor& b) { return InfoNce{}(a, b, memory); });
    refuses_wrong_pairs("InBatchInfoNce", InBatchInfoNce{});
    says([&] { InfoNce{}(good, good, Tensor()); }, {"InfoNce", "queue", "[K, 3]"});
    says([&] { InfoNce{}(good, good, wave({5, 4})); }, {"InfoNce", "queue", "[K, 3]", "[5, 4]"});
    says([&] { InfoNce{}(good, good, wave({3})); }, {"InfoNce", "queue", "[K, 3]", "[3]"});
}
