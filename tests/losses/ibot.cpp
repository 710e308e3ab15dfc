// SPDX-License-Identifier: Apache-2.0
#include <doppel/losses/ibot.hpp>

#include "support/masked_method.hpp"

#include <functional>
#include <limits>
#include <numeric>

using namespace doppel;
using namespace doppel::test;
using losses::Centering;
using losses::Ibot;

namespace {

// ---- the inputs of make_ibot_fixtures.py ------------------------------------------------------------------

const std::vector<std::int64_t> hidden_patches{3, 0, 1, 4, 2, 8};  // of six views with 9 patches each

Tensor mask() {
    const Tensor places = (at::arange(9) * 7).unsqueeze(0) + (at::arange(6) * 5).unsqueeze(1);
    return places.remainder(9) < at::tensor(hidden_patches).unsqueeze(1);                             // [6, 9]
}
Tensor weights(at::ScalarType type = at::kDouble) {
    std::vector<double> all;
    for (const auto n : hidden_patches)
        for (std::int64_t i = 0; i < n; ++i) all.push_back(1 / static_cast<double>(n * 6));
    return at::tensor(all, type);                                                                     // [18]
}
Tensor online(int step, at::ScalarType type = at::kDouble) {
    return chirp({6, 9, 5}, 0.017 + 0.002 * step, 0.6).index({mask()}).to(type);                      // [18, 5]
}
Tensor target(int step, at::ScalarType type = at::kDouble) {
    return (0.3 * chirp({6, 9, 5}, 0.011 + 0.003 * step, 0.3) + 0.1).index({mask()}).to(type);        // [18, 5]
}

Outputs outputs(const Tensor& s, const Tensor& t, const Tensor& w = weights(), std::int64_t epoch = 0) {
    Outputs out;
    out.patches = {.online = s, .target = t, .weight = w};
    out.at = {.step = epoch * 10, .of = {.samples = 100, .steps = 1000, .steps_per_epoch = 10}};
    return out;
}

Ibot ibot(std::int64_t classes = 5, Ibot loss = {}, at::ScalarType type = at::kDouble) {
    loss.build(classes);
    loss.patch_center = loss.patch_center.to(type);
    return loss;
}
const losses::TargetTemperature warm{.from = 0.04, .to = 0.07, .epochs = 3}, fixed{.from = 0.07, .to = 0.07};

// ---- the definition, one number at a time -----------------------------------------------------------------

std::vector<double> softmax(const std::vector<double>& x, double temperature) {
    const double top = *std::max_element(x.begin(), x.end());
    std::vector<double> p;
    double sum = 0;
    for (const double value : x) sum += p.emplace_back(std::exp((value - top) / temperature));
    for (double& value : p) value /= sum;
    return p;
}

Rows sinkhorn_by_definition(Rows q, double epsilon) {
    const auto rows = static_cast<double>(q.size()), columns = static_cast<double>(q[0].size());
    for (auto& row : q)
        for (double& value : row) value = std::exp(value / epsilon);
    for (int i = 0; i < 3; ++i) {
        for (std::size_t k = 0; k < q[0].size(); ++k) {
            double sum = 0;
            for (const auto& row : q) sum += row[k];
            for (auto& row : q) row[k] *= rows / columns / sum;
        }
        for (auto& row : q) {
            const double sum = std::accumulate(row.begin(), row.end(), 0.0);
            for (double& value : row) value /= sum;
        }
    }
    return q;
}

double by_definition(const losses::Ibot& loss, const Outputs& out, double target_temperature) {
    const Rows s = numbers(out.patches.online), t = numbers(out.patches.target), c = numbers(loss.patch_center);
    const Rows w = numbers(out.patches.weight.unsqueeze(0));
    const Rows assigned = sinkhorn_by_definition(t, target_temperature);
    double sum = 0;
    for (std::size_t m = 0; m < s.size(); ++m) {
        std::vector<double> centered = t[m];
        for (std::size_t k = 0; k < centered.size(); ++k) centered[k] -= c[0][k];
        const auto p = loss.centering == Centering::mean ? softmax(centered, target_temperature) : assigned[m];
        const auto q = softmax(s[m], loss.temperature);
        for (std::size_t k = 0; k < p.size(); ++k) sum -= w[0][m] * p[k] * std::log(q[k]);
    }
    return sum;
}

// ---- a method ---------------------------------------------------------------------------------------------

const Horizon horizon{.samples = 100, .steps = 100, .steps_per_epoch = 10};

static_assert(contracts::MaskingLoss<Ibot> && contracts::OutputsLoss<Ibot>);

}  // namespace

