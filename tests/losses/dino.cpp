// SPDX-License-Identifier: Apache-2.0
// DINO's head and loss, and KoLeo.
#include <doppel/heads/dino.hpp>
#include <doppel/losses/dino.hpp>
#include <doppel/losses/koleo.hpp>
#include <doppel/recipe/method.hpp>
#include <doppel/schedules/constant.hpp>

#include "support/method_support.hpp"

#include <functional>
#include <limits>
#include <set>

using namespace doppel;
using namespace doppel::test;
using losses::Centering;
using losses::Dino;
using losses::Koleo;
using losses::TargetTemperature;

namespace {

// The inputs of make_dino_fixtures.py.
Tensor online(int view, int step = 0, at::IntArrayRef shape = {5, 7}, at::ScalarType type = at::kDouble) {
    return chirp(shape, 0.13 + 0.05 * view, 0.9 - 0.1 * view + 0.3 * step, type);
}
Tensor target(int view, int step = 0, at::IntArrayRef shape = {5, 7}, at::ScalarType type = at::kDouble) {
    return (chirp(shape, 0.11 + 0.04 * view, 0.3 + 0.2 * view + 0.3 * step) + 0.2).to(type);
}

/// What Method gives a loss: `globals` targets, one online output a view.
Outputs outputs(std::vector<Tensor> s, std::vector<Tensor> t, Progress at = {}) {
    Outputs out;
    out.globals = static_cast<std::int64_t>(t.size());
    t.resize(s.size());
    out.online = std::move(s);
    out.target = std::move(t);
    out.at = at;
    return out;
}
Outputs outputs(int views, int globals, int step = 0, at::ScalarType type = at::kDouble, bool leaves = false) {
    std::vector<Tensor> s, t;
    for (int v = 0; v < views; ++v) s.push_back(online(v, step, {5, 7}, type).set_requires_grad(leaves));
    for (int v = 0; v < globals; ++v) t.push_back(target(v, step, {5, 7}, type));
    return outputs(s, t, {.step = step, .of = {.steps = 10, .steps_per_epoch = 1}});
}
Outputs features(std::vector<Tensor> f, std::int64_t globals) {
    Outputs out;
    out.features = std::move(f);
    out.globals = globals;
    return out;
}

Dino dino(std::int64_t dim = 7, at::ScalarType type = at::kDouble) {
    Dino loss{.target_temperature = {.from = 0.04, .to = 0.07, .epochs = 3}};
    loss.build(dim);
    loss.center = loss.center.to(type);
    return loss;
}

Tensor listed(const std::vector<double>& values) { return at::tensor(values, at::kDouble); }
Tensor gradients(const std::vector<Tensor>& all) {
    std::vector<Tensor> parts;
    for (const Tensor& x : all) parts.push_back((x.grad().defined() ? x.grad() : at::zeros_like(x)).flatten());
    return at::cat(parts);
}

// ---- the definitions, one number at a time ------------------------------------------------------------

/// L, and the mean entropy of p, for a center.
std::pair<double, double> dino_by_definition(const Outputs& out, const std::vector<double>& c, double tau,
                                             double tau_t) {
    double loss = 0, entropy = 0;
    int terms = 0;
    const auto softmax = [](std::vector<double> x) {
        double sum = 0;
        for (double& value : x) sum += value = std::exp(value);
        for (double& value : x) value /= sum;
        return x;
    };
    for (std::size_t t = 0; t < static_cast<std::size_t>(out.globals); ++t) {
        const Rows scores = numbers(out.target[t]);
        const auto rows = static_cast<double>(scores.size());
        for (std::size_t b = 0; b < scores.size(); ++b) {
            auto p = scores[b];
            for (std::size_t k = 0; k < p.size(); ++k) p[k] = (p[k] - c[k]) / tau_t;
            p = softmax(p);
            for (const double x : p) entropy -= x * std::log(x) / rows / static_cast<double>(out.globals);
            for (std::size_t o = 0; o < out.online.size(); ++o) {
                if (o == t) continue;
                auto q = numbers(out.online[o])[b];
                for (double& x : q) x /= tau;
                q = softmax(q);
                for (std::size_t k = 0; k < p.size(); ++k) loss -= p[k] * std::log(q[k]) / rows;
            }
        }
        terms += static_cast<int>(out.online.size()) - 1;
    }
    return {loss / terms, entropy};
}

double koleo_by_definition(const Outputs& out, double weight) {
    double loss = 0;
    for (std::size_t v = 0; v < static_cast<std::size_t>(out.globals); ++v) {
        const Rows x = numbers(unit(out.features[v]));
        for (std::size_t i = 0; i < x.size(); ++i) {
            double nearest = std::numeric_limits<double>::infinity();
            for (std::size_t j = 0; j < x.size(); ++j) {
                double square = 0;
                for (std::size_t k = 0; k < x[i].size(); ++k) square += (x[i][k] - x[j][k]) * (x[i][k] - x[j][k]);
                if (i != j) nearest = std::min(nearest, std::sqrt(square));
            }
            loss -= weight * std::log(nearest + 1e-8) / static_cast<double>(x.size());
        }
    }
    return loss;
}

heads::DinoModule head(const heads::Dino& spec, std::int64_t in = 8, at::ScalarType type = at::kFloat) {
    auto module = spec.build(in).module;
    module->to(type);
    return module;
}
const heads::Dino small_head{.hidden = 16, .bottleneck = 6, .out = 12};

void says(const std::function<void()>& action, std::initializer_list<std::string_view> parts) {
    const std::string message = message_of(action);
    INFO(message);
    CHECK(mentions(message, parts));
}

}  // namespace

