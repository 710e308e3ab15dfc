// SPDX-License-Identifier: Apache-2.0
#include <doppel/losses/inst_disc.hpp>

#include "support/losses.hpp"
#include "support/peak_memory.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::InstanceNce;
using losses::InstanceSoftmax;

namespace {

constexpr std::int64_t n = 5, d = 6, negatives = 9, images = 11;  // as in make_method_fixtures.py

Tensor memory_of(std::int64_t rows, std::int64_t width) { return unit(chirp({rows, width}, 0.17, 0.2)); }
Tensor image_numbers() { return (at::arange(n) * 7 + 3).remainder(images); }
Tensor noise_rows() {
    const Tensor noise = (at::arange(n * negatives).reshape({n, negatives}) * 5 + 2).remainder(images);
    return at::cat({image_numbers().unsqueeze(1), noise}, 1);
}

/// What an instance loss looks at.
Outputs outputs(const Tensor& v, const Tensor& bank, const Tensor& index) {
    Outputs out;
    out.online = {v};
    out.memory = bank;
    out.index = index;
    return out;
}

/// NCE with its state, and Z when it is known.
InstanceNce nce(double temperature, double known = 0) {
    InstanceNce loss{.temperature = temperature};
    loss.build(6);
    loss.state([&](const char*, Tensor& log_z) { log_z.fill_(std::log(known)); });
    return loss;
}

double z_of(InstanceNce& loss) {
    double value = 0;
    loss.state([&](const char*, const Tensor& log_z) { value = std::exp(log_z.item<double>()); });
    return value;
}

double softmax_by_definition(const Tensor& v, const Tensor& bank, const Tensor& index, double temperature) {
    const Rows a = numbers(v), rows = numbers(bank);
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::vector<double> logits;
        for (const auto& row : rows) logits.push_back(dot(a[i], row) / std::sqrt(dot(a[i], a[i])) / temperature);
        const auto own = index[static_cast<std::int64_t>(i)].item<std::int64_t>();
        sum += cross_entropy(logits, static_cast<std::size_t>(own));
    }
    return sum / static_cast<double>(a.size());
}

/// With Z ≤ 0 it is estimated.
double nce_by_definition(const Tensor& z, const Tensor& bank, const Tensor& rows, double temperature, double known) {
    const Rows a = numbers(z), m = numbers(bank), which = numbers(rows);
    const auto count = static_cast<double>(m.size()), share = static_cast<double>(which[0].size() - 1) / count;
    const auto e = [&](std::size_t b, std::size_t k) {
        return std::exp(dot(a[b], m[static_cast<std::size_t>(which[b][k])]) / temperature);
    };
    if (known <= 0) {
        double sum = 0;
        for (std::size_t b = 0; b < a.size(); ++b)
            for (std::size_t k = 0; k < which[b].size(); ++k) sum += e(b, k);
        known = count * sum / static_cast<double>(a.size() * which[0].size());
    }
    double loss = 0;
    for (std::size_t b = 0; b < a.size(); ++b)
        for (std::size_t k = 0; k < which[b].size(); ++k) {
            const double p = e(b, k) / known;
            loss -= std::log(k == 0 ? p / (p + share) : share / (p + share));
        }
    return loss / static_cast<double>(a.size());
}

}  // namespace

TEST_CASE("the instance losses give torch's values and gradients, NCE with its first Z and with a known one") {
    const Fixture fixture = read_fixture("method_losses.txt", 4);  // make_method_fixtures.py
    for (const auto type : {at::kDouble, at::kFloat})
        for (const std::string temperature : {"0.07", "0.5"}) {
            const double t = std::stod(temperature), tolerance = type == at::kDouble ? 1e-11 : 3e-6;
            const std::string where = (type == at::kDouble ? " float64 " : " float32 ") + temperature;
            const Tensor v = leaf(chirp({n, d}, 0.13, 0.9, type)), bank = memory_of(images, d).to(type);
            equals_fixture(fixture, "softmax" + where, InstanceSoftmax{t}(outputs(v, bank, image_numbers())), {v}, tolerance,
                           tolerance / t);
            const Tensor rows = unit(chirp({n, d}, 0.13, 0.9)).to(type), a = leaf(rows), b = leaf(rows);
            auto first = nce(t), fixed = nce(t, 30);
            equals_fixture(fixture, "nce_first" + where, first.with_noise(a, bank, noise_rows()), {a}, tolerance, tolerance / t);
            first.commit({});
            CHECK(z_of(first) == Approx(fixture.at("nce_first" + where + " gradient").back()).epsilon(1e-6));
            // Z is float32
            equals_fixture(fixture, "nce_fixed" + where, fixed.with_noise(b, bank, noise_rows()), {b}, 3e-6, 3e-6 / t);
            fixed.commit({});
            CHECK(z_of(fixed) == Approx(30).epsilon(1e-6));
        }
}

