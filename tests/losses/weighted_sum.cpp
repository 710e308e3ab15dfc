// SPDX-License-Identifier: Apache-2.0
// The sum of losses.
#include <doppel/losses/ibot.hpp>
#include <doppel/losses/lejepa.hpp>
#include <doppel/losses/tico.hpp>
#include <doppel/losses/weighted_sum.hpp>

#include "support/masked_method.hpp"

using namespace doppel;
using namespace doppel::test;
using losses::Ibot;
using losses::Lejepa;
using losses::Sum;
using losses::Weighted;

namespace {

template <class L>
concept NamesPairing = requires { typename L::Pairing; };

/// A pair loss with state as a part.
struct TicoPart {
    losses::Tico of{};
    void build(std::int64_t dim) { of.build(dim); }
    template <class Visitor>
    void state(Visitor&& visit) {
        of.state(visit);
    }
    Tensor operator()(const Outputs& out) const { return of(out.online[0], out.target[1]); }
    void commit(const Outputs& out) { of.commit(out); }
};

/// Has all that a loss may have, but a mask and a pairing.
struct Scaled {
    double power = 2;
    Tensor scale{};
    std::int64_t commits = 0;

    void build(std::int64_t dim) { scale = at::ones({dim}).set_requires_grad(true); }
    template <class Visitor>
    void state(Visitor&& visit) {
        visit("scale", scale);
    }
    std::string begin(const Horizon& h) const { return h.steps < 5 ? "Scaled: few steps" : ""; }
    Tensor operator()(const Outputs& out) const { return (out.online[0] * scale).abs().pow(power).mean(); }
    void commit(const Outputs&) { ++commits; }
    std::vector<std::pair<std::string, Tensor>> metrics() const { return {{"scale", scale.detach().mean()}}; }
    std::vector<std::pair<std::string, std::int64_t*>> counters() { return {{"commits", &commits}}; }
};

struct Symmetric {
    using Pairing = pairings::Symmetric;
    std::int64_t steps = 0;
    void begin(const Horizon& h) { steps = h.steps; }
    Tensor operator()(const Outputs& out) const { return (out.online[0] - out.target[1]).square().mean(); }
    std::vector<std::pair<std::string, Tensor>> metrics() const {
        return {{"scale", at::ones({}) * 7}, {"other", at::ones({})}};
    }
};

struct NoFrills {
    Tensor operator()(const Outputs& out) const { return out.online[1].sum(); }
};
struct Warns : NoFrills {
    std::string begin(const Horizon&) { return "Warns: careful"; }
};

static_assert(contracts::MaskingLoss<Sum<Lejepa, Ibot>> && !contracts::MaskingLoss<Sum<Lejepa, Symmetric>>);
static_assert(std::same_as<Sum<Lejepa, Symmetric, Ibot>::Pairing, pairings::Symmetric>);
static_assert(std::same_as<Sum<Sum<Lejepa>, Sum<Lejepa, Ibot>>::Pairing, pairings::GlobalToAll>);
static_assert(!NamesPairing<Sum<Lejepa, TicoPart>>);

}  // namespace

TEST_CASE("a sum of losses is the weighted sum of its parts' values and gradients") {
    Outputs out;
    const Tensor z = leaf(chirp({6, 5}, 0.3, 0.2)), other = chirp({6, 5}, 0.2, 0.4);
    out.online = {z, other};
    out.target = {z.detach(), other};
    Scaled scaled{.power = 3};
    scaled.build(5);
    Sum sum{Weighted{2.0, scaled}, Weighted{-0.5, Symmetric{}}, Weighted{0.0, NoFrills{}},
            Weighted{1.5, [](const Outputs& seen) { return seen.online[0].sum(); }}};
    const Tensor value = sum(out), expected = 2 * scaled(out) - 0.5 * Symmetric{}(out) + 1.5 * z.sum();
    CHECK(value.scalar_type() == at::kDouble);
    CHECK(value.item<double>() == Approx(expected.item<double>()).epsilon(1e-12));
    value.backward();
    const Tensor gradient = z.grad().clone();
    z.mutable_grad() = Tensor();
    expected.backward();
    CHECK(z.grad().abs().max().item<double>() > 1e-3);
    CHECK(largest_difference(z.grad(), gradient) < 1e-12);
    // Sums of sums.
    Sum nested{Weighted{3.0, sum}, Weighted{1.0, NoFrills{}}};
    CHECK(nested(out).item<double>() == Approx((3 * expected + other.sum()).item<double>()).epsilon(1e-12));
}

