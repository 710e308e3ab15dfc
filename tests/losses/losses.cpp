// SPDX-License-Identifier: Apache-2.0
// The losses of the momentum and predictor families.
#include <doppel/losses/byol.hpp>
#include <doppel/losses/simsiam.hpp>
#include <doppel/losses/info_nce.hpp>
#include <doppel/losses/inst_disc.hpp>

#include "support/torch_support.hpp"

#include <functional>
#include <limits>
#include <map>
#include <sstream>

using namespace doppel;
using namespace doppel::test;
using losses::Byol;
using losses::InBatchInfoNce;
using losses::InfoNce;
using losses::InstanceNce;
using losses::InstanceSoftmax;
using losses::Simsiam;

namespace {

double dot(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t d = 0; d < a.size(); ++d) sum += a[d] * b[d];
    return sum;
}

double cosine(const std::vector<double>& a, const std::vector<double>& b) {
    return dot(a, b) / std::sqrt(dot(a, a)) / std::sqrt(dot(b, b));
}

/// −log of the softmax at `own`, one number at a time.
double cross_entropy(const std::vector<double>& logits, std::size_t own) {
    double most = -1e300, total = 0;
    for (const double value : logits) most = std::max(most, value);
    for (const double value : logits) total += std::exp(value - most);
    return most + std::log(total) - logits[own];
}

// ---- the definitions, one number at a time ----------------------------------------------------------------

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

double cosine_by_definition(const Tensor& p, const Tensor& z) {
    const Rows a = numbers(p), b = numbers(z);
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += cosine(a[i], b[i]);
    return sum / static_cast<double>(a.size());
}

double softmax_by_definition(const Tensor& v, const Tensor& bank, const Tensor& index, double temperature) {
    const Rows a = numbers(v), rows = numbers(bank);
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::vector<double> logits;
        for (const auto& row : rows) logits.push_back(dot(a[i], row) / std::sqrt(dot(a[i], a[i])) / temperature);
        sum +=
            cross_entropy(logits, static_cast<std::size_t>(index[static_cast<std::int64_t>(i)].item<std::int64_t>()));
    }
    return sum / static_cast<double>(a.size());
}

/// With Z ≤ 0 it is estimated.
double nce_by_definition(const Tensor& z, const Tensor& bank, const Tensor& rows, double temperature, double known) {
    const Rows a = numbers(z), m = numbers(bank), which = numbers(rows);
    const auto n = static_cast<double>(m.size()), share = static_cast<double>(which[0].size() - 1) / n;
    const auto e = [&](std::size_t b, std::size_t k) {
        return std::exp(dot(a[b], m[static_cast<std::size_t>(which[b][k])]) / temperature);
    };
    if (known <= 0) {
        double sum = 0;
        for (std::size_t b = 0; b < a.size(); ++b)
            for (std::size_t k = 0; k < which[b].size(); ++k) sum += e(b, k);
        known = n * sum / static_cast<double>(a.size() * which[0].size());
    }
    double loss = 0;
    for (std::size_t b = 0; b < a.size(); ++b) {
        for (std::size_t k = 0; k < which[b].size(); ++k) {
            const double p = e(b, k) / known;
            loss -= std::log(k == 0 ? p / (p + share) : share / (p + share));
        }
    }
    return loss / static_cast<double>(a.size());
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

constexpr std::int64_t n = 5, d = 6, queue = 9, images = 11;  // as in make_method_fixtures.py
Tensor image_numbers() { return (at::arange(n) * 7 + 3).remainder(images); }
Tensor noise_rows() {
    return at::cat(
        {image_numbers().unsqueeze(1), (at::arange(n * queue).reshape({n, queue}) * 5 + 2).remainder(images)}, 1);
}

double gradient_error(const Tensor& analytic, const std::function<Tensor(const Tensor&)>& loss,
                      const Tensor& at_values) {
    const at::NoGradGuard no_grad;
    return largest_difference(analytic, numeric_gradient(loss, at_values.detach().clone()));
}

}  // namespace