TEST_CASE("iBOT's patch loss gives the values, gradients and centers of lightly and of the authors' formula") {
    // tests/reference/make_ibot_fixtures.py: the center is read before it is written
    for (const auto type : {at::kDouble, at::kFloat}) {
        const double tolerance = type == at::kDouble ? 1e-11 : 4e-6;
        const auto equal = [&](const Ibot& loss, const std::string& name, int inputs, std::int64_t epoch) {
            INFO(name << ' ' << type);
            const auto expected = fixture("ibot.txt", name);
            const Tensor s = leaf(online(inputs), type), t = leaf(target(inputs), type);
            const Outputs out = outputs(s, t, weights(), epoch);  // weights in double, as any type may come
            const Tensor value = loss(out);
            value.backward();
            CHECK(value.scalar_type() == type);
            CHECK(value.item<double>() == Approx(expected.at("value").at(0)).epsilon(tolerance));
            CHECK(largest_difference(s.grad().flatten(), at::tensor(expected.at("gradient"), at::kDouble)) < tolerance);
            CHECK(!t.grad().defined());
            return out;
        };
        Ibot loss = ibot(5, {.target_temperature = warm}, type);
        for (int step = 0; step < 4; ++step) {
            const std::string name = "ibot_" + std::to_string(step);
            loss.commit(equal(loss, name, step, step));
            const auto state = fixture("ibot.txt", name).at("state");
            CHECK(largest_difference(loss.patch_center.flatten(), at::tensor(state, at::kDouble)) < tolerance);
        }
        equal(ibot(5, {.target_temperature = fixed, .centering = Centering::sinkhorn}, type), "ibot_sinkhorn", 0, 0);
    }
}

TEST_CASE("iBOT's patch loss equals its definition, number by number, in float64") {
    for (const auto how : {Centering::mean, Centering::sinkhorn})
        for (const double temperature : {0.1, 1.0})
            for (const std::int64_t epoch : {0, 1, 2, 7}) {
                Ibot loss = ibot(5, {.temperature = temperature, .target_temperature = warm, .centering = how});
                loss.patch_center = chirp({1, 5}, 0.3, 0.2) * 0.1;
                const Outputs out = outputs(3 * online(1), target(2), chirp({18}, 0.2, 0.1) + 2, epoch);
                const double warmed = std::min(0.07, 0.04 + 0.015 * static_cast<double>(epoch));
                CHECK(loss(out).item<double>() == Approx(by_definition(loss, out, warmed)).epsilon(1e-10));
            }
}

TEST_CASE("the gradient of iBOT's patch loss equals central differences") {
    for (const auto how : {Centering::mean, Centering::sinkhorn}) {
        Ibot loss = ibot(5, {.target_temperature = fixed, .centering = how});
        loss.patch_center = chirp({1, 5}, 0.3, 0.2) * 0.1;
        const Tensor x = leaf(online(0));
        const auto value = [&](const Tensor& s) { return loss(outputs(s, target(0))); };
        value(x).backward();
        CHECK(x.grad().abs().max().item<double>() > 1e-3);
        CHECK(largest_difference(x.grad(), numeric_gradient(value, x.detach().clone())) < 1e-7);
    }
}