TEST_CASE("the instance losses equal their definitions, number by number, in float64") {
    for (const double t : {0.01, 0.07, 0.2, 1.0, 3.0})
        for (const std::int64_t rows : {1, 2, 7}) {
            INFO(rows << " images at temperature " << t);
            const Tensor q = chirp({rows, 5}, 0.13, 0.9) * 3, memory = memory_of(rows + 3, 5);
            const Tensor index = (at::arange(rows) * 3 + 1).remainder(rows + 3);
            const auto close = [&](const Tensor& value, double exact, double epsilon) {
                CHECK(number(value) == Approx(exact).epsilon(epsilon).margin(1e-11));
            };
            close(InstanceSoftmax{t}(outputs(q, memory, index)), softmax_by_definition(q, memory, index, t), 1e-10);
            if (t < 0.05) continue;  // the definition with exp() loses its digits there
            const Tensor which =
                at::cat({index.unsqueeze(1), at::arange(rows * 4).reshape({rows, 4}).remainder(rows + 3)}, 1);
            close(nce(t).with_noise(unit(q), memory, which), nce_by_definition(unit(q), memory, which, t, 0), 1e-10);
            // Z is float32
            close(nce(t, 4).with_noise(unit(q), memory, which), nce_by_definition(unit(q), memory, which, t, 4), 1e-6);
        }
}

TEST_CASE("the instance losses' gradients equal central differences, and none reaches the bank") {
    const Tensor q = chirp({n, d}, 0.13, 0.9), memory = memory_of(negatives, d);
    for (const double t : {0.1, 0.5}) {
        auto fixed = nce(t, 20);
        has_right_gradient(
            [&](const Tensor& x) { return InstanceSoftmax{t}(outputs(x, memory, image_numbers().remainder(negatives))); }, q);
        has_right_gradient([&](const Tensor& x) { return fixed.with_noise(x, memory, noise_rows().remainder(negatives)); }, q);
    }
    // The bank is a buffer without gradient: the loss gives one to the embeddings alone.
    const Tensor v = leaf(q), bank = memory_of(images, d);
    InstanceSoftmax{}(outputs(v, bank, image_numbers())).backward();
    CHECK(!untouched(v));
    CHECK(!bank.requires_grad());
}

TEST_CASE("the instance losses do not depend on the length of rows") {
    const Tensor q = chirp({n, d}, 0.13, 0.9), memory = memory_of(images, d);
    const auto values = [&](const Tensor& a) {
        at::manual_seed(3);
        InstanceNce estimate = nce(0.07);
        return at::stack({InstanceSoftmax{}(outputs(a, memory, image_numbers())), estimate(outputs(a, memory, image_numbers()))});
    };
    CHECK(largest_difference(values(q), values(q * 1000)) < 1e-11);
    const Tensor lengths = at::tensor({1e-4, 3.0, 200.0, 0.5, 1e5}, at::kDouble).unsqueeze(1);
    CHECK(largest_difference(values(q), values(q * lengths)) < 1e-11);
}

TEST_CASE("the instance losses of uninformative embeddings are known numbers") {
    const Tensor ones = at::ones({8, 4}, at::kFloat), bank = ones.narrow(0, 0, 1).div(2).expand({1000, 4});
    CHECK(number(InstanceSoftmax{0.07}(outputs(ones, bank, at::arange(8)))) == Approx(std::log(1000.0)).margin(1e-4));
    // NCE: all P are 1/n, so that h is 1/(1 + K) for each of 1 + K rows
    auto estimate = nce(0.07);
    estimate.negatives = 64;
    CHECK(number(estimate(outputs(ones, bank, at::arange(8)))) ==
          Approx(std::log(65.0) - 64 * std::log(64 / 65.0)).epsilon(1e-5));
}

TEST_CASE("the instance losses of half-precision inputs stay finite and close at temperature 0.01") {
    const Tensor q = chirp({32, 16}, 0.13, 0.9), memory = memory_of(40, 16).to(at::kFloat), index = at::arange(32);
    for (const auto type : {at::kHalf, at::kBFloat16})
        for (const double t : {0.01, 0.05, 0.5}) {
            const Tensor low = q.to(type);
            is_close_in_half([&](const Tensor& x) { return InstanceSoftmax{t}(outputs(x, memory, index)); }, low,
                             softmax_by_definition(low, memory, index, t));
            auto estimate = nce(t);
            estimate.negatives = 7;
            const Tensor a = leaf(low), value = estimate(outputs(a, memory, index));
            value.backward();
            CHECK(value.scalar_type() == at::kFloat);
            CHECK(finite(value));
            CHECK(finite(a.grad()));
            estimate.commit({});
            CHECK(std::isfinite(z_of(estimate)));
        }
}