TEST_CASE("a sum of losses passes on what its parts have") {
    Sum sum{Weighted{1.0, Scaled{}}, Weighted{1.0, TicoPart{}}, Weighted{0.5, Symmetric{}}, Weighted{1.0, Warns{}}};
    sum.build(5);
    std::vector<std::string> names;
    sum.state([&](const char* name, Tensor& value) {
        names.emplace_back(name);
        CHECK(value.defined());
    });
    CHECK(names == std::vector<std::string>{"scale", "covariance"});
    CHECK(sum.begin({.steps = 3}) == "Scaled: few steps; Warns: careful");
    CHECK(sum.begin({.steps = 30}) == "Warns: careful");
    CHECK(std::get<2>(sum.parts).loss.steps == 30);
    Outputs out;
    out.online = out.target = {at::ones({4, 5}), at::ones({4, 5})};
    sum.commit(out);
    CHECK(std::get<0>(sum.parts).loss.commits == 1);
    CHECK(std::get<1>(sum.parts).loss.of.covariance.abs().max().item<double>() > 0);
    const auto metrics = sum.metrics();
    REQUIRE(metrics.size() == 3);
    CHECK(metrics[0].first == "scale");
    CHECK(metrics[1].first == "scale_2");
    CHECK(metrics[1].second.item<double>() == 7);
    CHECK(metrics[2].first == "other");
    const auto counters = sum.counters();
    REQUIRE(counters.size() == 1);
    CHECK(counters[0].first == "commits");
    CHECK(counters[0].second == &std::get<0>(sum.parts).loss.commits);
    // The mask is that of the part which has one.
    const Ibot hides{.blocks = {.probability = 1}};
    const random::Stream draw({.seed = 4, .purpose = random::Purpose::mask});
    CHECK(Sum{Weighted{1.0, Scaled{}}, Weighted{1.0, hides}}.mask(6, 5, draw) == hides.mask(6, 5, draw));
    // What no part has the sum has not.
    using Plain = Sum<NoFrills, Ibot>;
    static_assert(!contracts::HasCounters<Plain> && !contracts::HasMetrics<Plain>);
    static_assert(!contracts::HasState<Sum<NoFrills, Lejepa>> && contracts::HasState<Plain>);
}

TEST_CASE("a sum of losses says what is wrong with its parts") {
    Outputs out;
    out.online = {at::ones({4, 5}), at::ones({4, 5})};
    for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        Sum sum{Weighted{1.0, Lejepa{}}, Weighted{bad, NoFrills{}}};
        says([&] { sum(out); }, {"Sum", "weights must be finite"});
        says([&] { sum.build(5); }, {"Sum", "weights must be finite"});
        says([&] { sum.begin({}); }, {"Sum", "weights must be finite"});
    }
    Sum twice{Weighted{1.0, TicoPart{}}, Weighted{1.0, NoFrills{}}, Weighted{1.0, TicoPart{}}};
    says([&] { twice.build(5); }, {"Sum", "two parts", "tensor", "covariance"});
    says([&] { Method{Recipe{.encoder = tiny(), .loss = twice}}; }, {"Sum", "two parts", "covariance"});
    struct AlsoCounts : NoFrills {
        std::int64_t commits = 0;
        std::vector<std::pair<std::string, std::int64_t*>> counters() { return {{"commits", &commits}}; }
    };
    Sum counting{Weighted{1.0, Scaled{}}, Weighted{1.0, AlsoCounts{}}};
    says([&] { counting.build(5); }, {"Sum", "two parts", "counter", "commits"});
    Sum rows{Weighted{1.0, [](const Outputs& seen) { return seen.online[0].sum(1); }}};
    says([&] { rows(out); }, {"Sum", "scalar", "[4]"});
}

TEST_CASE("a sum of losses trains in a method: state, counters, metrics and masks of its parts") {
    const auto recipe = masked(Sum{Weighted{1.0, Scaled{}}, Weighted{0.5, Ibot{.blocks = {.probability = 1}}},
                                   Weighted{0.1, TicoPart{}}, Weighted{0.1, Lejepa{.directions = 8}}});
    AnyMethod method = Method{recipe, {.seed = 3}};
    const auto warnings = method.begin({.samples = 100, .steps = 3, .steps_per_epoch = 1});
    CHECK(warnings == std::vector<std::string>{"Scaled: few steps"});
    const auto value = [&](const std::string& name) { return state_of(method).at(name).clone(); };
    CHECK(value("loss.patch_center").sizes() == at::IntArrayRef({1, 6}));
    CHECK(value("loss.covariance").sizes() == at::IntArrayRef({6, 6}));
    CHECK(method.module().named_parameters().contains("loss.scale"));
    const auto trainable = method.trainable();
    CHECK(std::any_of(trainable.begin(), trainable.end(), [](const auto& item) { return item.first == "loss.scale"; }));
    auto optimizer = sgd(method);
    const double first = step(method, optimizer, batch_of(8, 0, 1));
    CHECK(std::isfinite(first));
    CHECK(largest_difference(value("loss.scale"), at::ones({6})) > 1e-6);
    CHECK(value("loss.patch_center").abs().max().item<double>() > 0);
    CHECK(value("loss.covariance").abs().max().item<double>() > 0);
    CHECK(method.last().empty());
    method.forward(batch_of(8, 1, 1));
    CHECK(method.last()[0].patches.online.defined());
    CHECK(!method.last()[0].target[2].defined());  // iBOT's pairing
    method.skip();
    const auto counters = method.counters();
    REQUIRE(counters.back().first == "loss.commits");
    CHECK(*counters.back().second == 1);
    REQUIRE(method.metrics().size() == 1);
    CHECK(method.metrics()[0].second.item<double>() == Approx(value("loss.scale").mean().item<double>()));

    // The value is that of the parts, and parts without a pairing leave all views to all branches.
    Method plain{Recipe{.encoder = tiny(),
                        .target = targets::Ema{},
                        .loss = Sum{Weighted{2.0, NoFrills{}}, Weighted{3.0, NoFrills{}}}}};
    const double sum = plain->forward(batch_of(4, 0, 1)).item<double>();
    CHECK(sum == Approx(5 * plain->last()[0].online[1].sum().item<double>()).epsilon(1e-5));
    CHECK(plain->last()[0].target[2].defined());
    CHECK(!plain->named_children().contains("loss"));
}
