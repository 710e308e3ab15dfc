// SPDX-License-Identifier: Apache-2.0
#include <doppel/losses/nt_xent.hpp>

#include "support/torch_support.hpp"

#include <nlohmann/json.hpp>

using namespace doppel;
using namespace doppel::test;
using losses::NtXent;

namespace {

/// The definition, one number at a time, in float64.
double by_definition(const Tensor& a, const Tensor& b, double temperature) {
    std::vector<std::vector<double>> z;
    for (const Tensor& half : {a.to(at::kDouble).contiguous(), b.to(at::kDouble).contiguous()})
        for (std::int64_t i = 0; i < half.size(0); ++i) {
            std::vector<double> row(half[i].data_ptr<double>(), half[i].data_ptr<double>() + half.size(1));
            double norm = 0;
            for (double v : row) norm += v * v;
            for (double& v : row) v /= std::sqrt(norm);
            z.push_back(row);
        }
    const std::size_t rows = z.size(), n = rows / 2;
    auto s = [&](std::size_t i, std::size_t j) {
        double dot = 0;
        for (std::size_t d = 0; d < z[i].size(); ++d) dot += z[i][d] * z[j][d];
        return dot / temperature;
    };
    double sum = 0;
    for (std::size_t i = 0; i < rows; ++i) {
        double most = -1e300, total = 0;
        for (std::size_t j = 0; j < rows; ++j)
            if (j != i) most = std::max(most, s(i, j));
        for (std::size_t j = 0; j < rows; ++j)
            if (j != i) total += std::exp(s(i, j) - most);
        sum += most + std::log(total) - s(i, (i + n) % rows);
    }
    return sum / static_cast<double>(rows);
}

/// One pool of V views by the definition, one number at a time.
double pool_by_definition(const std::vector<Tensor>& views, double temperature) {
    std::vector<Rows> z;
    for (const Tensor& view : views) z.push_back(numbers(unit(view)));
    const std::size_t n = z[0].size();
    double sum = 0;
    for (std::size_t v = 0; v < z.size(); ++v)
        for (std::size_t i = 0; i < n; ++i) {
            double total = 0, partners = 0;
            for (std::size_t w = 0; w < z.size(); ++w)
                for (std::size_t j = 0; j < n; ++j) {
                    if (v == w && i == j) continue;
                    double dot = 0;
                    for (std::size_t d = 0; d < z[v][i].size(); ++d) dot += z[v][i][d] * z[w][j][d];
                    total += std::exp(dot / temperature);
                    if (i == j) partners += dot / temperature;
                }
            sum += std::log(total) - partners / static_cast<double>(z.size() - 1);
        }
    return sum / static_cast<double>(z.size() * n);
}

Outputs outputs_of(const std::vector<Tensor>& views) {
    Outputs out;
    out.online = out.target = views;
    return out;
}

}  // namespace

TEST_CASE("NtXent of more than two views equals its definition, number by number, in float64") {
    for (const double temperature : {0.1, 0.5, 2.0})
        for (const std::size_t count : {std::size_t{3}, std::size_t{4}})
            for (const std::int64_t n : {2, 5}) {
                std::vector<Tensor> views;
                for (std::size_t v = 0; v < count; ++v) views.push_back(chirp({n, 7}, 0.3 + 0.1 * static_cast<double>(v), 0.2));
                INFO(count << " views of " << n << " images at " << temperature);
                CHECK(NtXent{temperature}(outputs_of(views)).item<double>() ==
                      Approx(pool_by_definition(views, temperature)).epsilon(1e-10));
            }
    // Two views are the pair, bit for bit, and the pool's definition agrees with it.
    const Tensor a = chirp({5, 7}, 0.9, 0), b = chirp({5, 7}, 1.3, 0.1);
    CHECK(NtXent{0.2}(outputs_of({a, b})).item<double>() == NtXent{0.2}(a, b).item<double>());
    CHECK(NtXent{0.2}(a, b).item<double>() == Approx(pool_by_definition({a, b}, 0.2)).epsilon(1e-10));
}