TEST_CASE("the losses give the values and gradients of lightly, solo-learn and torch") {
    // tests/reference/make_method_fixtures.py
    std::map<std::string, std::vector<double>> fixture;
    std::ifstream in(reference_folder() / "method_losses.txt");
    for (std::string line; std::getline(in, line);) {
        std::istringstream words(line);
        std::string name, type, temperature, what;
        words >> name >> type >> temperature >> what;
        auto& values = fixture[name + ' ' + type + ' ' + temperature + ' ' + what];
        for (double value = 0; words >> value;) values.push_back(value);
    }
    REQUIRE(fixture.size() == 7 * 2 * 2 * 2);
    for (const auto type : {at::kDouble, at::kFloat})
        for (const std::string temperature : {"0.07", "0.5"}) {
            const double t = std::stod(temperature);
            const auto leaf = [&](double a, double b) { return chirp({n, d}, a, b, type).set_requires_grad(true); };
            const auto equal = [&](const std::string& name, const Tensor& loss, std::initializer_list<Tensor> inputs) {
                const auto key = name + (type == at::kDouble ? " float64 " : " float32 ") + temperature;
                const double tolerance = type == at::kDouble && name != "nce_fixed" ? 1e-11 : 3e-6;  // Z is float32
                INFO(key);
                loss.backward();
                CHECK(loss.scalar_type() == type);
                CHECK(loss.item<double>() ==
                      Approx(fixture.at(key + " value").at(0)).epsilon(tolerance).margin(tolerance));
                std::vector<Tensor> gradients;
                for (const Tensor& x : inputs) gradients.push_back(x.grad().flatten());
                auto expected = fixture.at(key + " gradient");
                if (name.starts_with("nce")) expected.pop_back();  // Z
                CHECK(largest_difference(at::cat(gradients), at::tensor(expected, at::kDouble)) < tolerance / t);
                return fixture.at(key + " gradient").back();
            };
            const Tensor memory = unit(chirp({queue, d}, 0.17, 0.2)).to(type);
            const Tensor q = leaf(0.13, 0.9), q3 = leaf(0.13, 0.9), k = chirp({n, d}, 0.29, 0.4, type);
            equal("info_nce", InfoNce{t}(q, k, memory), {q});
            equal("in_batch", InBatchInfoNce{t}(q3, k), {q3});
            const Tensor p0 = leaf(0.13, 0.9), p1 = leaf(0.23, 0.5), s0 = leaf(0.13, 0.9), s1 = leaf(0.23, 0.5);
            const Tensor z0 = leaf(0.29, 0.4), z1 = leaf(0.37, 0.1);
            equal("byol", Byol{}(p0, z1) + Byol{}(p1, z0), {p0, p1});
            equal("simsiam", (Simsiam{}(s0, z1) + Simsiam{}(s1, z0)) / 2, {s0, s1});
            const Tensor v = leaf(0.13, 0.9), bank = unit(chirp({images, d}, 0.17, 0.2)).to(type);
            equal("softmax", InstanceSoftmax{t}(outputs(v, bank, image_numbers())), {v});
            auto first = nce(t), fixed = nce(t, 30);
            const Tensor rows = unit(chirp({n, d}, 0.13, 0.9)).to(type), a = rows.clone().requires_grad_(),
                         b = rows.clone().requires_grad_();
            const double z = equal("nce_first", first.with_noise(a, bank, noise_rows()), {a});
            first.commit({});
            CHECK(z_of(first) == Approx(z).epsilon(1e-6));
            equal("nce_fixed", fixed.with_noise(b, bank, noise_rows()), {b});
            fixed.commit({});
            CHECK(z_of(fixed) == Approx(30).epsilon(1e-6));
        }
}