TEST_CASE("DINO's loss, gradients and center over five epochs are those of lightly, KoLeo too") {  // pitfall 22
    // tests/reference/make_dino_fixtures.py
    for (const auto type : {at::kDouble, at::kFloat}) {
        const double tight = type == at::kDouble ? 1e-11 : 3e-5;
        for (const auto& [views, globals] : {std::pair{4, 2}, {2, 2}, {3, 1}}) {
            Dino loss = dino(7, type);
            for (int step = 0; step < 5; ++step) {
                const auto name =
                    "dino_" + std::to_string(views) + '_' + std::to_string(globals) + '_' + std::to_string(step);
                INFO(name << ' ' << type);
                const auto expected = fixture("dino.txt", name);
                const Outputs out = outputs(views, globals, step, type, true);
                const Tensor value = loss(out);
                CHECK(value.scalar_type() == type);
                CHECK(value.item<double>() == Approx(expected.at("value").at(0)).epsilon(tight));
                value.backward();
                CHECK(largest_difference(gradients(out.online), listed(expected.at("gradient"))) < tight);
                loss.commit(out);
                CHECK(largest_difference(loss.center.flatten(), listed(expected.at("center"))) < tight);
            }
        }
        Dino sinkhorn{.target_temperature = {.from = 0.05, .to = 0.05}, .centering = Centering::sinkhorn};
        sinkhorn.build(7);
        const auto expected = fixture("dino.txt", "sinkhorn");
        const Outputs out = outputs(4, 2, 0, type, true);
        const Tensor value = sinkhorn(out);
        value.backward();
        CHECK(value.item<double>() == Approx(expected.at("value").at(0)).epsilon(tight));
        CHECK(largest_difference(gradients(out.online), listed(expected.at("gradient"))) < tight);
        sinkhorn.commit(out);
        CHECK(sinkhorn.center.abs().max().item<double>() == 0);

        // lightly adds 1e-8 to each difference
        const double close = type == at::kDouble ? 2e-7 : 2e-5;
        const auto leo = fixture("dino.txt", "koleo");
        const std::vector<Tensor> x{leaf(online(0, 0, {6, 4}, type)), leaf(online(1, 0, {6, 4}, type))};
        const Tensor spread = Koleo{}(features(x, 2));
        spread.backward();
        CHECK(spread.scalar_type() == type);
        CHECK(spread.item<double>() == Approx(leo.at("value").at(0)).epsilon(close));
        CHECK(largest_difference(gradients(x), listed(leo.at("gradient"))) < close);
    }
}

TEST_CASE("the target's temperature rises from epoch to epoch as numpy.linspace says") {
    const std::vector<TargetTemperature> all{{0.04, 0.07, 30}, {0.04, 0.07, 1}, {0.02, 0.06, 4}, {0.04, 0.04, 0}};
    for (const auto& temperature : all) {
        const auto expected = fixture("dino.txt", "temperature_" + std::to_string(temperature.epochs)).at("value");
        REQUIRE(expected.size() == 40);
        for (std::int64_t step = 0; step < 200; ++step) {  // five steps an epoch
            const Progress at{.step = step, .of = {.steps = 200, .steps_per_epoch = 5}};
            CHECK(temperature(at) == Approx(expected.at(static_cast<std::size_t>(step / 5))).epsilon(1e-12));
        }
    }
    Dino loss = dino();
    CHECK(loss.begin({.samples = 10, .steps = 10, .steps_per_epoch = 5}).empty());
    CHECK(mentions(loss.begin({.samples = 10, .steps = 10}), {"Dino", "temperature", "epoch"}));
    loss.target_temperature.to = 0.04;
    CHECK(loss.begin({.samples = 10, .steps = 10}).empty());
}