TEST_CASE("iBOT's center is the target's alone, is read by the loss and written by commit") {
    Ibot loss = ibot(5, {.target_temperature = fixed});
    const Outputs out = outputs(online(0), target(0));
    const double first = loss(out).item<double>();
    CHECK(loss(out).item<double>() == first);
    CHECK(loss.patch_center.abs().max().item<double>() == 0);
    loss.commit(out);
    const Tensor once = target(0).mean(0, true);
    CHECK(largest_difference(loss.patch_center, 0.1 * once) < 1e-15);
    CHECK(loss(out).item<double>() != first);
    loss.commit(outputs(100 * online(3), target(0)));
    CHECK(largest_difference(loss.patch_center, 0.19 * once) < 1e-15);
    // A step in which nothing was hidden, and Sinkhorn, leave it.
    Outputs none;
    none.online = {at::ones({2, 5})};
    loss.commit(none);
    loss.centering = Centering::sinkhorn;
    loss.commit(out);
    CHECK(largest_difference(loss.patch_center, 0.19 * once) < 1e-15);
    // m = 1 keeps, m = 0 takes the last.
    Ibot still = ibot(5, {.center_momentum = 1}), last = ibot(5, {.center_momentum = 0});
    still.commit(out), last.commit(out);
    CHECK(still.patch_center.abs().max().item<double>() == 0);
    CHECK(largest_difference(last.patch_center, once) < 1e-15);
}

TEST_CASE("where no patch is masked iBOT's loss is 0 and can be differentiated") {
    for (const auto type : {at::kDouble, at::kFloat, at::kHalf}) {
        const Tensor z = leaf(wave({4, 5}) * std::numeric_limits<double>::infinity(), type);
        Outputs out;
        out.online = {z, z};
        const Tensor value = ibot()(out);
        value.backward();
        CHECK(value.item<double>() == 0);
        CHECK(value.dim() == 0);
        CHECK(value.scalar_type() == (type == at::kDouble ? at::kDouble : at::kFloat));
        REQUIRE(z.grad().defined());
        CHECK(z.grad().abs().max().item<double>() == 0);
    }
    says([] { ibot()(Outputs{}); }, {"Ibot", "masked patches or at least one view"});
}

TEST_CASE("iBOT's loss of outputs that say nothing, that are collapsed and that agree are known numbers") {
    const double share = 5 / 6., k = 5;  // one of six views has no hidden patch
    const Tensor same = at::ones({18, 5}, at::kDouble);
    const Tensor one = at::one_hot(at::arange(18).remainder(5), 5).to(at::kDouble);
    for (const auto how : {Centering::mean, Centering::sinkhorn}) {
        const Ibot loss = ibot(5, {.target_temperature = fixed, .centering = how});
        for (const Tensor& t : {same, target(0), one})
            CHECK(loss(outputs(same, t)).item<double>() == Approx(share * std::log(k)).epsilon(1e-12));
        CHECK(loss(outputs(10 * one, one)).item<double>() == Approx(0).margin(1e-3));
        // Cross-entropy is least, the target's own entropy, where both distributions agree.
        const Tensor p = losses::centered(target(0), loss.patch_center, 0.07, how);
        const double least = -((p * p.log()).sum(1) * weights()).sum().item<double>();
        CHECK(loss(outputs(p.log() * 0.1, target(0))).item<double>() == Approx(least).epsilon(1e-10));
        CHECK(loss(outputs(online(0), target(0))).item<double>() > least + 0.1);
    }
    // The center takes away a class that always wins; without it the target has collapsed onto that class.
    Ibot loss = ibot(5, {.target_temperature = fixed, .center_momentum = 0});
    Tensor winner = at::zeros({18, 5}, at::kDouble);
    winner.select(1, 2).fill_(3);
    const Outputs out = outputs(winner, winner);
    CHECK(loss(out).item<double>() < 1e-9);
    loss.commit(out);
    CHECK(loss(out).item<double>() > 1);
}

TEST_CASE("iBOT's loss does not care about the order of patches, nor about a constant added to a patch's scores") {
    const Tensor order = (at::arange(18) * 5 + 3).remainder(18);
    const auto mixed = [&](const Tensor& x) { return x.index_select(0, order); };
    for (const auto how : {Centering::mean, Centering::sinkhorn}) {
        const Ibot loss = ibot(5, {.target_temperature = fixed, .centering = how});
        const double value = loss(outputs(online(0), target(0))).item<double>();
        const Outputs other = outputs(mixed(online(0)), mixed(target(0)), mixed(weights()));
        CHECK(loss(other).item<double>() == Approx(value).epsilon(1e-12));
        CHECK(loss(outputs(online(0) + wave({18, 1}), target(0))).item<double>() == Approx(value).epsilon(1e-12));
        CHECK(loss(outputs(online(0), target(0) + 0.4)).item<double>() == Approx(value).epsilon(1e-10));
        CHECK(loss(outputs(online(0), target(0), 3 * weights())).item<double>() == Approx(3 * value).epsilon(1e-12));
        // but patch m belongs to patch m
        CHECK(std::abs(loss(outputs(online(0), mixed(target(0)))).item<double>() - value) > 1e-3);
    }
}