TEST_CASE("the losses equal their definitions, number by number, in float64") {
    for (const double t : {0.01, 0.07, 0.2, 1.0, 3.0})
        for (const std::int64_t rows : {1, 2, 7}) {
            const Tensor q = chirp({rows, 5}, 0.13, 0.9) * 3, k = chirp({rows, 5}, 0.29, 0.4) * 0.2,
                         memory = unit(chirp({rows + 3, 5}, 0.17, 0.2));
            const auto close = [&](const Tensor& value, double exact) {
                CHECK(value.item<double>() == Approx(exact).epsilon(1e-10).margin(1e-11));
            };
            close(InfoNce{t}(q, k, memory), info_nce_by_definition(q, k, memory, t));
            close(InfoNce{t}(q, k, memory.narrow(0, 0, 1)), info_nce_by_definition(q, k, memory.narrow(0, 0, 1), t));
            close(InBatchInfoNce{t}(q, k), in_batch_by_definition(q, k, t));
            close(Byol{}(q, k), 2 - 2 * cosine_by_definition(q, k));
            close(Simsiam{}(q, k), -cosine_by_definition(q, k));
            const Tensor index = (at::arange(rows) * 3 + 1).remainder(rows + 3);
            close(InstanceSoftmax{t}(outputs(q, memory, index)), softmax_by_definition(q, memory, index, t));
            if (t < 0.05) continue;  // the definition with exp() loses its digits there
            const Tensor which =
                at::cat({index.unsqueeze(1), at::arange(rows * 4).reshape({rows, 4}).remainder(rows + 3)}, 1);
            auto first = nce(t), fixed = nce(t, 4);
            close(first.with_noise(unit(q), memory, which), nce_by_definition(unit(q), memory, which, t, 0));
            // Z is float32
            const double exact = nce_by_definition(unit(q), memory, which, t, 4);
            CHECK(fixed.with_noise(unit(q), memory, which).item<double>() == Approx(exact).epsilon(1e-6));
        }
}

TEST_CASE("the losses' gradients equal central differences") {
    const Tensor k = chirp({n, d}, 0.29, 0.4), memory = unit(chirp({queue, d}, 0.17, 0.2));
    for (const double t : {0.1, 0.5}) {
        auto fixed = nce(t, 20);
        const std::vector<std::function<Tensor(const Tensor&)>> all{
            [&](const Tensor& q) { return InfoNce{t}(q, k, memory); },
            [&](const Tensor& q) { return InBatchInfoNce{t}(q, k); },
            [&](const Tensor& q) { return Byol{}(q, k); },
            [&](const Tensor& q) { return Simsiam{}(q, k); },
            [&](const Tensor& q) { return InstanceSoftmax{t}(outputs(q, memory, image_numbers().remainder(queue))); },
            [&](const Tensor& q) { return fixed.with_noise(q, memory, noise_rows().remainder(queue)); }};
        for (std::size_t i = 0; i < all.size(); ++i) {
            INFO(i << " at temperature " << t);
            const Tensor q = chirp({n, d}, 0.13, 0.9).set_requires_grad(true);
            all[i](q).backward();
            CHECK(q.grad().abs().max().item<double>() > 1e-3);
            CHECK(gradient_error(q.grad(), all[i], q) < 1e-7);
        }
    }
}