TEST_CASE("DINO and KoLeo equal their definitions, number by number, in float64") {
    for (const auto& [views, globals] : {std::pair{2, 2}, {5, 2}, {4, 1}, {4, 3}}) {
        INFO(views << ' ' << globals);
        Dino loss = dino();
        loss.temperature = 0.3;
        loss.center_momentum = 0.6;
        std::vector<double> c(7);
        for (int step = 0; step < 3; ++step) {
            const Outputs out = outputs(views, globals, step);
            const double tau_t = std::vector{0.04, 0.055, 0.07}.at(static_cast<std::size_t>(step));
            const auto [expected, entropy] = dino_by_definition(out, c, 0.3, tau_t);
            CHECK(loss(out).item<double>() == Approx(expected).epsilon(1e-11));
            const auto metrics = loss.metrics();
            REQUIRE(metrics.size() == 2);
            CHECK(metrics[0].first == "target_entropy");
            CHECK(metrics[0].second.item<double>() == Approx(entropy).epsilon(1e-10));
            CHECK(metrics[1].first == "target_kl");
            CHECK(metrics[1].second.item<double>() == Approx(expected - entropy).epsilon(1e-10));
            CHECK(!metrics[1].second.requires_grad());
            loss.commit(out);
            for (std::size_t k = 0; k < 7; ++k) {
                double mean = 0;
                for (int t = 0; t < globals; ++t)
                    for (const auto& row : numbers(out.target[static_cast<std::size_t>(t)]))
                        mean += row[k] / 5 / globals;
                c[k] = 0.6 * c[k] + 0.4 * mean;
            }
            CHECK(largest_difference(loss.center.flatten(), listed(c)) < 1e-14);
        }
    }
    for (const double weight : {0.0, 0.1, 2.0})
        for (const std::int64_t globals : {1, 2}) {
            const auto out = features({online(0, 0, {6, 4}) * 3, online(1, 0, {6, 4}), online(2, 0, {6, 4})}, globals);
            const double expected = koleo_by_definition(out, weight);
            CHECK(Koleo{.weight = weight}(out).item<double>() == Approx(expected).epsilon(1e-11));
        }
}

TEST_CASE("the gradients of DINO and KoLeo equal central differences, and none flows into the target") {
    const Outputs fixed = outputs(4, 2);
    for (const auto centering : {Centering::mean, Centering::sinkhorn})
        for (std::size_t v = 0; v < 4; ++v) {
            Dino loss = dino();
            loss.centering = centering;
            const auto of = [&](const Tensor& z) {
                Outputs out = fixed;
                out.online[v] = z;
                return loss(out);
            };
            const Tensor x = leaf(fixed.online[v]);
            of(x).backward();
            const at::NoGradGuard no_grad;
            CHECK(x.grad().abs().max().item<double>() > 1e-3);
            CHECK(largest_difference(x.grad(), numeric_gradient(of, x.detach().clone())) < 1e-7);
        }
    Outputs out = outputs(4, 2, 0, at::kDouble, true);
    out.target[0] = leaf(out.target[0]);
    dino()(out).backward();
    CHECK(!out.target[0].grad().defined());

    const auto of = [](const Tensor& z) { return Koleo{}(features({z, online(1, 0, {6, 4})}, 2)); };
    const Tensor x = leaf(online(0, 0, {6, 4}));
    of(x).backward();
    const at::NoGradGuard no_grad;
    CHECK(x.grad().abs().max().item<double>() > 1e-3);
    CHECK(largest_difference(x.grad(), numeric_gradient(of, x.detach().clone())) < 1e-7);
}

