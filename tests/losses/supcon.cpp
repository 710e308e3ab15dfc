// SPDX-License-Identifier: Apache-2.0
#include <doppel/losses/nt_xent.hpp>
#include <doppel/losses/supcon.hpp>

#include "support/losses.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::NtXent;
using losses::Supcon;

namespace {

constexpr std::int64_t n = 5, d = 6;  // as in make_variant_fixtures.py
Tensor labels() { return at::tensor({0, 1, 0, -1, -1}, at::kLong); }

/// What SupCon looks at.
Outputs labeled(std::vector<Tensor> views, const Tensor& label) {
    Outputs out;
    out.online = std::move(views);
    out.label = label;
    return out;
}

double supcon_by_definition(const Outputs& out, double temperature) {
    Rows z;
    for (const Tensor& view : out.online)
        for (auto& row : unit_rows(view)) z.push_back(row);
    const std::size_t images = z.size() / out.online.size();
    const auto same_class = [&](std::size_t i, std::size_t j) {
        const auto label = [&](std::size_t k) {
            return out.label[static_cast<std::int64_t>(k % images)].item<std::int64_t>();
        };
        return i % images == j % images || (label(i) >= 0 && label(i) == label(j));
    };
    double sum = 0;
    for (std::size_t i = 0; i < z.size(); ++i) {
        std::vector<double> all, mates;
        for (std::size_t j = 0; j < z.size(); ++j) {
            if (j == i) continue;
            all.push_back(dot(z[i], z[j]) / temperature);
            if (same_class(i, j)) mates.push_back(all.back());
        }
        for (const double mate : mates) sum += (log_sum_exp(all) - mate) / static_cast<double>(mates.size());
    }
    return sum / static_cast<double>(z.size());
}

}  // namespace

TEST_CASE("SupCon gives solo-learn's values and gradients") {
    const Fixture fixture = read_fixture("variants.txt", 3);  // make_variant_fixtures.py
    for (const auto type : {at::kDouble, at::kFloat})
        for (const std::string temperature : {"0.07", "0.5"}) {
            const double t = std::stod(temperature), tolerance = type == at::kDouble ? 1e-11 : 1e-5;
            const Tensor a = leaf(chirp({n, d}, 0.13, 0.9, type)), b = leaf(chirp({n, d}, 0.29, 0.4, type));
            equals_fixture(fixture, "supcon " + temperature, Supcon{t}(labeled({a, b}, labels())), {a, b}, tolerance,
                           tolerance / t);
        }
}

TEST_CASE("SupCon equals its definition, number by number, in float64") {
    for (const double t : {0.01, 0.07, 0.5, 2.0})
        for (const std::int64_t rows : {2, 3, 8}) {
            const Tensor a = chirp({rows, 5}, 0.13, 0.9) * 3, b = chirp({rows, 5}, 0.29, 0.4) * 0.2;
            const Tensor c = chirp({rows, 5}, 0.37, 0.1);
            INFO(rows << " images at temperature " << t);
            for (const Tensor& label : {at::arange(rows).remainder(2), at::arange(rows).remainder(3) - 1})
                for (const Outputs& out : {labeled({a, b}, label), labeled({a, b, c}, label)})
                    CHECK(number(Supcon{t}(out)) == Approx(supcon_by_definition(out, t)).epsilon(1e-10).margin(1e-11));
        }
}

TEST_CASE("SupCon's gradients equal central differences") {
    const Tensor x = chirp({n, d}, 0.13, 0.9), y = chirp({n, d}, 0.29, 0.4);
    for (const double t : {0.1, 0.5}) {
        has_right_gradient([&](const Tensor& z) { return Supcon{t}(labeled({z, y}, labels())); }, x);
        has_right_gradient([&](const Tensor& z) { return Supcon{t}(labeled({y, z}, labels())); }, x);
    }
}

TEST_CASE("SupCon with all classes different, or without labels, is NT-Xent") {
    const Tensor a = chirp({n, d}, 0.13, 0.9), b = chirp({n, d}, 0.29, 0.4);
    for (const double t : {0.05, 0.5}) {
        const double nt_xent = number(NtXent{t}(a, b));
        for (const Tensor& label : {at::tensor({4, 0, 2, 9, 7}, at::kLong), at::full({n}, -1, at::kLong),
                                    at::tensor({-1, 3, -1, -7, 0}, at::kLong), at::tensor({2, 1, 0, 3, 4}, at::kInt)})
            CHECK(number(Supcon{t}(labeled({a, b}, label))) == Approx(nt_xent).epsilon(1e-12));
        CHECK(std::abs(number(Supcon{t}(labeled({a, b}, labels()))) - nt_xent) > 0.01);
    }
}