TEST_CASE("no gradient reaches keys, targets, queue and bank") {  // pitfall 10
    const auto leaf = [](std::int64_t rows, double a) {
        return unit(chirp({rows, d}, a, 0.4)).detach().set_requires_grad(true);
    };
    const auto untouched = [](const Tensor& x) {
        return !x.grad().defined() || x.grad().abs().max().item<double>() == 0;
    };
    const Tensor k = leaf(n, 0.29), memory = leaf(queue, 0.17);
    for (int i = 0; i < 4; ++i) {
        const Tensor q = leaf(n, 0.13);
        const std::vector<Tensor> losses{InfoNce{}(q, k, memory), InBatchInfoNce{}(q, k), Byol{}(q, k),
                                         Simsiam{}(q, k)};
        losses[static_cast<std::size_t>(i)].backward();
        CHECK(!untouched(q));
        CHECK(untouched(k));
        CHECK(untouched(memory));
    }
    // The bank is a buffer without gradient: the loss gives one to the embeddings alone.
    const Tensor v = leaf(n, 0.13), bank = unit(chirp({images, d}, 0.17, 0.2));
    InstanceSoftmax{}(outputs(v, bank, image_numbers())).backward();
    CHECK(!untouched(v));
    CHECK(!bank.requires_grad());
}

TEST_CASE("the losses do not care about the length of the rows") {
    const Tensor q = chirp({n, d}, 0.13, 0.9), k = chirp({n, d}, 0.29, 0.4),
                 memory = unit(chirp({images, d}, 0.17, 0.2));
    const auto values = [&](const Tensor& a, const Tensor& b) {
        at::manual_seed(3);
        InstanceNce estimate = nce(0.07);
        return at::stack({InfoNce{}(a, b, memory), InBatchInfoNce{}(a, b), Byol{}(a, b), Simsiam{}(a, b),
                          InstanceSoftmax{}(outputs(a, memory, image_numbers())),
                          estimate(outputs(a, memory, image_numbers()))});
    };
    CHECK(largest_difference(values(q, k), values(q * 1000, k * 1e-3)) < 1e-11);
    const Tensor lengths = at::tensor({1e-4, 3.0, 200.0, 0.5, 1e5}, at::kDouble).unsqueeze(1);
    CHECK(largest_difference(values(q, k), values(q * lengths, k / lengths)) < 1e-11);
}

TEST_CASE("the losses do not care about the order of the images, nor the queue's of its rows") {
    const Tensor order = at::tensor({3, 1, 4, 0, 2}), mixed = at::tensor({8, 0, 3, 1, 7, 2, 6, 5, 4});
    const Tensor q = chirp({n, d}, 0.13, 0.9), k = chirp({n, d}, 0.29, 0.4),
                 memory = unit(chirp({queue, d}, 0.17, 0.2));
    const auto at_order = [&](const Tensor& x) { return x.index_select(0, order); };
    const auto equal = [](const Tensor& a, const Tensor& b) {
        CHECK(a.item<double>() == Approx(b.item<double>()).epsilon(1e-12));
    };
    equal(InfoNce{}(q, k, memory), InfoNce{}(at_order(q), at_order(k), memory.index_select(0, mixed)));
    equal(InBatchInfoNce{}(q, k), InBatchInfoNce{}(at_order(q), at_order(k)));
    equal(Byol{}(q, k), Byol{}(at_order(q), at_order(k)));
    // and row i belongs to row i
    CHECK(InfoNce{}(q, q, memory).item<double>() + 1 < InfoNce{}(q, at_order(q), memory).item<double>());
    CHECK(InBatchInfoNce{0.1}(q, q).item<double>() + 0.1 < InBatchInfoNce{0.1}(q, at_order(q)).item<double>());
}