TEST_CASE("a view never meets itself, and only the target's global views count") {  // pitfall 25
    // One global view: the online output of that view is in no pair.
    Outputs one = outputs(3, 1, 0, at::kDouble, true);
    dino()(one).backward();
    const auto size = [](const Tensor& x) { return x.grad().defined() ? x.grad().abs().max().item<double>() : 0; };
    CHECK(size(one.online[0]) == 0);
    CHECK(size(one.online[1]) > 0);
    // A target of a local view, where one is there, is not looked at; neither by the center.
    Outputs more = outputs(4, 2), less = outputs(4, 2);
    more.target[2] = target(5);
    Dino a = dino(), b = dino();
    CHECK(a(more).item<double>() == b(less).item<double>());
    a.commit(more);
    b.commit(less);
    CHECK(at::equal(a.center, b.center));
    // An online view that did not pass is left out.
    Outputs short_of = outputs(4, 2), three = outputs(3, 2);
    short_of.online[3] = Tensor{};
    CHECK(dino()(short_of).item<double>() == Approx(dino()(three).item<double>()).epsilon(1e-14));
}

TEST_CASE("the order of images and of local views does not matter, nor what all scores of an image share") {
    const Tensor order = at::tensor({3, 1, 4, 0, 2});
    Outputs plain = outputs(5, 2), mixed = plain, turned = plain, shifted = plain;
    for (auto* list : {&mixed.online, &mixed.target})
        for (Tensor& z : *list)
            if (z.defined()) z = z.index_select(0, order);
    std::swap(turned.online[2], turned.online[4]);
    for (Tensor& z : shifted.online) z = z + wave({5, 1}, 0.8, 0.2);
    const auto all = [&](Centering centering, const Outputs& out) {
        Dino loss = dino();
        loss.centering = centering;
        return loss(out).item<double>();
    };
    for (const auto centering : {Centering::mean, Centering::sinkhorn}) {
        const double expected = all(centering, plain);
        for (const auto& other : {mixed, turned, shifted})
            CHECK(all(centering, other) == Approx(expected).epsilon(1e-12));
    }
    for (Tensor& z : shifted.target)
        if (z.defined()) z = z + 3;
    CHECK(all(Centering::mean, shifted) == Approx(all(Centering::mean, plain)).epsilon(1e-12));
    const Tensor x = online(0, 0, {6, 4}), turn = std::get<0>(at::linalg_qr(chirp({4, 4}, 0.3, 0.5)));
    const double spread = Koleo{}(features({x}, 1)).item<double>();
    CHECK(Koleo{}(features({x.flip(0)}, 1)).item<double>() == Approx(spread).epsilon(1e-12));
    CHECK(Koleo{}(features({x * 100}, 1)).item<double>() == Approx(spread).epsilon(1e-12));
    CHECK(Koleo{}(features({x.mm(turn)}, 1)).item<double>() == Approx(spread).epsilon(1e-12));
}

TEST_CASE("uniform and collapsed outputs have known losses, entropies and divergences") {
    for (const std::int64_t k : {7, 4096, 65536})
        for (const auto centering : {Centering::mean, Centering::sinkhorn}) {
            Dino loss{.centering = centering};
            loss.build(k);
            const Tensor flat = at::full({4, k}, 0.3);
            const double ln = std::log(static_cast<double>(k));
            CHECK(loss(outputs({flat, flat, flat}, {flat, flat})).item<double>() == Approx(ln).epsilon(1e-4));
            CHECK(loss.metrics()[0].second.item<double>() == Approx(ln).epsilon(1e-4));
            CHECK(loss.metrics()[1].second.item<double>() == Approx(0).margin(1e-3));
        }
    // All images in one class, and both networks sure of it: loss, entropy and divergence 0. A center takes it away.
    Dino loss = dino(7, at::kFloat);
    CHECK(loss.metrics().empty());
    Tensor sure = at::zeros({4, 7});
    sure.select(1, 2).fill_(4);
    const auto out = outputs({sure, sure}, {sure, sure});
    CHECK(loss(out).item<double>() == Approx(0).margin(1e-6));
    CHECK(loss.metrics()[0].second.item<double>() == Approx(0).margin(1e-6));
    for (int step = 0; step < 200; ++step) loss.commit(out);
    loss(out);
    CHECK(loss.metrics()[0].second.item<double>() == Approx(std::log(7.0)).epsilon(1e-4));
    Dino shared{.centering = Centering::sinkhorn};  // Sinkhorn shares the images out at once
    shared.build(7);
    shared(out);
    CHECK(shared.metrics()[0].second.item<double>() == Approx(std::log(7.0)).epsilon(1e-4));
}

