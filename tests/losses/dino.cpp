// SPDX-License-Identifier: Apache-2.0
#include <doppel/heads/dino.hpp>
#include <doppel/losses/dino.hpp>
#include <doppel/recipe/method.hpp>
#include <doppel/schedules/constant.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::Centering;
using losses::Dino;

namespace {

// The inputs of make_dino_fixtures.py.
Tensor online(int view, int step = 0, at::IntArrayRef shape = {5, 7}, at::ScalarType type = at::kDouble) {
    return chirp(shape, 0.13 + 0.05 * view, 0.9 - 0.1 * view + 0.3 * step, type);
}
Tensor target(int view, int step = 0, at::IntArrayRef shape = {5, 7}, at::ScalarType type = at::kDouble) {
    return (chirp(shape, 0.11 + 0.04 * view, 0.3 + 0.2 * view + 0.3 * step) + 0.2).to(type);
}

/// What Method gives a loss: `globals` targets, one online output a view.
Outputs outputs(std::vector<Tensor> s, std::vector<Tensor> t, TrainingStep at = {}) {
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

const heads::Dino small_head{.hidden = 16, .bottleneck = 6, .out = 12};

}  // namespace

TEST_CASE("DINO's loss, gradients and center over five epochs are those of lightly") {
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
    }
}

TEST_CASE("DINO equals its definition, number by number, in float64") {
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
}

TEST_CASE("DINO's gradients equal central differences, and none flows into the target") {
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
}

TEST_CASE("a view never meets itself, and only the target's global views count") {
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

TEST_CASE("DINO's center is read by the loss, written by commit alone, and goes on in another method") {
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

TEST_CASE("half inputs give a finite float32 loss of DINO, and autocast does not change it") {
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
    }
    const Outputs out = outputs(4, 2, 0, at::kFloat);
    const double plain = dino(7, at::kFloat)(out).item<double>();
    const Autocast scope(at::kCPU, Precision::bf16);
    CHECK(dino(7, at::kFloat)(out).item<double>() == plain);
}

TEST_CASE("DINO says what is wrong with its options and input") {
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
}