TEST_CASE("the losses of uninformative, collapsed and opposite embeddings are known numbers") {
    const auto ones = [](std::int64_t rows) { return at::ones({rows, 4}, at::kFloat); };
    const Tensor half = ones(1).div(2);  // a unit row
    // MoCo: log(K + 1); K = 65536 and 4096
    CHECK(InfoNce{0.07}(ones(8), ones(8), half.expand({65536, 4})).item<double>() == Approx(11.0904).margin(1e-4));
    CHECK(InfoNce{0.2}(ones(8), ones(8), half.expand({4096, 4})).item<double>() ==
          Approx(std::log(4097.0)).margin(1e-4));
    CHECK(InfoNce{0.2}(ones(8), ones(8), half.expand({4096, 4})).item<double>() == Approx(8.318).margin(1e-3));
    // MoCo v3: 2·2τ·log N, N = 4096
    CHECK(2 * InBatchInfoNce{0.2}(ones(4096), ones(4096)).item<double>() == Approx(6.654).margin(1e-3));
    CHECK(2 * InBatchInfoNce{1}(ones(4096), ones(4096)).item<double>() == Approx(33.27).margin(1e-2));
    // a single image has no other: 0
    CHECK(InBatchInfoNce{0.2}(ones(1), ones(1)).item<double>() == Approx(0).margin(1e-6));
    // instance discrimination: log(images)
    CHECK(InstanceSoftmax{0.07}(outputs(ones(8), half.expand({1000, 4}), at::arange(8))).item<double>() ==
          Approx(std::log(1000.0)).margin(1e-4));
    // NCE: all P are 1/n, so that h is 1/(1 + K) for each of 1 + K rows
    auto estimate = nce(0.07);
    estimate.negatives = 64;
    CHECK(estimate(outputs(ones(8), half.expand({1000, 4}), at::arange(8))).item<double>() ==
          Approx(std::log(65.0) - 64 * std::log(64 / 65.0)).epsilon(1e-5));
    // SimSiam −1; BYOL's two directions from 0 to 8
    const Tensor x = chirp({32, 16}, 0.13, 0.9);
    CHECK(Simsiam{}(x, x).item<double>() == Approx(-1).epsilon(1e-12));
    CHECK(Simsiam{}(x, -x).item<double>() == Approx(1).epsilon(1e-12));
    CHECK(2 * Byol{}(x, x).item<double>() == Approx(0).margin(1e-12));  // pitfall 21
    CHECK(2 * Byol{}(x, -x).item<double>() == Approx(8).epsilon(1e-12));
    CHECK(Byol{}(at::eye(4, at::kDouble), at::eye(4, at::kDouble).roll(1, 0)).item<double>() ==
          Approx(2).epsilon(1e-12));
    const Tensor apart = at::eye(8, at::kDouble);  // perfect: every image in a direction of its own
    CHECK(InfoNce{0.01}(apart.narrow(0, 0, 4), apart.narrow(0, 0, 4), apart.narrow(0, 4, 4)).item<double>() ==
          Approx(0).margin(1e-12));
    CHECK(InBatchInfoNce{0.01}(apart, apart).item<double>() == Approx(0).margin(1e-12));
}

TEST_CASE("MoCo v3's factor 2 tau is there, and BYOL's and SimSiam's two directions combine as in their papers") {
    // pitfalls 17, 21
    const Tensor q = chirp({n, d}, 0.13, 0.9), k = chirp({n, d}, 0.29, 0.4);
    for (const double t : {0.2, 1.0}) {
        const Tensor plain = at::cross_entropy_loss(unit(q).mm(unit(k).t()) / t, at::arange(n));
        CHECK(InBatchInfoNce{t}(q, k).item<double>() == Approx(2 * t * plain.item<double>()).epsilon(1e-12));
    }
    using pairings::Reduce;
    CHECK(InBatchInfoNce::Pairing{}.reduce == Reduce::sum);
    CHECK(Byol::Pairing{}.reduce == Reduce::sum);
    CHECK(Simsiam::Pairing{}.reduce == Reduce::mean);
    CHECK(Simsiam::Pairing{}(2, 2).size() == 2);
    CHECK(Byol{}(q, k).item<double>() ==
          Approx((unit(q) - unit(k)).pow(2).sum(1).mean().item<double>()).epsilon(1e-12));
}