TEST_CASE("DINO's center is read by the loss, written by commit alone, and goes on in another method") {  // pitfall 22
    Dino loss = dino(7, at::kFloat);
    const Outputs out = outputs(4, 2, 0, at::kFloat);
    const double first = loss(out).item<double>();
    CHECK(loss.center.abs().max().item<double>() == 0);
    CHECK(loss(out).item<double>() == first);
    loss.commit(out);
    CHECK(largest_difference(loss.center, 0.1 * at::cat({out.target[0], out.target[1]}).mean(0, true)) < 1e-7);
    CHECK(loss(out).item<double>() != first);

    const Recipe recipe{.encoder = tiny(),
                        .projector = small_head,
                        .target = targets::Ema{.schedule = schedules::Constant{0.9}},
                        .loss = Dino{},
                        .layout = {.join_views = true, .join_heads = true}};
    Method method{recipe, {.seed = 1}};
    const auto c = [&] { return method->named_buffers()["loss.center"].clone(); };
    CHECK(c().sizes() == at::IntArrayRef({1, 12}));
    method->forward(batch_of(6, 0, 2)).backward();
    method->discard();
    CHECK(c().abs().max().item<double>() == 0);
    method->forward(batch_of(6, 0, 2)).backward();
    const Outputs seen = method->last().back();
    for (std::size_t v = 0; v < 4; ++v) CHECK(seen.target[v].defined() == (v < 2));
    method->commit();
    CHECK(largest_difference(c(), 0.1 * at::cat({seen.target[0], seen.target[1]}).mean(0, true)) < 1e-7);
    Method other{recipe, {.seed = 2}};
    {
        const at::NoGradGuard no_grad;
        for (const auto& item : method->named_parameters()) other->named_parameters()[item.key()].copy_(item.value());
        for (const auto& item : method->named_buffers()) other->named_buffers()[item.key()].copy_(item.value());
    }
    CHECK(method->forward(batch_of(6, 3, 2)).item<float>() == other->forward(batch_of(6, 3, 2)).item<float>());
}

TEST_CASE("KoLeo pulls at the encoder and not at the head; duplicates and one image are no trouble") {  // pitfall 39
    Method method{Recipe{.encoder = tiny(), .projector = small_head, .loss = Koleo{}}, {.seed = 1}};
    method->forward(batch_of(6)).backward();
    CHECK(method->named_parameters()["encoder.conv.weight"].grad().abs().max().item<double>() > 0);
    CHECK(!method->named_parameters()["projector.mlp.0.weight"].grad().defined());

    says([] { Koleo{}(features({online(0, 0, {1, 4})}, 1)); }, {"KoLeo", "at least 2 images", "got 1"});
    Tensor x = leaf(at::cat({online(0, 0, {3, 4}), online(0, 0, {3, 4})}));
    Tensor value = Koleo{.weight = 1}(features({x}, 1));
    value.backward();
    CHECK(value.item<double>() == Approx(-std::log(1e-8)));
    CHECK(x.grad().abs().max().item<double>() == 0);
    x = leaf(at::zeros({4, 3}));
    value = Koleo{}(features({x}, 1));
    value.backward();
    CHECK(std::isfinite(value.item<double>()));
    CHECK(x.grad().isfinite().all().item<bool>());
    // Two opposite images: the nearest other one is as far as can be, not the image itself.
    const Tensor poles = at::tensor({1.0, -1.0}).unsqueeze(1);
    CHECK(Koleo{.weight = 1}(features({poles}, 1)).item<double>() == Approx(-std::log(2.0)));
}