TEST_CASE("half-precision, extreme and equal scores give finite patch losses and gradients") {
    for (const auto how : {Centering::mean, Centering::sinkhorn}) {
        const Ibot loss = ibot(5, {.target_temperature = {.from = 0.02, .to = 0.02}, .centering = how}, at::kFloat);
        for (const auto type : {at::kHalf, at::kBFloat16}) {
            const Tensor s = leaf(online(0, type)), t = target(0, type), w = weights(at::kFloat);
            const Tensor value = loss(outputs(s, t, w));
            value.backward();
            CHECK(value.scalar_type() == at::kFloat);
            CHECK(largest_difference(value, loss(outputs(s.detach().to(at::kFloat), t.to(at::kFloat), w))) == 0);
            CHECK(at::isfinite(s.grad()).all().item<bool>());
            CHECK(s.grad().abs().max().item<double>() > 0);
        }
        for (const Tensor& x : {at::zeros({18, 5}), at::full({18, 5}, 1e4), 1e4 * online(0, at::kFloat)}) {
            const Tensor s = leaf(x), value = loss(outputs(s, -x, weights(at::kFloat)));
            value.backward();
            CHECK(std::isfinite(value.item<double>()));
            CHECK(at::isfinite(s.grad()).all().item<bool>());
        }
    }
}

TEST_CASE("iBOT's loss and center are computed in float32 under bfloat16 autocast") {
    for (const auto how : {Centering::mean, Centering::sinkhorn}) {
        const auto all = [&] {
            Ibot loss = ibot(5, {.target_temperature = fixed, .centering = how}, at::kFloat);
            const Outputs out = outputs(online(0, at::kFloat), target(0, at::kFloat), weights(at::kFloat));
            loss.commit(out);
            return at::cat({loss(out).reshape({1, 1}), loss.patch_center}, 1);
        };
        const Tensor outside = all();
        const Autocast scope(at::kCPU, Precision::bf16);
        CHECK(bit_equal(all(), outside));
        CHECK(outside.mm(outside.t()).scalar_type() == at::kBFloat16);  // the scope itself is as it was
    }
}

TEST_CASE("iBOT's loss says what is wrong with its options and input") {
    const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
    const auto with = [](const Tensor& s, const Tensor& t, const Tensor& w = weights()) {
        return [=] { ibot()(outputs(s, t, w)); };
    };
    for (const double bad : {0.0, -0.1, nan, infinity}) {
        says([&] { ibot(5, {.temperature = bad}); }, {"Ibot", "temperature", "positive"});
        says([&] { ibot(5, {.target_temperature = {.from = bad}}); }, {"Ibot", "temperature", "positive"});
        says([&] { ibot(5, {.target_temperature = {.to = bad}}); }, {"Ibot", "temperature", "positive"});
    }
    says([&] { ibot(5, {.target_temperature = {.epochs = -1}}); }, {"Ibot", "epochs", "at least 0, got -1"});
    for (const double bad : {-0.1, 1.1, nan})
        says([&] { ibot(5, {.center_momentum = bad}); }, {"Ibot", "center_momentum", "between 0 and 1"});
    says([&] { ibot(5, {.blocks = {.probability = 2}}); }, {"BlockMask", "[0, 1], got 2"});
    says([] { Ibot{}(outputs(online(0), target(0))); }, {"Ibot", "[1, 5]", "build(5)"});
    says([] { ibot(4)(outputs(online(0), target(0))); }, {"Ibot", "[1, 5]", "got [1, 4]"});
    says(with(wave({2, 3, 4}), target(0)), {"Ibot", "[N, D]", "[2, 3, 4]"});
    says(with(online(0), Tensor()), {"Ibot", "second input", "[18, 5]"});
    says(with(online(0), wave({17, 5})), {"Ibot", "[18, 5]", "[17, 5]"});
    says(with(online(0).to(at::kLong), target(0)), {"Ibot", "floating-point"});
    says(with(online(0), target(0), wave({17})), {"Ibot", "weights", "[18]", "[17]"});
    says(with(online(0), target(0), Tensor()), {"Ibot", "weights", "[18]"});
    // A global view that the pairing leaves out would make the loss smaller without a word.
    Outputs out = outputs(online(0), target(0));
    out.online = {at::ones({2, 5}), Tensor()};
    says([&] { ibot()(out); }, {"Ibot", "global view 1", "online branch", "pairing"});
}