TEST_CASE("half-precision inputs stay finite and close at temperature 0.01") {  // pitfall 16
    const Tensor q = chirp({32, 16}, 0.13, 0.9), k = chirp({32, 16}, 0.29, 0.4),
                 memory = unit(chirp({40, 16}, 0.17, 0.2)).to(at::kFloat);
    const Tensor index = at::arange(32);
    for (const auto type : {at::kHalf, at::kBFloat16})
        for (const double t : {0.01, 0.05, 0.5}) {
            const Tensor b = k.to(type);
            const auto close = [&](auto&& loss, auto&& definition) {
                const Tensor a = q.to(type).set_requires_grad(true), value = loss(a);
                CHECK(value.scalar_type() == at::kFloat);
                CHECK(value.item<double>() == Approx(definition(a.detach())).epsilon(1e-4).margin(1e-5));
                value.backward();
                CHECK(at::isfinite(a.grad()).all().item<bool>());
                CHECK(a.grad().abs().max().item<double>() > 0);
            };
            close([&](const Tensor& a) { return InfoNce{t}(a, b, memory); },
                  [&](const Tensor& a) { return info_nce_by_definition(a, b, memory, t); });
            close([&](const Tensor& a) { return InBatchInfoNce{t}(a, b); },
                  [&](const Tensor& a) { return in_batch_by_definition(a, b, t); });
            close([&](const Tensor& a) { return Byol{}(a, b); },
                  [&](const Tensor& a) { return 2 - 2 * cosine_by_definition(a, b); });
            close([&](const Tensor& a) { return Simsiam{}(a, b); },
                  [&](const Tensor& a) { return -cosine_by_definition(a, b); });
            close([&](const Tensor& a) { return InstanceSoftmax{t}(outputs(a, memory, index)); },
                  [&](const Tensor& a) { return softmax_by_definition(a, memory, index, t); });
            auto estimate = nce(t);
            estimate.negatives = 7;
            const Tensor a = q.to(type).set_requires_grad(true), value = estimate(outputs(a, memory, index));
            value.backward();
            CHECK(value.scalar_type() == at::kFloat);
            CHECK(std::isfinite(value.item<double>()));
            CHECK(at::isfinite(a.grad()).all().item<bool>());
            estimate.commit({});
            CHECK(std::isfinite(z_of(estimate)));
        }
}

TEST_CASE("the losses compute in float32 under bfloat16 autocast") {
    const Tensor q = chirp({16, 16}, 0.13, 0.9, at::kFloat), k = chirp({16, 16}, 0.29, 0.4, at::kFloat),
                 memory = unit(chirp({40, 16}, 0.17, 0.2)).to(at::kFloat);
    const auto values = [&] {
        at::manual_seed(3);
        auto estimate = nce(0.07);
        return at::stack({InfoNce{0.05}(q, k, memory), InBatchInfoNce{0.05}(q, k), Byol{}(q, k),
                          Simsiam{}(q, k), InstanceSoftmax{0.05}(outputs(q, memory, at::arange(16))),
                          estimate(outputs(q, memory, at::arange(16)))});
    };
    const Tensor outside = values();
    const Autocast scope(at::kCPU, Precision::bf16);
    const Tensor inside = values();
    for (std::int64_t i = 0; i < outside.size(0); ++i) {
        INFO("loss " << i);
        CHECK(bit_equal(inside[i], outside[i]));
    }
    CHECK(q.mm(k.t()).scalar_type() == at::kBFloat16);  // the scope itself is as it was
}

TEST_CASE("zero rows give finite losses and gradients") {
    const Tensor memory = unit(chirp({queue, d}, 0.17, 0.2));
    for (int i = 0; i < 5; ++i) {
        const Tensor q = at::zeros({n, d}, at::kDouble).set_requires_grad(true), k = at::zeros({n, d}, at::kDouble);
        const std::vector<Tensor> losses{InfoNce{}(q, k, memory), InBatchInfoNce{}(q, k), Byol{}(q, k),
                                         Simsiam{}(q, k), InstanceSoftmax{}(outputs(q, memory, at::arange(n)))};
        losses[static_cast<std::size_t>(i)].backward();
        CHECK(std::isfinite(losses[static_cast<std::size_t>(i)].item<double>()));
        CHECK(at::isfinite(q.grad()).all().item<bool>());
    }
}