TEST_CASE("half inputs give finite float32 losses, and autocast changes neither loss") {  // pitfall 16
    for (const auto type : {at::kHalf, at::kBFloat16}) {
        std::vector<Tensor> s, t;
        for (int v = 0; v < 3; ++v) s.push_back(leaf((online(v) * 100).to(type)));
        for (int v = 0; v < 2; ++v) t.push_back((target(v) * 100).to(type));
        for (const auto centering : {Centering::mean, Centering::sinkhorn}) {
            Dino loss{.temperature = 0.05, .target_temperature = {.from = 0.02, .to = 0.02}, .centering = centering};
            loss.build(7);
            const Outputs out = outputs(s, t);
            const Tensor value = loss(out);
            CHECK(value.scalar_type() == at::kFloat);
            CHECK(std::isfinite(value.item<double>()));
            value.backward();
            for (const Tensor& z : s) CHECK(z.grad().isfinite().all().item<bool>());
            CHECK(loss.metrics()[0].second.isfinite().item<bool>());
            loss.commit(out);
            CHECK(loss.center.isfinite().all().item<bool>());
        }
        const Tensor f = leaf((online(0, 0, {6, 4}) * 100).to(type));
        const Tensor value = Koleo{}(features({f}, 1));
        value.backward();
        CHECK(value.scalar_type() == at::kFloat);
        CHECK(f.grad().isfinite().all().item<bool>());
    }
    const Outputs out = outputs(4, 2, 0, at::kFloat);
    const Outputs f = features({online(0, 0, {6, 4}, at::kFloat)}, 1);
    const double plain = dino(7, at::kFloat)(out).item<double>(), spread = Koleo{}(f).item<double>();
    const Autocast scope(at::kCPU, Precision::bf16);
    CHECK(dino(7, at::kFloat)(out).item<double>() == plain);
    CHECK(Koleo{}(f).item<double>() == spread);
}

TEST_CASE("DINO's head gives lightly's and the authors' outputs and gradients under their names") {
    struct Case {
        std::string name;
        heads::Dino spec;
    };
    heads::Dino gain = small_head, norm = small_head;
    gain.trained_gain = norm.trained_gain = norm.norm = true;
    const std::vector<Case> cases{
        {"head_plain_fixed", small_head}, {"head_plain_gain", gain}, {"head_norm_gain", norm}};
    for (const auto& [name, spec] : cases) {
        INFO(name);
        const auto expected = fixture("dino.txt", name);
        auto module = head(spec, 8, at::kDouble);
        std::set<std::string> names;
        {
            const at::NoGradGuard no_grad;
            double i = 0;
            for (auto& item : module->named_parameters()) {  // as fill() of method_support.hpp
                Tensor& p = item.value();
                const Tensor noise = chirp(p.sizes(), 0.13 + 0.01 * i, 0.7 + 0.1 * i);
                p.copy_(p.dim() > 1 ? noise * std::sqrt(3.0 / static_cast<double>(p.numel() / p.size(0)))
                                    : (item.key().ends_with("weight") ? 1 + 0.1 * noise : 0.1 * noise));
                ++i;
            }
        }
        const Tensor x = leaf(chirp({5, 8}, 0.17, 0.4));
        const Tensor z = module->forward(x);
        CHECK(largest_difference(z.flatten(), listed(expected.at("output"))) < 1e-11);
        (z * wave(z.sizes(), 0.9, 0.2)).sum().backward();
        CHECK(largest_difference(x.grad().flatten(), listed(expected.at("input"))) < 1e-11);
        std::size_t trained = 0;
        for (const auto& item : module->named_parameters()) {
            INFO(item.key());
            if (!item.value().requires_grad()) {
                CHECK(item.key() == "last_layer.weight_g");
                continue;
            }
            ++trained;
            REQUIRE(expected.count(item.key()) == 1);
            const auto now = statistics(item.value().grad()), then = expected.at(item.key());
            REQUIRE(now.size() == then.size());
            for (std::size_t k = 0; k < now.size(); ++k) CHECK(now[k] == Approx(then[k]).epsilon(1e-10).margin(1e-10));
        }
        CHECK(trained + 2 == expected.size());
    }
}