TEST_CASE("NtXent of more than two views: gradients, collapse, the order of the views, and what it refuses") {
    std::vector<Tensor> views;
    for (int v = 0; v < 3; ++v) views.push_back(chirp({4, 5}, 0.3 + 0.1 * v, 0.2).requires_grad_());
    NtXent{0.5}(outputs_of(views)).backward();
    const auto value = [&](const Tensor& x) { return NtXent{0.5}(outputs_of({x, views[1].detach(), views[2].detach()})); };
    CHECK(largest_difference(views[0].grad(), numeric_gradient(value, views[0].detach().clone())) < 1e-7);
    const double as_given = NtXent{0.5}(outputs_of(views)).item<double>();
    CHECK(NtXent{0.5}(outputs_of({views[2], views[0], views[1]})).item<double>() == Approx(as_given).epsilon(1e-12));
    const Tensor same = at::ones({4, 5}, at::kDouble);
    CHECK(NtXent{0.5}(outputs_of({same, same, same})).item<double>() == Approx(std::log(3 * 4 - 1)));
    // A view that did not go through a branch takes no part.
    CHECK(NtXent{0.5}(outputs_of({views[0], Tensor{}, views[1], views[2]})).item<double>() == Approx(as_given).epsilon(1e-12));
    CHECK(mentions(message_of([&] { NtXent{}(outputs_of({views[0], Tensor{}})); }), {"NtXent", "2 views", "got 1"}));
    CHECK(mentions(message_of([&] { NtXent{}(outputs_of({same, same, same.slice(0, 0, 3)})); }), {"NtXent", "[4, 5]", "[3, 5]"}));
    // Rows against a target network's columns: no gradient asked of them, and they do not equal the rows.
    Outputs out = outputs_of(views);
    for (Tensor& t : out.target) t = (t * 2 + 1).detach();
    CHECK(std::abs(NtXent{0.5}(out).item<double>() - as_given) > 1e-3);
}

TEST_CASE("NtXent equals its definition, number by number, in float64") {
    for (double temperature : {0.01, 0.1, 0.5, 2.0})
        for (std::int64_t n : {2, 5, 16}) {
            const Tensor a = wave({n, 7}, 0.9), b = wave({n, 7}, 1.3, 0.1);
            CHECK(NtXent{temperature}(a, b).item<double>() == Approx(by_definition(a, b, temperature)).epsilon(1e-10));
            CHECK(NtXent{temperature}(a.to(at::kFloat), b.to(at::kFloat)).item<double>() ==
                  Approx(by_definition(a, b, temperature)).epsilon(2e-5).margin(2e-5));
        }
}

TEST_CASE("NtXent's gradients equal central differences") {
    for (double temperature : {0.1, 0.5}) {
        const Tensor a = wave({4, 5}, 0.9).requires_grad_(), b = wave({4, 5}, 1.3, 0.1).requires_grad_();
        NtXent{temperature}(a, b).backward();
        const Tensor free_a = a.detach().clone(), free_b = b.detach().clone();
        CHECK(largest_difference(a.grad(), numeric_gradient([&](const Tensor& x) { return NtXent{temperature}(x, free_b); }, free_a.clone())) < 1e-7);
        CHECK(largest_difference(b.grad(), numeric_gradient([&](const Tensor& x) { return NtXent{temperature}(free_a, x); }, free_b.clone())) < 1e-7);
    }
}

TEST_CASE("NtXent gives the values and gradients of lightly's NTXentLoss") {
    // tests/reference/make_nt_xent_fixture.py
    std::ifstream in(reference_folder() / "nt_xent.json");
    const auto fixture = nlohmann::json::parse(in);
    REQUIRE(!fixture["cases"].empty());
    for (const auto& item : fixture["cases"]) {
        const auto n = item["n"].get<std::int64_t>(), d = item["d"].get<std::int64_t>();
        const Tensor a = wave({n, d}, 0.9).requires_grad_(), b = wave({n, d}, 1.3, 0.1).requires_grad_();
        const Tensor loss = NtXent{item["temperature"].get<double>()}(a, b);
        loss.backward();
        CHECK(loss.item<double>() == Approx(item["loss"].get<double>()).epsilon(1e-9));
        const auto expected = item["gradient"].get<std::vector<double>>();
        CHECK(largest_difference(at::cat({a.grad(), b.grad()}).flatten(), at::tensor(expected, at::kDouble)) < 1e-9);
    }
}