TEST_CASE("NCE draws its noise from torch's generator, evenly, and keeps the first Z") {
    const Tensor v = chirp({n, d}, 0.13, 0.9, at::kFloat), bank = unit(chirp({images, d}, 0.17, 0.2)).to(at::kFloat),
                 index = image_numbers();
    InstanceNce loss = nce(0.1);
    loss.negatives = 33;
    at::manual_seed(8);
    const double value = loss(outputs(v, bank, index)).item<double>();
    at::manual_seed(8);
    const Tensor noise = at::randint(images, {n, 33}, at::kLong), rows = at::cat({index.unsqueeze(1), noise}, 1);
    auto again = nce(0.1);
    CHECK(value == Approx(again.with_noise(unit(v), bank, rows).item<double>()).epsilon(1e-6));
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
    const Tensor v = unit(chirp({n, d}, 0.13, 0.9, at::kFloat)).detach().set_requires_grad(true),
                 bank = unit(chirp({images, d}, 0.17, 0.2)).to(at::kFloat);
    const Tensor value = loss.with_noise(v, bank, noise_rows());
    value.backward();
    CHECK(std::isfinite(value.item<double>()));
    CHECK(at::isfinite(v.grad()).all().item<bool>());
}

TEST_CASE("the losses say what is wrong with their input") {
    const Tensor good = wave({4, 3}), memory = unit(chirp({5, 3}, 0.17, 0.2));
    const Tensor index = at::arange(4);
    const auto says = [](auto&& action, std::initializer_list<std::string_view> parts) {
        const std::string message = message_of(action);
        INFO(message);
        CHECK(mentions(message, parts));
    };
    for (const double bad :
         {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        says([&] { InfoNce{bad}(good, good, memory); }, {"InfoNce", "temperature", "positive and finite"});
        says([&] { InBatchInfoNce{bad}(good, good); }, {"InBatchInfoNce", "temperature", "positive and finite"});
        says([&] { InstanceSoftmax{bad}(outputs(good, memory, index)); },
             {"InstanceSoftmax", "temperature", "positive and finite"});
        says([&] { nce(bad)(outputs(good, memory, index)); }, {"InstanceNce", "temperature", "positive and finite"});
    }
    const auto pairs = [&](const std::string& who, auto&& loss) {
        says([&] { loss(wave({2, 3, 4}), good); }, {who, "first input", "[N, D]", "[2, 3, 4]"});
        says([&] { loss(Tensor(), good); }, {who, "first input", "[N, D]"});
        says([&] { loss(good, wave({5, 3})); }, {who, "second input", "[4, 3]", "[5, 3]"});
        says([&] { loss(good, Tensor()); }, {who, "second input", "[4, 3]"});
        says([&] { loss(good.to(at::kLong), good); }, {who, "floating-point", "long"});
        says([&] { loss(good, good.to(at::kInt)); }, {who, "floating-point", "int"});
        says(
            [&] {
                loss(good, at::empty({4, 3}, at::device(at::kMeta).dtype(at::kDouble)));
            },
            {who, "one device", "cpu", "meta"});
    };
    pairs("InfoNce", [&](const Tensor& a, const Tensor& b) { return InfoNce{}(a, b, memory); });
    pairs("InBatchInfoNce", InBatchInfoNce{});
    pairs("Byol", Byol{});
    pairs("Simsiam", Simsiam{});
    says([&] { InfoNce{}(good, good, Tensor()); }, {"InfoNce", "queue", "[K, 3]"});
    says([&] { InfoNce{}(good, good, wave({5, 4})); }, {"InfoNce", "queue", "[K, 3]", "[5, 4]"});
    says([&] { InfoNce{}(good, good, wave({3})); }, {"InfoNce", "queue", "[K, 3]", "[3]"});

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