TEST_CASE("DINO's head starts with rows of length 1 and small weights, and its gain is not trained") {  // pitfall 24
    at::manual_seed(3);
    auto module = head({.hidden = 200, .bottleneck = 64, .out = 500}, 100);
    const Tensor w = module->weight();
    CHECK(w.sizes() == at::IntArrayRef({500, 64}));
    CHECK(largest_difference(w.norm(2, 1), at::ones({500})) < 1e-6);
    const auto parameters = module->named_parameters();
    CHECK(parameters["last_layer.weight_g"].sizes() == at::IntArrayRef({500, 1}));
    CHECK(at::equal(parameters["last_layer.weight_g"], at::ones({500, 1})));
    CHECK(!parameters["last_layer.weight_g"].requires_grad());
    CHECK(parameters["last_layer.weight_v"].abs().max().item<double>() <= 1 / 8.0);
    CHECK(parameters["last_layer.weight_v"].std().item<double>() == Approx(1 / 8.0 / std::sqrt(3.0)).epsilon(0.02));
    for (const char* name : {"mlp.0", "mlp.2", "mlp.4"}) {
        CHECK(parameters[std::string(name) + ".weight"].std().item<double>() == Approx(0.02).epsilon(0.03));
        CHECK(parameters[std::string(name) + ".bias"].abs().max().item<double>() == 0);
    }
    const Tensor z = module->forward(chirp({5, 100}, 0.2, 0.1, at::kFloat));
    CHECK(z.abs().max().item<double>() <= 1 + 1e-6);
    CHECK(head({.layers = 1, .bottleneck = 4, .out = 9})->forward(at::ones({2, 8})).sizes() == at::IntArrayRef({2, 9}));
    // An input that gives the zero vector: scores 0, gradient finite.
    auto bare = head({.layers = 1, .bottleneck = 4, .out = 9});
    const Tensor zero = leaf(at::zeros({2, 8}));
    const Tensor nothing = bare->forward(zero);
    CHECK(nothing.abs().max().item<double>() == 0);
    nothing.sum().backward();
    CHECK(zero.grad().isfinite().all().item<bool>());

    // Under autocast the lengths are taken in float32.
    const Autocast scope(at::kCPU, Precision::bf16);
    CHECK(module->weight().scalar_type() == at::kFloat);
    CHECK(largest_difference(module->weight(), w) == 0);
    const Tensor low = module->forward(chirp({5, 100}, 0.2, 0.1, at::kFloat));
    CHECK(low.scalar_type() == at::kBFloat16);
    CHECK(largest_difference(low, z) < 0.02);
}

TEST_CASE("wrong options and shapes of DINO's parts say what is wrong") {
    const Outputs good = outputs(4, 2);
    const auto with = [&](auto&& change) {
        return [&good, change] {
            Dino loss = dino();
            change(loss);
            loss(good);
        };
    };
    says(with([](Dino& l) { l.temperature = 0; }), {"Dino", "temperature", "got 0"});
    says(with([](Dino& l) { l.target_temperature.to = -1; }), {"Dino", "temperature", "got -1"});
    says(with([](Dino& l) { l.target_temperature.epochs = -2; }), {"Dino", "epochs", "-2"});
    says(with([](Dino& l) { l.center_momentum = 1.5; }), {"Dino", "center_momentum", "1.5"});
    says(with([](Dino& l) { l.center = Tensor{}; }), {"Dino", "[1, 7]", "build(7)"});
    says(with([](Dino& l) { l.center = at::zeros({1, 6}); }), {"Dino", "[1, 7]", "[1, 6]"});
    const auto of = [&](auto&& change) {
        return [&good, change] {
            Outputs out = good;
            change(out);
            dino()(out);
        };
    };
    says(of([](Outputs& o) { o.target.assign(4, Tensor{}); }), {"Dino", "target", "at least one global view"});
    says(of([](Outputs& o) { o.globals = 0; }), {"Dino", "target", "at least one global view"});
    says(of([](Outputs& o) { o.online.pop_back(); }), {"Dino", "as many", "3", "4"});
    says(of([](Outputs& o) { o.online[3] = at::zeros({5, 6}, at::kDouble); }), {"Dino", "[5, 7]", "[5, 6]"});
    says(of([](Outputs& o) { o.target[1] = at::zeros({4, 7}, at::kDouble); }), {"Dino", "[5, 7]", "[4, 7]"});
    says(of([](Outputs& o) { o.target[0] = o.target[1] = at::zeros({5}, at::kDouble); }), {"Dino", "[N, D]", "[5]"});
    says([] { dino()(outputs(1, 1)); }, {"Dino", "another view"});

    says([] { Koleo{.weight = -1}(features({at::ones({3, 2})}, 1)); }, {"KoLeo", "weight", "-1"});
    says([] { Koleo{}(features({at::ones({3, 2})}, 0)); }, {"KoLeo", "at least one global view"});
    says([] { Koleo{}(features({at::ones({3})}, 1)); }, {"KoLeo", "[N, D]", "[3]"});

    says([] { heads::Dino{.layers = 0}.build(8); }, {"heads::Dino", "layers", "got 0"});
    says([] { heads::Dino{.hidden = 0}.build(8); }, {"heads::Dino", "hidden", "got 0"});
    says([] { heads::Dino{.bottleneck = 0}.build(8); }, {"heads::Dino", "bottleneck", "got 0"});
    says([] { heads::Dino{.out = 0}.build(8); }, {"heads::Dino", "out", "got 0"});
}