TEST_CASE("SupCon of uninformative and perfect embeddings is a known number") {
    for (const std::int64_t images : {8, 256}) {
        const Tensor ones = at::ones({images, 4}, at::kFloat);
        CHECK(number(Supcon{0.1}(labeled({ones, ones}, at::arange(images).remainder(3)))) ==
              Approx(std::log(2 * static_cast<double>(images) - 1)).margin(1e-4));
    }
    // four classes of three images, each class in a direction of its own: five positives share the sum
    const Tensor classes = at::eye(4, at::kDouble).repeat({3, 1}), label = at::arange(4).repeat({3});
    CHECK(number(Supcon{0.01}(labeled({classes, classes}, label))) == Approx(std::log(5.0)).epsilon(1e-12));
}

TEST_CASE("SupCon does not depend on lengths, the order of images and views and the names of classes") {
    const Tensor a = chirp({n, d}, 0.13, 0.9), b = chirp({n, d}, 0.29, 0.4);
    const auto value = [](const Tensor& x, const Tensor& y, const Tensor& label) {
        return number(Supcon{}(labeled({x, y}, label)));
    };
    const auto start = Approx(value(a, b, labels())).epsilon(1e-11);
    CHECK(value(a * 1000, b * 1e-3, labels()) == start);
    const Tensor lengths = at::tensor({1e-4, 3.0, 200.0, 0.5, 1e5}, at::kDouble).unsqueeze(1);
    CHECK(value(a * lengths, b / lengths, labels()) == start);
    const Tensor order = at::tensor({3, 1, 4, 0, 2});
    CHECK(value(a.index_select(0, order), b.index_select(0, order), labels().index_select(0, order)) == start);
    CHECK(value(b, a, labels()) == start);
    CHECK(value(a, b, at::tensor({7, 3, 7, -2, -1}, at::kLong)) == start);
    // but row i belongs to row i
    const Tensor apart = at::eye(n, at::kDouble);
    CHECK(value(apart, apart.roll(1, 0), at::arange(n)) > value(apart, apart, at::arange(n)) + 1);
}

TEST_CASE("SupCon of half-precision inputs stays finite and close at temperature 0.01") {
    const Tensor label = at::arange(32).remainder(7) - 1;
    for (const auto type : {at::kHalf, at::kBFloat16})
        for (const double t : {0.01, 0.05, 0.5}) {
            INFO("temperature " << t);
            const Tensor a = chirp({32, 16}, 0.13, 0.9, type), b = chirp({32, 16}, 0.29, 0.4, type);
            is_close_in_half([&](const Tensor& x) { return Supcon{t}(labeled({x, b}, label)); }, a,
                             supcon_by_definition(labeled({a, b}, label), t), 1e-4, 1e-4);
        }
}

TEST_CASE("SupCon computes in float32 under bfloat16 autocast, and survives rows of zeros") {
    const Tensor x = chirp({16, 16}, 0.13, 0.9, at::kFloat), y = chirp({16, 16}, 0.29, 0.4, at::kFloat);
    is_not_changed_by_autocast([&] { return Supcon{0.05}(labeled({x, y}, at::arange(16).remainder(5))); });
    is_finite_at([&](const Tensor& z) { return Supcon{}(labeled({z, chirp({n, d}, 0.29, 0.4)}, labels())); },
                 at::zeros({n, d}, at::kDouble));
}

TEST_CASE("SupCon says what is wrong with its input") {
    const Tensor good = wave({4, 3}), label = at::arange(4);
    refuses_what_is_not_positive([&](double bad) { Supcon{bad}(labeled({good, good}, label)); },
                                 {"SupCon:", "temperature", "positive and finite"});
    says([&] { Supcon{}(labeled({}, label)); }, {"SupCon", "at least 2 views", "0"});
    says([&] { Supcon{}(labeled({good}, label)); }, {"SupCon", "at least 2 views", "1"});
    says([&] { Supcon{}(labeled({good, Tensor()}, label)); }, {"SupCon", "[4, 3]"});
    says([&] { Supcon{}(labeled({Tensor(), good}, label)); }, {"SupCon", "[N, D]"});
    says([&] { Supcon{}(labeled({good, wave({5, 3})}, label)); }, {"SupCon", "[4, 3]", "[5, 3]"});
    says([&] { Supcon{}(labeled({wave({1, 3}), wave({1, 3})}, at::arange(1))); }, {"SupCon", "at least 2 images", "1"});
    says([&] { Supcon{}(labeled({good, good}, Tensor())); }, {"SupCon", "labels", "NtXent"});
    says([&] { Supcon{}(labeled({good, good}, at::arange(5))); }, {"SupCon", "labels", "[4]", "[5]"});
    says([&] { Supcon{}(labeled({good, good}, label.to(at::kFloat))); }, {"SupCon", "labels", "integer type", "float"});
}