TEST_CASE("iBOT in a method: patches meet their own, the mask token learns, the center is state") {
    Method method{masked(Ibot{.blocks = {.probability = 0.7}}), {.seed = 2}};
    CHECK(method->begin(horizon).empty());
    const auto center = [&] { return method->named_buffers()["loss.patch_center"].clone(); };
    CHECK(center().sizes() == at::IntArrayRef({1, 6}));
    const Tensor value = method->forward(batch_of(8, 0, 1));
    const Outputs seen = method->last()[0];
    CHECK(value.item<double>() == Approx(by_definition(method->recipe.loss, seen, 0.04)).epsilon(1e-5));
    // Weights sum to the share of the global views with hidden patches, and the places are those of mask().
    double views = 0;
    std::int64_t places = 0;
    for (std::uint64_t v = 0; v < 2; ++v)
        for (std::uint64_t i = 0; i < 8; ++i) {
            const random::Stream draw({.seed = 2, .purpose = random::Purpose::mask, .epoch = 0, .index = i, .view = v});
            const auto hidden = method->recipe.loss.mask(3, 3, draw);
            const auto count = std::count(hidden.begin(), hidden.end(), true);
            views += count > 0 ? 1 : 0;
            places += count;
        }
    CHECK(seen.patches.online.size(0) == places);
    CHECK(seen.patches.weight.sum().item<double>() == Approx(views / 16).epsilon(1e-6));
    value.backward();
    const auto gradient = [&](const char* name) { return method->named_parameters()[name].grad(); };
    CHECK(gradient("encoder.mask_token").abs().max().item<double>() > 0);
    CHECK(gradient("projector.0.weight").abs().max().item<double>() > 0);
    for (const auto& item : method->named_parameters())
        if (item.key().starts_with("target.")) CHECK(!item.value().grad().defined());
    method->discard();
    CHECK(center().abs().max().item<double>() == 0);
    method->forward(batch_of(8));
    method->commit();
    CHECK(largest_difference(center(), 0.1 * seen.patches.target.mean(0, true)) < 1e-6);
    // What was saved goes on in another method.
    Method other{masked(Ibot{.blocks = {.probability = 0.7}}), {.seed = 2}};
    {
        const at::NoGradGuard no_grad;
        for (const auto& item : method->named_parameters()) other->named_parameters()[item.key()].copy_(item.value());
        for (const auto& item : method->named_buffers()) other->named_buffers()[item.key()].copy_(item.value());
    }
    other->begin(horizon);
    other->at = method->at;
    CHECK(method->forward(batch_of(8, 3)).item<float>() == other->forward(batch_of(8, 3)).item<float>());
}

TEST_CASE("patches of weight 0 leave no trace in iBOT's loss, gradient and center") {
    for (const auto how : {Centering::mean, Centering::sinkhorn}) {
        const Tensor s = online(0).requires_grad_(true), t = target(0), w = weights();
        const auto filled = [](const Tensor& x) { return at::cat({x, x.narrow(0, 0, 1).expand({4, x.size(1)})}); };
        const Tensor s2 = s.detach().clone().requires_grad_(true);
        Ibot plain = ibot(5, {.centering = how}), other = ibot(5, {.centering = how});
        const Outputs a = outputs(s, t), b = outputs(filled(s2), filled(t), at::cat({w, at::zeros({4}, w.options())}));
        const Tensor x = plain(a), y = other(b);
        CHECK(at::allclose(x, y, 1e-12, 1e-12));
        x.backward();
        y.backward();
        CHECK(at::allclose(s.grad(), s2.grad(), 1e-12, 1e-12));
        plain.commit(a);
        other.commit(b);
        CHECK(at::allclose(plain.patch_center, other.patch_center, 1e-12, 1e-12));
    }
}
