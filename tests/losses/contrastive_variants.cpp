// SPDX-License-Identifier: Apache-2.0
// SimCLR's variants: DCL, DCLW, NNCLR, ReSSL and SupCon as losses, and the presets made with them.
#include <doppel/core/nearest.hpp>
#include <doppel/losses/nt_xent.hpp>
#include <doppel/methods/contrastive_variants.hpp>

#include "support/torch_support.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <sstream>

using namespace doppel;
using namespace doppel::test;
using losses::Dcl;
using losses::Dclw;
using losses::Nnclr;
using losses::NtXent;
using losses::Ressl;
using losses::Supcon;

namespace {

constexpr std::int64_t n = 5, d = 6, queue = 9;  // as in make_variant_fixtures.py
Tensor labels() { return at::tensor({0, 1, 0, -1, -1}, at::kLong); }
Tensor memory_of(std::int64_t rows, std::int64_t width) { return unit(chirp({rows, width}, 0.17, 0.2)); }

/// What SupCon looks at.
Outputs labeled(std::vector<Tensor> views, const Tensor& label) {
    Outputs out;
    out.online = std::move(views);
    out.label = label;
    return out;
}

// ---- the definitions, one number at a time ----------------------------------------------------------------

/// The rows of all tensors, one after another, as they are or divided by their lengths.
Rows numbers(const std::vector<Tensor>& tensors, bool by_length = true) {
    Rows rows;
    for (const Tensor& x : tensors) {
        const Tensor wide = x.detach().to(at::kDouble).contiguous();
        for (std::int64_t i = 0; i < wide.size(0); ++i) {
            std::vector<double> row(wide[i].data_ptr<double>(), wide[i].data_ptr<double>() + wide.size(1));
            const double length = std::sqrt(std::inner_product(row.begin(), row.end(), row.begin(), 0.0));
            if (by_length)
                for (double& value : row) value /= length;
            rows.push_back(row);
        }
    }
    return rows;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

double log_sum_exp(const std::vector<double>& values) {
    const double most = *std::max_element(values.begin(), values.end());
    double sum = 0;
    for (const double value : values) sum += std::exp(value - most);
    return most + std::log(sum);
}

/// With sigma 0 all weights are 1.
double dcl_by_definition(const Tensor& z0, const Tensor& z1, double temperature, double sigma = 0) {
    const Rows z = numbers({z0, z1});
    const std::size_t images = z.size() / 2;
    double mean = 0, sum = 0;
    for (std::size_t i = 0; i < images && sigma > 0; ++i)
        mean += std::exp(dot(z[i], z[i + images]) / sigma) / static_cast<double>(images);
    for (std::size_t i = 0; i < z.size(); ++i) {
        std::vector<double> others;
        for (std::size_t j = 0; j < z.size(); ++j)
            if (j % images != i % images) others.push_back(dot(z[i], z[j]) / temperature);
        const double positive = dot(z[i], z[(i + images) % z.size()]);
        const double weight = sigma > 0 ? 2 - std::exp(positive / sigma) / mean : 1;
        sum += log_sum_exp(others) - weight * positive / temperature;
    }
    return sum / static_cast<double>(z.size());
}

double nnclr_by_definition(const Tensor& p, const Tensor& z, const Tensor& memory, double temperature) {
    const Rows predictions = numbers({p}), keys = numbers({z}), rows = numbers({memory}, false);
    double sum = 0;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        std::size_t nearest = 0;
        for (std::size_t j = 1; j < rows.size(); ++j)
            if (dot(keys[i], rows[j]) > dot(keys[i], rows[nearest])) nearest = j;
        std::vector<double> logits;
        for (const auto& prediction : predictions) logits.push_back(dot(rows[nearest], prediction) / temperature);
        sum += log_sum_exp(logits) - logits[i];
    }
    return sum / static_cast<double>(keys.size());
}

double ressl_by_definition(const Tensor& online, const Tensor& target, const Tensor& memory, double temperature,
                            double target_temperature) {
    const Rows o = numbers({online}), t = numbers({target}), rows = numbers({memory}, false);
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

double supcon_by_definition(const Outputs& out, double temperature) {
    const Rows z = numbers(out.online);
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

// ---- presets, small ---------------------------------------------------------------------------------------

template <class Options>
Options tiny_heads(Options o) {
    o.hidden = 16;
    o.out = 12;
    return o;
}
auto small_nnclr() {
    auto o = tiny_heads(methods::nnclr_small);
    o.predictor = 10;
    o.queue = 20;
    return methods::nnclr(tiny(), o);
}
auto small_ressl() {
    auto o = tiny_heads(methods::ressl_small);
    o.queue = 20;
    return methods::ressl(tiny(), o);
}

/// Builds, takes two steps with finite losses, and gives no gradient to target and queue.
template <class P>
void trains(const P& preset) {
    INFO(preset.name);
    AnyMethod method = Method{preset.recipe, {.seed = 1}};
    CHECK(method.begin({.samples = 1000, .steps = 2}).empty());
    std::vector<Tensor> parameters;
    for (const auto& [name, value] : method.trainable()) parameters.push_back(value);
    torch::optim::SGD optimizer(parameters, torch::optim::SGDOptions(0.05).momentum(0.9));
    std::vector<double> values;
    for (int step = 0; step < 2; ++step) {
        const Tensor loss = method.forward(batch_of(6, step));
        optimizer.zero_grad();
        loss.backward();
        optimizer.step();
        method.commit();
        values.push_back(loss.item<double>());
        CHECK(std::isfinite(values.back()));
    }
    CHECK(values[0] != values[1]);
    double largest = 0;
    for (const auto& [name, value] : method.trainable()) {
        INFO(name);
        REQUIRE(value.grad().defined());
        CHECK(at::isfinite(value.grad()).all().template item<bool>());
        largest = std::max(largest, value.grad().abs().max().template item<double>());
        CHECK(!name.starts_with("target."));
    }
    CHECK(largest > 1e-4);
    for (const auto& item : method.module().named_parameters())
        if (item.key().starts_with("target.")) CHECK(!item.value().grad().defined());
    for (const auto& item : method.module().named_buffers())
        if (item.key().starts_with("queue.")) CHECK(!item.value().requires_grad());
}

template <class Options>
std::vector<std::string> fields(Options o) {
    std::vector<std::string> names;
    describe(o, [&](const std::string& name, auto&&...) { names.push_back(name); });
    std::sort(names.begin(), names.end());
    CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
    return names;
}

}  // namespace

// ---- the losses --------------------------------------------------------------------------------------------

TEST_CASE("the variants' losses give the values and gradients of lightly, solo-learn and the papers' equations") {
    // tests/reference/make_variant_fixtures.py
    std::map<std::string, std::vector<double>> fixture;
    std::ifstream in(reference_folder() / "variants.txt");
    for (std::string line; std::getline(in, line);) {
        std::istringstream words(line);
        std::string name, temperature, what;
        words >> name >> temperature >> what;
        auto& values = fixture[name + ' ' + temperature + ' ' + what];
        for (double value = 0; words >> value;) values.push_back(value);
    }
    REQUIRE(fixture.size() == 5 * 2 * 2);
    for (const auto type : {at::kDouble, at::kFloat})
        for (const std::string temperature : {"0.07", "0.5"}) {
            const double t = std::stod(temperature);
            const auto leaf = [&](double a, double b) { return chirp({n, d}, a, b, type).set_requires_grad(true); };
            const auto equal = [&](const std::string& name, const Tensor& loss, std::initializer_list<Tensor> inputs) {
                const double tolerance = type == at::kDouble ? 1e-11 : 1e-5;
                INFO(name << " at " << temperature << (type == at::kDouble ? ", float64" : ", float32"));
                loss.backward();
                CHECK(loss.scalar_type() == type);
                const double exact = fixture.at(name + ' ' + temperature + " value").at(0);
                CHECK(loss.item<double>() == Approx(exact).epsilon(tolerance).margin(tolerance));
                std::vector<Tensor> gradients;
                for (const Tensor& x : inputs) gradients.push_back(x.grad().flatten());
                const Tensor expected = at::tensor(fixture.at(name + ' ' + temperature + " gradient"), at::kDouble);
                CHECK(largest_difference(at::cat(gradients), expected) < tolerance / t);
            };
            const Tensor memory = memory_of(queue, d).to(type), z0 = leaf(0.13, 0.9), z1 = leaf(0.29, 0.4);
            const auto views = [&] { return std::pair(leaf(0.13, 0.9), leaf(0.29, 0.4)); };
            const auto [a0, a1] = views();
            equal("dcl", Dcl{t}(a0, a1), {a0, a1});
            const auto [b0, b1] = views();
            equal("dclw", Dclw{t, 0.5, true}(b0, b1), {b0, b1});
            const Tensor p0 = leaf(0.23, 0.5), p1 = leaf(0.37, 0.1);
            equal("nnclr", (Nnclr{t}(p0, z1, memory) + Nnclr{t}(p1, z0, memory)) / 2, {p0, p1});
            equal("ressl", Ressl{t, 0.4 * t}(z0, z1, memory), {z0});
            const auto [c0, c1] = views();
            equal("supcon", Supcon{t}(labeled({c0, c1}, labels())), {c0, c1});
        }
}

TEST_CASE("the variants' losses equal their definitions, number by number, in float64") {
    for (const double t : {0.01, 0.07, 0.5, 2.0})
        for (const std::int64_t rows : {2, 3, 8}) {
            const Tensor a = chirp({rows, 5}, 0.13, 0.9) * 3, b = chirp({rows, 5}, 0.29, 0.4) * 0.2;
            const Tensor c = chirp({rows, 5}, 0.37, 0.1), memory = memory_of(rows + 3, 5);
            INFO(rows << " images at temperature " << t);
            const auto close = [](const Tensor& value, double exact) {
                CHECK(value.item<double>() == Approx(exact).epsilon(1e-10).margin(1e-11));
            };
            close(Dcl{t}(a, b), dcl_by_definition(a, b, t));
            for (const double sigma : {0.05, 0.5, 3.0}) close(Dclw{t, sigma}(a, b), dcl_by_definition(a, b, t, sigma));
            close(Nnclr{t}(a, b, memory), nnclr_by_definition(a, b, memory, t));
            close(Nnclr{t}(a, b, memory.narrow(0, 0, 1)), nnclr_by_definition(a, b, memory.narrow(0, 0, 1), t));
            close(Ressl{t, 0.04}(a, b, memory), ressl_by_definition(a, b, memory, t, 0.04));
            close(Ressl{0.1, t}(a, b, memory), ressl_by_definition(a, b, memory, 0.1, t));
            for (const Tensor& label : {at::arange(rows).remainder(2), at::arange(rows).remainder(3) - 1}) {
                close(Supcon{t}(labeled({a, b}, label)), supcon_by_definition(labeled({a, b}, label), t));
                close(Supcon{t}(labeled({a, b, c}, label)), supcon_by_definition(labeled({a, b, c}, label), t));
            }
        }
}

TEST_CASE("the variants' gradients equal central differences, DCLW's through its weights, too") {
    const Tensor y = chirp({n, d}, 0.29, 0.4), memory = memory_of(queue, d);
    for (const double t : {0.1, 0.5}) {
        const std::vector<std::function<Tensor(const Tensor&)>> all{
            [&](const Tensor& x) { return Dcl{t}(x, y); },
            [&](const Tensor& x) { return Dcl{t}(y, x); },
            [&](const Tensor& x) { return Dclw{t, 0.5, true}(x, y); },
            [&](const Tensor& x) { return Dclw{t, 0.2, true}(y, x); },
            [&](const Tensor& x) { return Nnclr{t}(x, y, memory); },
            [&](const Tensor& x) { return Ressl{t, 0.04}(x, y, memory); },
            [&](const Tensor& x) { return Supcon{t}(labeled({x, y}, labels())); },
            [&](const Tensor& x) { return Supcon{t}(labeled({y, x}, labels())); }};
        for (std::size_t i = 0; i < all.size(); ++i) {
            INFO("loss " << i << " at temperature " << t);
            const Tensor x = chirp({n, d}, 0.13, 0.9).set_requires_grad(true);
            all[i](x).backward();
            CHECK(x.grad().abs().max().item<double>() > 1e-3);
            const at::NoGradGuard no_grad;
            CHECK(largest_difference(x.grad(), numeric_gradient(all[i], x.detach().clone())) < 1e-7);
        }
    }
}

TEST_CASE("no gradient reaches NNCLR's keys, ReSSL's target, nor either memory") {  // pitfall 10
    const auto untouched = [](const Tensor& x) { return !x.grad().defined(); };
    for (int i = 0; i < 2; ++i) {
        const Tensor x = chirp({n, d}, 0.13, 0.9).set_requires_grad(true);
        const Tensor y = chirp({n, d}, 0.29, 0.4).set_requires_grad(true);
        const Tensor memory = memory_of(queue, d).set_requires_grad(true);
        (i == 0 ? Nnclr{}(x, y, memory) : Ressl{}(x, y, memory)).backward();
        CHECK(!untouched(x));
        CHECK(untouched(y));
        CHECK(untouched(memory));
    }
}

TEST_CASE("DCL leaves the positive out of the sum, and an embedding itself") {  // pitfall 15
    const Tensor apart = at::eye(8, at::kDouble);  // equal views, orthogonal images
    for (const double t : {0.05, 0.5}) {
        CHECK(Dcl{t}(apart, apart).item<double>() == Approx(std::log(14.0) - 1 / t).epsilon(1e-12));
        CHECK(NtXent{t}(apart, apart).item<double>() == Approx(std::log(14 * std::exp(-1 / t) + 1)).margin(1e-12));
    }
    // NT-Xent's gradient fades where the positive is most of the sum, DCL's does not
    const auto size_of = [](const auto& loss) {
        const Tensor x = (at::eye(8, at::kDouble) + 0.01 * chirp({8, 8}, 0.13, 0.9)).set_requires_grad(true);
        loss(x, at::eye(8, at::kDouble)).backward();
        return x.grad().norm().template item<double>();
    };
    CHECK(size_of(Dcl{0.05}) > 1000 * size_of(NtXent{0.05}));
}

TEST_CASE("DCLW's weights are constants for the gradient unless it is to flow through them") {
    const double t = 0.3, sigma = 0.5;
    const Tensor x = chirp({n, d}, 0.13, 0.9), y = chirp({n, d}, 0.29, 0.4);
    const auto cosines = [&](const Tensor& a) { return (unit(a) * unit(y)).sum(1); };
    const Tensor weight = 2 - static_cast<double>(n) * (cosines(x) / sigma).softmax(0);
    const auto held = [&](const Tensor& a) {  // DCL with its positives taken out and put back with those weights
        return Dcl{t}(a, y) + (cosines(a) - weight * cosines(a)).mean() / t;
    };
    const Tensor a = leaf(x), b = leaf(x);
    const Tensor loss = Dclw{t, sigma}(a, y);
    CHECK(loss.item<double>() == Approx(held(x).item<double>()).epsilon(1e-12));
    CHECK(loss.item<double>() == Approx(Dclw{t, sigma, true}(x, y).item<double>()).epsilon(1e-12));
    loss.backward();
    CHECK(largest_difference(a.grad(), numeric_gradient(held, x.clone())) < 1e-8);
    Dclw{t, sigma, true}(b, y).backward();
    CHECK(largest_difference(a.grad(), b.grad()) > 1e-3);
}

TEST_CASE("DCLW's weights have mean 1: images alike, or a wide sigma, give DCL") {
    const Tensor a = chirp({6, d}, 0.13, 0.9), b = chirp({6, d}, 0.29, 0.4);
    CHECK(Dclw{0.1, 0.5}(a, a).item<double>() == Approx(Dcl{0.1}(a, a).item<double>()).epsilon(1e-12));
    CHECK(Dclw{0.1, 1e9}(a, b).item<double>() == Approx(Dcl{0.1}(a, b).item<double>()).epsilon(1e-7));
    CHECK(std::abs(Dclw{0.1, 0.5}(a, b).item<double>() - Dcl{0.1}(a, b).item<double>()) > 0.1);
}

TEST_CASE("NNCLR's positive is the row that nearest_rows finds, and nothing else of the key counts") {
    const Tensor p = chirp({n, d}, 0.13, 0.9, at::kFloat), z = chirp({n, d}, 0.29, 0.4, at::kFloat);
    const Tensor memory = memory_of(40, d).to(at::kFloat);
    const Tensor near = nearest_rows(memory, z), logits = near.mm(unit(p).t()) / 0.1;
    const double value = Nnclr{0.1}(p, z, memory).item<double>();
    CHECK(value == Approx(at::cross_entropy_loss(logits, at::arange(n)).item<double>()).epsilon(1e-5));
    CHECK(Nnclr{0.1}(p, near * 7, memory).item<double>() == value);  // a row is its own neighbor
    CHECK(Nnclr{0.1}(p, z.to(at::kDouble), memory).item<double>() == Approx(value).epsilon(1e-5));
}

TEST_CASE("ReSSL's least value is the entropy of the target's relations") {
    const Tensor t = chirp({n, d}, 0.29, 0.4), memory = memory_of(queue, d);
    const Tensor q = (unit(t).mm(memory.t()) / 0.1).softmax(1);
    const double entropy = -(q * q.log()).sum(1).mean().item<double>();
    CHECK(Ressl{0.1, 0.1}(t, t, memory).item<double>() == Approx(entropy).epsilon(1e-12));
    for (const double shift : {0.01, 0.3, 2.0})
        CHECK(Ressl{0.1, 0.1}(t + shift * chirp({n, d}, 0.13, 0.9), t, memory).item<double>() > entropy);
}

TEST_CASE("SupCon with all classes different, or without labels, is NT-Xent") {
    const Tensor a = chirp({n, d}, 0.13, 0.9), b = chirp({n, d}, 0.29, 0.4);
    for (const double t : {0.05, 0.5}) {
        const double nt_xent = NtXent{t}(a, b).item<double>();
        for (const Tensor& label : {at::tensor({4, 0, 2, 9, 7}, at::kLong), at::full({n}, -1, at::kLong),
                                    at::tensor({-1, 3, -1, -7, 0}, at::kLong), at::tensor({2, 1, 0, 3, 4}, at::kInt)})
            CHECK(Supcon{t}(labeled({a, b}, label)).item<double>() == Approx(nt_xent).epsilon(1e-12));
        CHECK(std::abs(Supcon{t}(labeled({a, b}, labels())).item<double>() - nt_xent) > 0.01);
    }
}

TEST_CASE("the variants' losses of uninformative and perfect embeddings are known numbers") {
    const auto ones = [](std::int64_t rows) { return at::ones({rows, 4}, at::kFloat); };
    const Tensor row = ones(1).div(2);  // a unit row
    for (const std::int64_t images : {8, 256}) {
        const auto size = static_cast<double>(images);
        CHECK(Dcl{0.07}(ones(images), ones(images)).item<double>() == Approx(std::log(2 * size - 2)).margin(1e-4));
        CHECK(Dclw{0.07}(ones(images), ones(images)).item<double>() == Approx(std::log(2 * size - 2)).margin(1e-4));
        CHECK(Nnclr{0.1}(ones(images), ones(images), row.expand({9, 4})).item<double>() ==
              Approx(std::log(size)).margin(1e-4));
        CHECK(Ressl{}(ones(8), ones(8), row.expand({images, 4})).item<double>() == Approx(std::log(size)).margin(1e-4));
        CHECK(Supcon{0.1}(labeled({ones(images), ones(images)}, at::arange(images).remainder(3))).item<double>() ==
              Approx(std::log(2 * size - 1)).margin(1e-4));
    }
    // four classes of three images, each class in a direction of its own: five positives share the sum
    const Tensor classes = at::eye(4, at::kDouble).repeat({3, 1}), label = at::arange(4).repeat({3});
    CHECK(Supcon{0.01}(labeled({classes, classes}, label)).item<double>() == Approx(std::log(5.0)).epsilon(1e-12));
    // every prediction is the neighbor of its own image
    const Tensor apart = at::eye(8, at::kDouble);
    CHECK(Nnclr{0.01}(apart, apart, apart.flip(0)).item<double>() == Approx(0).margin(1e-12));
}

TEST_CASE("the variants do not care about lengths, the order of images and memory rows, and which view is first") {
    const Tensor a = chirp({n, d}, 0.13, 0.9), b = chirp({n, d}, 0.29, 0.4), memory = memory_of(queue, d);
    const auto values = [](const Tensor& x, const Tensor& y, const Tensor& rows, const Tensor& label) {
        return at::stack({Dcl{}(x, y), Dclw{}(x, y), Supcon{}(labeled({x, y}, label)), Nnclr{}(x, y, rows),
                          Ressl{}(x, y, rows)});
    };
    const Tensor start = values(a, b, memory, labels());
    CHECK(largest_difference(start, values(a * 1000, b * 1e-3, memory, labels())) < 1e-11);
    const Tensor lengths = at::tensor({1e-4, 3.0, 200.0, 0.5, 1e5}, at::kDouble).unsqueeze(1);
    CHECK(largest_difference(start, values(a * lengths, b / lengths, memory, labels())) < 1e-11);
    const Tensor order = at::tensor({3, 1, 4, 0, 2}), mixed = at::tensor({8, 0, 3, 1, 7, 2, 6, 5, 4});
    const auto at_order = [&](const Tensor& x) { return x.index_select(0, order); };
    const Tensor reordered = values(at_order(a), at_order(b), memory.index_select(0, mixed), at_order(labels()));
    CHECK(largest_difference(start, reordered) < 1e-11);
    const Tensor symmetric = start.narrow(0, 0, 3);
    CHECK(largest_difference(symmetric, values(b, a, memory, labels()).narrow(0, 0, 3)) < 1e-11);
    const Tensor renamed = at::tensor({7, 3, 7, -2, -1}, at::kLong);  // the names of the classes do not count
    CHECK(largest_difference(start, values(a, b, memory, renamed)) < 1e-11);
    // and row i belongs to row i: pitfall 13
    const Tensor apart = at::eye(n, at::kDouble), other = apart.roll(1, 0);
    const Tensor right = values(apart, apart, apart, at::arange(n)), wrong = values(apart, other, apart, at::arange(n));
    CHECK((wrong - right).min().item<double>() > 1);
}

TEST_CASE("the variants stay finite and close at temperature 0.01 and for half-precision inputs") {  // pitfall 16
    const Tensor x = chirp({32, 16}, 0.13, 0.9), y = chirp({32, 16}, 0.29, 0.4);
    const Tensor memory = memory_of(40, 16).to(at::kFloat);
    const Tensor label = at::arange(32).remainder(7) - 1;
    for (const auto type : {at::kHalf, at::kBFloat16})
        for (const double t : {0.01, 0.05, 0.5}) {
            const Tensor b = y.to(type);
            const auto close = [&](auto&& loss, auto&& definition) {
                const Tensor a = x.to(type).set_requires_grad(true), value = loss(a);
                INFO(type << " at temperature " << t);
                CHECK(value.scalar_type() == at::kFloat);
                CHECK(value.template item<double>() == Approx(definition(a.detach())).epsilon(1e-4).margin(1e-4));
                value.backward();
                CHECK(at::isfinite(a.grad()).all().template item<bool>());
                CHECK(a.grad().abs().max().template item<double>() > 0);
            };
            close([&](const Tensor& a) { return Dcl{t}(a, b); },
                  [&](const Tensor& a) { return dcl_by_definition(a, b, t); });
            close([&](const Tensor& a) { return Dclw{t}(a, b); },
                  [&](const Tensor& a) { return dcl_by_definition(a, b, t, 0.5); });
            close([&](const Tensor& a) { return Nnclr{t}(a, b, memory); },
                  [&](const Tensor& a) { return nnclr_by_definition(a, b, memory, t); });
            close([&](const Tensor& a) { return Ressl{t, t}(a, b.to(at::kDouble), memory); },
                  [&](const Tensor& a) { return ressl_by_definition(a, b, memory, t, t); });
            close([&](const Tensor& a) { return Supcon{t}(labeled({a, b}, label)); },
                  [&](const Tensor& a) { return supcon_by_definition(labeled({a, b}, label), t); });
        }
}

TEST_CASE("the variants compute in float32 under bfloat16 autocast") {
    const Tensor x = chirp({16, 16}, 0.13, 0.9, at::kFloat), y = chirp({16, 16}, 0.29, 0.4, at::kFloat);
    const Tensor memory = memory_of(40, 16).to(at::kFloat);
    const auto values = [&] {
        return at::stack({Dcl{0.05}(x, y), Dclw{0.05}(x, y), Nnclr{0.05}(x, y, memory), Ressl{0.05}(x, y, memory),
                          Supcon{0.05}(labeled({x, y}, at::arange(16).remainder(5)))});
    };
    const Tensor outside = values();
    const Autocast scope(at::kCPU, Precision::bf16);
    CHECK(bit_equal(values(), outside));
    CHECK(x.mm(y.t()).scalar_type() == at::kBFloat16);  // the scope itself is as it was
}

TEST_CASE("the variants survive rows of zeros") {
    const Tensor other = chirp({n, d}, 0.29, 0.4), memory = memory_of(queue, d);
    const std::vector<std::function<Tensor(const Tensor&)>> all{
        [&](const Tensor& x) { return Dcl{}(x, other); },
        [&](const Tensor& x) { return Dclw{}(x, other); },
        [&](const Tensor& x) { return Nnclr{}(x, x, memory); },
        [&](const Tensor& x) { return Ressl{}(x, x, memory); },
        [&](const Tensor& x) { return Supcon{}(labeled({x, other}, labels())); }};
    for (const auto& loss : all) {
        const Tensor zero = at::zeros({n, d}, at::kDouble).set_requires_grad(true), value = loss(zero);
        value.backward();
        CHECK(std::isfinite(value.item<double>()));
        CHECK(at::isfinite(zero.grad()).all().item<bool>());
    }
}

TEST_CASE("the variants' losses say what is wrong with their input") {
    const Tensor good = wave({4, 3}), memory = memory_of(5, 3), label = at::arange(4);
    const auto says = [](auto&& action, std::initializer_list<std::string_view> parts) {
        const std::string message = message_of(action);
        INFO(message);
        CHECK(mentions(message, parts));
        CHECK(message.find('\n') == std::string::npos);
    };
    for (const double bad :
         {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        says([&] { Dcl{bad}(good, good); }, {"Dcl:", "temperature", "positive and finite"});
        says([&] { Dclw{bad}(good, good); }, {"Dclw:", "temperature", "positive and finite"});
        says([&] { Dclw{0.1, bad}(good, good); }, {"Dclw:", "sigma", "positive and finite"});
        says([&] { Nnclr{bad}(good, good, memory); }, {"Nnclr:", "temperature", "positive and finite"});
        says([&] { Ressl{bad}(good, good, memory); }, {"Ressl:", "temperature", "positive and finite"});
        says([&] { Ressl{0.1, bad}(good, good, memory); }, {"Ressl:", "target_temperature", "positive and finite"});
        says([&] { Supcon{bad}(labeled({good, good}, label)); }, {"SupCon:", "temperature", "positive and finite"});
    }
    const auto pairs = [&](const std::string& who, auto&& loss) {
        says([&] { loss(wave({2, 3, 4}), good); }, {who, "first input", "[N, D]", "[2, 3, 4]"});
        says([&] { loss(Tensor(), good); }, {who, "first input", "[N, D]"});
        says([&] { loss(good, wave({5, 3})); }, {who, "second input", "[4, 3]", "[5, 3]"});
        says([&] { loss(good, Tensor()); }, {who, "second input", "[4, 3]"});
        says([&] { loss(good.to(at::kLong), good); }, {who, "floating-point", "long"});
    };
    pairs("Dcl", Dcl{});
    pairs("Dclw", Dclw{});
    pairs("Nnclr", [&](const Tensor& a, const Tensor& b) { return Nnclr{}(a, b, memory); });
    pairs("Ressl", [&](const Tensor& a, const Tensor& b) { return Ressl{}(a, b, memory); });
    says([&] { Dcl{}(wave({1, 3}), wave({1, 3})); }, {"Dcl:", "at least 2 images", "1"});
    says([&] { Dclw{}(wave({1, 3}), wave({1, 3})); }, {"Dclw:", "at least 2 images", "1"});
    for (const Tensor& rows : {Tensor(), wave({5, 4}), wave({3}), at::empty({0, 3}, at::kDouble)}) {
        says([&] { Nnclr{}(good, good, rows); }, {"Nnclr", "support set", "[K, 3]"});
        says([&] { Ressl{}(good, good, rows); }, {"Ressl", "queue", "[K, 3]"});
    }
    says([&] { Supcon{}(labeled({}, label)); }, {"SupCon", "at least 2 views", "0"});
    says([&] { Supcon{}(labeled({good}, label)); }, {"SupCon", "at least 2 views", "1"});
    says([&] { Supcon{}(labeled({good, Tensor()}, label)); }, {"SupCon", "[4, 3]"});
    says([&] { Supcon{}(labeled({Tensor(), good}, label)); }, {"SupCon", "[N, D]"});
    says([&] { Supcon{}(labeled({good, wave({5, 3})}, label)); }, {"SupCon", "[4, 3]", "[5, 3]"});
    says([&] { Supcon{}(labeled({wave({1, 3}), wave({1, 3})}, at::arange(1))); },
         {"SupCon", "at least 2 images", "1"});
    says([&] { Supcon{}(labeled({good, good}, Tensor())); }, {"SupCon", "labels", "NtXent"});
    says([&] { Supcon{}(labeled({good, good}, at::arange(5))); }, {"SupCon", "labels", "[4]", "[5]"});
    says([&] { Supcon{}(labeled({good, good}, label.to(at::kFloat))); },
         {"SupCon", "labels", "integer type", "float"});
}

// ---- the presets -------------------------------------------------------------------------------------------

TEST_CASE("each variant builds, takes two steps, and gives no gradient to target and queue") {
    trains(methods::dcl(tiny(), tiny_heads(methods::dcl_small)));
    trains(methods::dclw(tiny(), tiny_heads(methods::dclw_small)));
    trains(small_nnclr());
    trains(small_ressl());
    trains(methods::supcon(tiny(), tiny_heads(methods::supcon_small)));
    trains(methods::simclr_v2(tiny(), tiny_heads(methods::simclr_v2_small)));
}

TEST_CASE("NNCLR's step is algorithm 1: neighbors of one view meet predictions of the other; view 0 is remembered") {
    Method method{small_nnclr().recipe, {.seed = 1}};
    const Tensor before = method->named_buffers()["queue.rows"].clone();
    const Tensor loss = method->forward(batch_of(6));
    const Outputs& out = method->last()[0];
    const Nnclr term = method->recipe.loss;
    const Tensor both = (term(out.online[0], out.target[1], before) + term(out.online[1], out.target[0], before)) / 2;
    CHECK(loss.item<double>() == Approx(both.item<double>()).epsilon(1e-6));
    CHECK(bit_equal(out.target[0], out.projected[0]));
    CHECK(!at::equal(out.online[0], out.projected[0]));
    CHECK(bit_equal(method->named_buffers()["queue.rows"], before));  // pitfall 4: read before it is written
    const Tensor first = unit(out.target[0]);
    method->commit();
    CHECK(largest_difference(method->named_buffers()["queue.rows"].narrow(0, 0, 6), first) < 1e-6);
    CHECK(method->named_buffers()["queue.pointer"].item<std::int64_t>() == 6);
}

TEST_CASE("ReSSL's step sends view 0 through the online branch and view 1 through the target, whose rows it keeps") {
    Method method{small_ressl().recipe, {.seed = 1}};
    const Tensor before = method->named_buffers()["queue.rows"].clone();
    const Tensor loss = method->forward(batch_of(6));
    const Outputs& out = method->last()[0];
    CHECK((out.online[0].defined() && !out.online[1].defined()));
    CHECK((!out.target[0].defined() && out.target[1].defined()));
    CHECK(loss.item<double>() == Approx(Ressl{}(out.online[0], out.target[1], before).item<double>()).epsilon(1e-6));
    const Tensor keys = unit(out.target[1]);
    method->commit();
    CHECK(largest_difference(method->named_buffers()["queue.rows"].narrow(0, 0, 6), keys) < 1e-6);
    CHECK(method->named_buffers()["queue.pointer"].item<std::int64_t>() == 6);
}

TEST_CASE("the variants have the papers' heads, and SimCLR's training but for ReSSL's learning rate") {
    using heads::LastNorm;
    using Widths = std::vector<std::int64_t>;
    const auto base = methods::simclr(tiny(), methods::SimclrOptions{});
    const auto alike = [&](const auto& preset, const std::string& name) {
        INFO(name);
        CHECK(preset.name == name);
        CHECK(preset.optimizer.describe() == base.optimizer.describe());
        CHECK(preset.lr.describe() == base.lr.describe());
        CHECK(preset.epochs == base.epochs);
        CHECK(preset.batch_size == base.batch_size);
        REQUIRE(preset.views.pipelines.size() == 2);
        for (const std::size_t v : {0u, 1u}) CHECK(preset.views.pipelines[v].describe() == base.views.pipelines[v].describe());
    };
    alike(methods::dcl(tiny()), "dcl");
    alike(methods::dclw(tiny()), "dclw");
    alike(methods::nnclr(tiny()), "nnclr");
    alike(methods::supcon(tiny()), "supcon");
    alike(methods::simclr_v2(tiny()), "simclr_v2");
    CHECK(methods::dcl(tiny()).recipe.loss.temperature == 0.1);
    CHECK(methods::dclw(tiny()).recipe.loss.sigma == 0.5);

    const auto nnclr = methods::nnclr(tiny()).recipe;
    CHECK(nnclr.projector.hidden == Widths{2048, 2048});
    CHECK(nnclr.projector.out == 256);
    CHECK(nnclr.projector.last_norm == LastNorm::affine);
    CHECK(nnclr.predictor.hidden == Widths{4096});
    CHECK(nnclr.predictor.out == 256);
    CHECK(nnclr.predictor.last_norm == LastNorm::none);
    CHECK(nnclr.queue.capacity == 98304);
    CHECK(nnclr.loss.temperature == 0.1);

    const auto v2 = methods::simclr_v2(tiny()).recipe;
    CHECK(v2.projector.hidden == Widths{2048, 2048});
    CHECK(v2.projector.out == 128);
    CHECK(v2.projector.last_norm == LastNorm::scale_only);

    const auto ressl = methods::ressl(tiny());
    CHECK(ressl.name == "ressl");
    CHECK(ressl.recipe.projector.hidden == Widths{4096});
    CHECK(ressl.recipe.projector.out == 512);
    CHECK(!ressl.recipe.projector.norm);
    CHECK(ressl.recipe.queue.capacity == 131072);
    CHECK(ressl.recipe.target.schedule({}) == 0.999);
    CHECK(ressl.recipe.loss.target_temperature == 0.04);
    CHECK(ressl.lr({.step = 5, .of = {.samples = 256, .steps = 200}}) == Approx(0.05).epsilon(1e-2));
}

TEST_CASE("ReSSL's second view is cropped and flipped alone") {
    Image image(40, 30, 3);
    const std::uint8_t color[] = {200, 40, 90};
    for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = color[i % 3];
    for (const auto& both : {methods::ressl(tiny(), methods::ressl_small).views, methods::ressl(tiny()).views,
                             views::ressl()}) {
        CHECK(both.name == "ressl");
        CHECK(both.globals == 2);
        REQUIRE(both.each.size() == 2);
        CHECK(both.each[0].size() == both.each[1].size());
        const auto weak = both.each[1].describe();
        INFO(weak);
        CHECK(mentions(weak, {"random_resized_crop", "flip", "normalize"}));
        for (const auto part : {"jitter", "gray", "blur", "solarize"}) CHECK(weak.find(part) == std::string::npos);
        int changed = 0;
        for (std::uint64_t i = 0; i < 12; ++i) {
            const auto differs = [&](std::size_t v) {
                const Image seen = both.each[v].render(image, random::Stream({.seed = 1, .index = i, .view = v}));
                for (std::size_t p = 0; p < seen.pixels.size(); ++p)
                    if (seen.pixels[p] != color[p % 3]) return true;
                return false;
            };
            CHECK(!differs(1));
            changed += differs(0);
        }
        CHECK(changed > 6);
    }
}

TEST_CASE("the variants' options on a command line are SimCLR's and their own, each once") {
    const auto base = fields(methods::SimclrOptions{});
    const auto own = [&](const std::vector<std::string>& names) {
        std::vector<std::string> more;
        std::set_difference(names.begin(), names.end(), base.begin(), base.end(), std::back_inserter(more));
        return more;
    };
    using Names = std::vector<std::string>;
    CHECK(own(fields(methods::DclwOptions{})) == Names{"sigma"});
    CHECK(own(fields(methods::NnclrOptions{})) == Names{"predictor", "queue"});
    CHECK(own(fields(methods::ResslOptions{})) == Names{"momentum", "queue", "target-temperature"});
    const auto ressl = fields(methods::ResslOptions{});  // a branch sees one view, there is nothing to join
    CHECK(std::count(ressl.begin(), ressl.end(), "join-views") == 0);
    CHECK(ressl.size() == base.size() - 1 + 3);
    CHECK(fields(methods::NnclrOptions{}).size() == base.size() + 2);
}