TEST_CASE("the instance losses compute in float32 under bfloat16 autocast") {
    const Tensor q = chirp({16, 16}, 0.13, 0.9, at::kFloat), memory = memory_of(40, 16).to(at::kFloat);
    is_not_changed_by_autocast([&] { return InstanceSoftmax{0.05}(outputs(q, memory, at::arange(16))); });
    is_not_changed_by_autocast([&] {
        at::manual_seed(3);
        return nce(0.07)(outputs(q, memory, at::arange(16)));
    });
}

TEST_CASE("zero rows give a finite instance loss and finite gradients") {
    const Tensor memory = memory_of(negatives, d);
    is_finite_at([&](const Tensor& q) { return InstanceSoftmax{}(outputs(q, memory, at::arange(n))); },
                 at::zeros({n, d}, at::kDouble));
}

TEST_CASE("NCE draws its noise from torch's generator, evenly, and keeps the first Z") {
    const Tensor v = chirp({n, d}, 0.13, 0.9, at::kFloat), bank = memory_of(images, d).to(at::kFloat), index = image_numbers();
    InstanceNce loss = nce(0.1);
    loss.negatives = 33;
    at::manual_seed(8);
    const double value = number(loss(outputs(v, bank, index)));
    at::manual_seed(8);
    const Tensor noise = at::randint(images, {n, 33}, at::kLong), rows = at::cat({index.unsqueeze(1), noise}, 1);
    CHECK(value == Approx(number(nce(0.1).with_noise(unit(v), bank, rows))).epsilon(1e-6));
    CHECK(z_of(loss) == 0);  // forward reads, commit writes
    loss.commit({});
    const double first = z_of(loss);
    CHECK(first > 0);
    CHECK(value == Approx(nce_by_definition(unit(v), bank, rows, 0.1, first)).epsilon(1e-5));
    loss(outputs(-v, bank, index));
    loss.commit({});
    CHECK(z_of(loss) == first);
}

TEST_CASE("NCE's probabilities may underflow") {
    auto loss = nce(0.01, 1e30);
    is_finite_at([&](const Tensor& v) { return loss.with_noise(v, memory_of(images, d).to(at::kFloat), noise_rows()); },
                 unit(chirp({n, d}, 0.13, 0.9, at::kFloat)));
}

TEST_CASE("NCE's rows are chosen in portions: the values and gradients of all at once, and little memory") {
    using losses::detail::chosen_products;
    const Tensor bank = memory_of(images, d), rows = noise_rows();
    const auto both = [&](std::int64_t values) {
        const Tensor z = leaf(chirp({n, d}, 0.13, 0.9)), products = chosen_products(z, bank, rows, values);
        (products * wave(rows.sizes())).sum().backward();
        return at::cat({products.detach().flatten(), z.grad().flatten()});
    };
    const Tensor all = both(1 << 20);
    for (const std::int64_t values : {std::int64_t{1}, 2 * rows.size(1) * d}) CHECK(largest_difference(both(values), all) < 1e-13);
    const Tensor z = leaf(unit(at::randn({64, 64}))), memory = unit(at::randn({500, 64}));
    const Tensor many = at::randint(500, {64, 1025}, at::kLong);
    auto loss = nce(0.1, 30);
    const auto peak = peak_memory([&] { loss.with_noise(z, memory, many).backward(); });
    INFO(peak);
    CHECK(peak < 10 << 20);  // all rows would be 16.8 MB
}

TEST_CASE("the instance losses say what is wrong with their input") {
    const Tensor good = wave({4, 3}), memory = memory_of(5, 3), index = at::arange(4);
    refuses_what_is_not_positive([&](double bad) { InstanceSoftmax{bad}(outputs(good, memory, index)); },
                                 {"InstanceSoftmax", "temperature", "positive and finite"});
    refuses_what_is_not_positive([&](double bad) { nce(bad)(outputs(good, memory, index)); },
                                 {"InstanceNce", "temperature", "positive and finite"});
    const auto instances = [&](const std::string& who, auto&& loss) {
        Outputs two = outputs(good, memory, index), none = two, unseen = two;
        two.online.push_back(good);
        none.online.clear();
        unseen.online[0] = Tensor();
        says([&] { loss(two); }, {who, "one view", "2"});
        says([&] { loss(none); }, {who, "one view", "0"});
        says([&] { loss(unseen); }, {who, "one view"});
        says([&] { loss(outputs(good, Tensor(), index)); }, {who, "memory bank", "queues::MemoryBank"});
        says([&] { loss(outputs(good, wave({3}), index)); }, {who, "memory bank"});
        says([&] { loss(outputs(good, memory, Tensor())); }, {who, "indices of the images"});
        says([&] { loss(outputs(good, memory, at::arange(3))); }, {who, "indices of the images"});
    };
    instances("InstanceSoftmax", [](const Outputs& out) { return InstanceSoftmax{}(out); });
    instances("InstanceNce", [](const Outputs& out) { return nce(0.07)(out); });
    says([] { InstanceNce{.negatives = 0}.build(8); }, {"InstanceNce", "negatives", "at least 1", "0"});
}