TEST_CASE("NtXent does not care which view comes first, nor about the length of the rows") {
    const Tensor a = wave({6, 4}, 0.9), b = wave({6, 4}, 1.3);
    const double value = NtXent{}(a, b).item<double>();
    CHECK(NtXent{}(b, a).item<double>() == Approx(value).epsilon(1e-12));
    CHECK(NtXent{}(a * 1000, b * 1e-3).item<double>() == Approx(value).epsilon(1e-12));
    const Tensor order = at::tensor({3, 1, 5, 0, 2, 4});
    CHECK(NtXent{}(a.index_select(0, order), b.index_select(0, order)).item<double>() == Approx(value).epsilon(1e-12));
}

TEST_CASE("NtXent masks an embedding's similarity with itself") {  // otherwise the floor is log 2
    const Tensor pairs = at::eye(8, at::kDouble);
    CHECK(NtXent{0.01}(pairs, pairs).item<double>() == Approx(0).margin(1e-12));
}

TEST_CASE("NtXent pairs row i with row i of the other view") {
    const Tensor a = wave({5, 8}, 0.9);
    const double right = NtXent{0.1}(a, a).item<double>();
    CHECK(NtXent{0.1}(a, a.roll(1, 0)).item<double>() > right + 1);
}

TEST_CASE("NtXent of uninformative embeddings is log(2N - 1)") {
    CHECK(NtXent{0.5}(at::ones({256, 3}), at::ones({256, 3})).item<double>() == Approx(6.236).margin(1e-3));
    CHECK(NtXent{0.5}(at::ones({512, 3}), at::ones({512, 3})).item<double>() == Approx(6.930).margin(1e-3));
}

TEST_CASE("NtXent stays finite and close at temperature 0.01 and for half-precision inputs") {
    const Tensor a = wave({32, 16}, 0.9), b = wave({32, 16}, 1.3);
    for (auto type : {at::kHalf, at::kBFloat16})
        for (double temperature : {0.01, 0.05, 0.5}) {
            const Tensor half_a = a.to(type).requires_grad_(), half_b = b.to(type);
            const Tensor loss = NtXent{temperature}(half_a, half_b);
            CHECK(loss.scalar_type() == at::kFloat);
            const double exact = by_definition(half_a.detach(), half_b, temperature);
            CHECK(loss.item<double>() == Approx(exact).epsilon(1e-4));
            loss.backward();
            CHECK(at::isfinite(half_a.grad()).all().item<bool>());
        }
}

TEST_CASE("NtXent computes in float32 under bfloat16 autocast") {
    const Tensor a = wave({16, 16}, 0.9, 0, at::kFloat), b = wave({16, 16}, 1.3, 0, at::kFloat);
    const double outside = NtXent{0.05}(a, b).item<double>();
    const Autocast scope(at::kCPU, Precision::bf16);
    CHECK(NtXent{0.05}(a, b).item<double>() == outside);
    CHECK(a.mm(b.t()).scalar_type() == at::kBFloat16);  // the scope itself is as it was
}

TEST_CASE("NtXent survives equal and zero rows") {
    const Tensor zero = at::zeros({4, 3}, at::kDouble).requires_grad_();
    const Tensor loss = NtXent{0.1}(zero, at::ones({4, 3}, at::kDouble));
    loss.backward();
    CHECK(std::isfinite(loss.item<double>()));
    CHECK(at::isfinite(zero.grad()).all().item<bool>());
}

TEST_CASE("NtXent says what is wrong with its input") {
    const Tensor good = wave({4, 3});
    CHECK(mentions(message_of([&] { NtXent{0}(good, good); }), {"NtXent", "temperature", "0"}));
    CHECK(mentions(message_of([&] { NtXent{NAN}(good, good); }), {"NtXent", "temperature", "nan"}));
    CHECK(mentions(message_of([&] { NtXent{}(wave({2, 3, 4}), good); }), {"NtXent", "[N, D]", "[2, 3, 4]"}));
    CHECK(mentions(message_of([&] { NtXent{}(good, wave({5, 3})); }), {"[4, 3]", "[5, 3]"}));
    CHECK(mentions(message_of([&] { NtXent{}(wave({1, 3}), wave({1, 3})); }), {"at least 2", "1"}));
    CHECK(mentions(message_of([&] { NtXent{}(good.to(at::kLong), good); }), {"floating-point", "long"}));
    CHECK(mentions(message_of([&] { NtXent{}(Tensor(), good); }), {"[N, D]"}));
}
