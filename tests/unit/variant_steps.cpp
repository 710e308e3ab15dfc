// SPDX-License-Identifier: Apache-2.0
// The methods that change a slot or two of a known one, as whole steps: three of each against other people's code; and
// the presets of TiCo, W-MSE, LeJEPA and DirectCLR.
#include <doppel/encoders/resnet.hpp>
#include <doppel/methods/contrastive_variants.hpp>
#include <doppel/methods/mmcr.hpp>
#include <doppel/methods/statistics_variants.hpp>

#include "method_support.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

using namespace doppel;
using namespace doppel::test;

namespace {

const std::string file = "variant_steps.txt";

/// As noisy_views() in make_variant_steps.py: related views whose embeddings fill all dimensions.
Batch noisy(std::int64_t step, int count, std::int64_t images = 12) {
    const auto shift = static_cast<double>(step);
    const Tensor shared = chirp({images, 3, 12, 12}, 0.00037, 0.61 + shift);
    Batch batch;
    for (int v = 0; v < count; ++v)
        batch.views.push_back((shared + 0.6 * chirp(shared.sizes(), 0.00023 + 0.0001 * v, 0.5 + shift)).to(at::kFloat));
    batch.globals = count;
    batch.index = at::arange(images, at::kLong);
    batch.label = at::arange(images, at::kLong).remainder(3);
    return batch;
}

template <class Options>
Options tiny_heads(Options o, std::int64_t out = 12) {
    o.hidden = 16;
    o.out = out;
    return o;
}

template <class Options>
std::set<std::string> fields(Options o) {
    std::set<std::string> names;
    std::set<const void*> places;
    std::size_t count = 0;
    describe(o, [&](const std::string& name, auto& field, const char*, const auto&...) {
        names.insert(name);
        places.insert(&field);
        ++count;
    });
    CHECK(names.size() == count);
    CHECK(places.size() == count);
    return names;
}

Progress at_share(double share) { return {.step = std::llround(share * 1000), .of = {.steps = 1000}}; }

/// Two steps with finite losses that differ, and a gradient in all that is trained.
template <class P>
void trains(const P& preset, const std::function<Batch(std::int64_t)>& batch) {
    INFO(preset.name);
    AnyMethod method = Method{preset.recipe, {.seed = 1}};
    CHECK(method.begin({.samples = 1000, .steps = 2, .steps_per_epoch = 1}).empty());
    auto optimiser = sgd(method, 0.01);
    const double first = step(method, optimiser, batch(0)), second = step(method, optimiser, batch(1));
    CHECK(std::isfinite(first));
    CHECK(std::isfinite(second));
    CHECK(first != second);
    for (const auto& [name, value] : method.trainable()) {
        INFO(name);
        REQUIRE(value.grad().defined());
        CHECK(at::isfinite(value.grad()).all().template item<bool>());
    }
}

}  // namespace

// ---- three steps -------------------------------------------------------------------------------------------

TEST_CASE("three steps of DCL and DCLW equal lightly's loss and the paper's weights with their gradient") {
    const Steps how{.loose = 2e-3, .lr = 0.01};
    steps_as(file, "dcl", methods::dcl(tiny(), tiny_heads(methods::SimClrOptions{})).recipe, how);
    auto dclw = methods::dclw(tiny(), tiny_heads(methods::DclwOptions{})).recipe;
    dclw.loss.through_weights = true;
    steps_as(file, "dclw", dclw, how);
}

TEST_CASE("three steps of SupCon, SimCLR v2 and DirectCLR equal solo-learn's and lightly's losses") {  // pitfall 13
    const Steps how{.loose = 5e-3, .lr = 0.01};
    steps_as(file, "sup_con", methods::sup_con(tiny(), tiny_heads(methods::SimClrOptions{})).recipe, how);
    steps_as(file, "sim_clr_v2", methods::sim_clr_v2(tiny(), tiny_heads(methods::SimClrOptions{})).recipe, how);
    methods::DirectClrOptions direct;
    direct.dims = 5;
    steps_as(file, "direct_clr", methods::direct_clr(tiny(), direct).recipe,
             {.lr = 0.05, .batch = [](std::int64_t s) { return noisy(s, 2); }});
}

TEST_CASE("three steps of NNCLR and ReSSL equal solo-learn's losses, with queues that wrap around") {  // pitfalls 4, 6
    auto nn_clr = tiny_heads(methods::nn_clr_options());
    nn_clr.predictor = 10;
    nn_clr.queue = 15;
    // Rows that are rounded to float32 have not quite length 1: solo-learn divides by it, ours does not.
    steps_as(file, "nn_clr", methods::nn_clr(tiny(), nn_clr).recipe, {.tight = 1e-6, .loose = 2e-3, .lr = 0.01});
    auto re_ssl = tiny_heads(methods::re_ssl_options());
    re_ssl.momentum = 0.9;  // pitfall 7
    re_ssl.queue = 15;
    steps_as(file, "re_ssl", methods::re_ssl(tiny(), re_ssl).recipe, {.tight = 1e-6, .lr = 0.01});
}

TEST_CASE("three steps of MMCR, with and without a target, equal the authors' formula") {  // pitfall 32
    methods::MmcrMomentumOptions o;
    o = tiny_heads(o);
    o.lambda = 0.1;
    o.momentum = 0.9;
    steps_as(file, "mmcr", methods::mmcr(tiny(), o).recipe, {.lr = 0.01});
    steps_as(file, "mmcr_momentum", methods::mmcr_momentum(tiny(), o).recipe, {.lr = 0.01});
}

TEST_CASE("three steps of TiCo equal lightly's loss, covariance and target included") {  // pitfall 7
    const auto preset = methods::ti_co(tiny(), {.momentum = 0.9, .hidden = 16, .out = 12});
    steps_as(file, "ti_co", preset.recipe, {.loose = 2e-4, .lr = 0.01});
}

TEST_CASE("three steps of W-MSE equal the authors' formula for given partitions") {
    const auto batch = [](int count) { return [count](std::int64_t s) { return noisy(s, count); }; };
    const methods::WMseOptions whole{.w_size = 0, .iterations = 1, .hidden = 16, .out = 4};
    steps_as(file, "w_mse", methods::w_mse(tiny(), whole).recipe, {.lr = 0.01, .batch = batch(2)});
    steps_as(file, "w_mse_four", methods::w_mse(tiny(), whole).recipe, {.lr = 0.01, .batch = batch(4)});

    const auto parts =
        methods::w_mse(tiny(), {.batch_size = 12, .w_size = 6, .iterations = 2, .hidden = 16, .out = 4}).recipe;
    const auto given = with_loss(parts, [loss = parts.loss](const Tensor& z0, const Tensor& z1) {
        const Tensor i = at::arange(12, at::kLong);
        const Tensor first = (i * 5 + 2).remainder(12), second = (i * 7 + 4).remainder(12);
        return (loss.in_order(z0, z1, first) + loss.in_order(z0, z1, second)) / 2;
    });
    steps_as(file, "w_mse_parts", given, {.lr = 0.01, .batch = batch(2)});
}

TEST_CASE("three steps of LeJEPA equal lightly's loss for given directions: a pass a size, one of the projector") {
    const auto recipe = methods::le_jepa(tiny(), {.hidden = 16, .out = 12, .locals = 2}).recipe;
    const Tensor directions = unit(chirp({12, 7}, 0.19, 0.6).t()).t();
    const auto given = with_loss(recipe, [loss = recipe.loss, directions](const Outputs& out) {
        return loss.with_directions(out, directions.to(out.online[0].scalar_type()));
    });
    steps_as(file, "le_jepa", given, {.batch = [](std::int64_t s) {  // pitfall 25
        return batch_of(6, static_cast<double>(s), 2);
    }});
}

// ---- the presets -------------------------------------------------------------------------------------------

TEST_CASE("TiCo, W-MSE, LeJEPA and DirectCLR build and train, small variants too") {
    const auto plain = [](std::int64_t s) { return batch_of(6, static_cast<double>(s)); };
    const auto crops = [](std::int64_t s) { return batch_of(6, static_cast<double>(s), 2); };
    const auto many = [](std::int64_t s) { return noisy(s, 2, 64); };
    trains(methods::ti_co(tiny(), methods::ti_co_small()), plain);
    trains(methods::w_mse(tiny(), methods::w_mse_small()), many);
    trains(methods::le_jepa(tiny(), methods::le_jepa_small()), crops);
    trains(methods::le_jepa(tiny(), methods::le_jepa_vit()), plain);
    auto direct = methods::direct_clr_small();
    direct.dims = 8;  // all features
    trains(methods::direct_clr(tiny(), direct), plain);
}

TEST_CASE("the heads of TiCo, W-MSE and LeJEPA are their papers', DirectCLR has none") {
    CHECK(layers(*methods::ti_co(tiny()).recipe.projector.build(8).module) ==
          "Linear 8 4096 | BatchNorm 4096 | ReLU | Linear 4096 256 bias");
    CHECK(layers(*methods::w_mse(tiny()).recipe.projector.build(8).module) ==
          "Linear 8 1024 bias | BatchNorm 1024 | ReLU | Linear 1024 128 bias");
    CHECK(layers(*methods::le_jepa(tiny()).recipe.projector.build(8).module) ==
          "Linear 8 2048 bias | BatchNorm 2048 | ReLU | Linear 2048 2048 bias | BatchNorm 2048 | ReLU | "
          "Linear 2048 128 bias");
    const auto direct = methods::direct_clr(tiny());
    CHECK(std::is_same_v<decltype(direct.recipe)::Projector, None>);
    CHECK(direct.recipe.loss.dims == 360);
    CHECK(direct.recipe.loss.temperature == 0.1);
    CHECK(methods::direct_clr(tiny(), methods::direct_clr_small()).recipe.loss.dims == 32);
    CHECK(methods::ti_co(encoders::ResNet{.depth = 50}).recipe.encoder.zero_init_residual);
    CHECK(!methods::ti_co(encoders::ResNet{}, methods::ti_co_small()).recipe.encoder.zero_init_residual);
}

TEST_CASE("the losses and targets of the statistics presets have the papers' values") {
    const auto ti_co = methods::ti_co(tiny()).recipe;
    CHECK(ti_co.loss.beta == 0.9);
    CHECK(ti_co.loss.rho == 8);
    CHECK(ti_co.target.schedule(at_share(0)) == 0.99);
    CHECK(ti_co.target.schedule(at_share(1)) == 1);
    CHECK(ti_co.target.when == momentum::When::after_step);
    const auto w_mse = methods::w_mse(tiny()).recipe;
    CHECK(w_mse.loss.w_size == 256);
    CHECK(w_mse.loss.iterations == 4);
    CHECK(w_mse.loss.eps == 0);
    CHECK((w_mse.pairing(2, 2) == std::vector<pairings::Pair>{{0, 1}}));
    CHECK(w_mse.pairing(4, 4).size() == 6);
    CHECK((w_mse.passes.join_heads && !w_mse.passes.join_views));
    const auto le_jepa = methods::le_jepa(tiny()).recipe;
    CHECK(le_jepa.loss.lambda == 0.05);
    CHECK(le_jepa.loss.directions == 1024);
    CHECK(le_jepa.loss.globals == 2);
    CHECK((le_jepa.passes.join_heads && le_jepa.passes.join_views));
    for (const auto& o : {methods::WMseOptions{}, methods::w_mse_small()}) {
        CHECK(o.batch_size % o.w_size == 0);
        CHECK(o.w_size >= 2 * o.out);
    }
}

TEST_CASE("the optimisers and schedules of the statistics presets are the authors' or lightly's") {
    const auto ti_co = methods::ti_co(tiny(), {.batch_size = 512});
    CHECK(ti_co.optimiser.describe().find("LARS") == 0);
    CHECK(mentions(ti_co.optimiser.describe(), {"1.5e-06", "not on biases"}));
    CHECK(ti_co.lr(at_share(0.1)) == Approx(0.4));
    CHECK(methods::ti_co(tiny(), {.lr = 0.7}).lr(at_share(0.1)) == Approx(0.7));
    const auto w_mse = methods::w_mse(tiny());
    CHECK(w_mse.optimiser.describe().find("Adam,") == 0);
    CHECK(w_mse.optimiser.describe().find("not on biases") == std::string::npos);
    CHECK(w_mse.lr(at_share(0.01)) == Approx(2e-3));
    CHECK(methods::w_mse(tiny(), {.lr = 3e-3}).lr(at_share(0.01)) == Approx(3e-3));
    CHECK(w_mse.batch_size == 512);
    const auto le_jepa = methods::le_jepa(tiny());
    CHECK(le_jepa.optimiser.describe().find("AdamW,") == 0);
    CHECK(mentions(le_jepa.optimiser.describe(), {"weight decay 0.0005"}));
    CHECK(le_jepa.optimiser.describe().find("not on biases") == std::string::npos);
    CHECK(mentions(methods::le_jepa(tiny(), methods::le_jepa_vit()).optimiser.describe(), {"weight decay 0.05"}));
    CHECK(le_jepa.lr(at_share(0)) == Approx(5e-6));
    CHECK(le_jepa.lr(at_share(0.01)) == Approx(5e-4));
    CHECK(le_jepa.lr(at_share(1)) == Approx(5e-7));
    const auto sane = [](const auto& preset, double warmup) {
        INFO(preset.name);
        CHECK(preset.optimiser.doubt(preset.lr(at_share(warmup))).empty());
        CHECK(preset.batch_size == 64);
    };
    sane(methods::ti_co(tiny(), methods::ti_co_small()), 0.1);
    sane(methods::w_mse(tiny(), methods::w_mse_small()), 0.05);
    sane(methods::le_jepa(tiny(), methods::le_jepa_small()), 0.05);

    const auto base = methods::sim_clr(tiny(), methods::SimClrOptions{});
    const auto direct = methods::direct_clr(tiny());
    CHECK(direct.name == "direct_clr");
    CHECK(direct.optimiser.describe() == base.optimiser.describe());
    CHECK(direct.lr.describe() == base.lr.describe());
}

TEST_CASE("W-MSE changes colours before the crop, LeJEPA has views of two sizes, TiCo BYOL's views") {
    const auto ti_co = methods::ti_co(tiny()).views, byol = views::byol();
    CHECK(ti_co.name == "ti_co");
    REQUIRE(ti_co.each.size() == 2);
    for (const std::size_t v : {0u, 1u}) CHECK(ti_co.each[v].describe() == byol.each[v].describe());

    const auto w_mse = methods::w_mse(tiny(), {.views = 4}).views;
    CHECK(w_mse.each.size() == 4);
    CHECK(w_mse.globals == 4);
    const std::string text = w_mse.each[3].describe();
    INFO(text);
    CHECK(text == w_mse.each[0].describe());
    const auto at = [&](const char* what) { return text.find(what); };
    CHECK(at("color_jitter") < at("gray"));
    CHECK(at("gray") < at("random_resized_crop"));
    CHECK(at("random_resized_crop") < at("flip"));
    CHECK(at("flip") != std::string::npos);
    CHECK(at("blur") == std::string::npos);

    const auto sizes = [](const auto& preset) {
        std::vector<int> all;
        for (const auto& view : preset.views.each) all.push_back(view.size());
        return all;
    };
    CHECK(sizes(methods::le_jepa(tiny())) == std::vector<int>{224, 224, 96, 96, 96, 96, 96, 96});
    CHECK(sizes(methods::le_jepa(tiny(), methods::le_jepa_small())) == std::vector<int>{32, 32});
    CHECK(sizes(methods::le_jepa(tiny(), {.globals = 4, .locals = 0})) == std::vector<int>{224, 224, 224, 224});
    CHECK(methods::le_jepa(tiny()).views.globals == 2);
    const auto large = methods::le_jepa(tiny()).views.each[0].describe();
    const auto small = methods::le_jepa(tiny(), methods::le_jepa_small()).views.each[0].describe();
    CHECK(mentions(large, {"jitter", "gray", "blur", "solarize"}));
    CHECK(mentions(small, {"jitter", "gray", "solarize"}));
    CHECK(small.find("blur") == std::string::npos);
}

TEST_CASE("the statistics presets say what is wrong with their options") {
    const auto says = [](auto&& action, std::initializer_list<std::string_view> parts) {
        const auto text = message_of(action);
        INFO(text);
        CHECK(mentions(text, parts));
    };
    says([] { methods::w_mse(tiny(), {.views = 1}); }, {"w_mse", "views", "1"});
    says([] { methods::w_mse(tiny(), {.min_scale = 0}); }, {"w_mse", "min_scale", "0"});
    says([] { methods::w_mse(tiny(), {.batch_size = 32, .w_size = 64}); }, {"w_mse", "w_size", "32 images", "64"});
    says([] { methods::le_jepa(tiny(), {.globals = 0}); }, {"le_jepa", "global", "0"});
    says([] { methods::le_jepa(tiny(), {.globals = 1, .locals = 0}); }, {"le_jepa", "another view"});
    says([] { methods::le_jepa(tiny(), {.min_scale = 1.5}); }, {"le_jepa", "min_scale", "1.5"});
    says([] { methods::le_jepa(tiny(), {.local_min_scale = 0.5}); }, {"le_jepa", "local_min_scale", "0.5", "0.3"});
    const auto step_of = [](const auto& preset, const Batch& batch) {
        Method method{preset.recipe, {.seed = 1}};
        method->forward(batch);
    };
    says([&] { step_of(methods::w_mse(tiny(), {.batch_size = 5, .w_size = 5, .hidden = 16, .out = 4}), noisy(0, 2)); },
         {"WMse", "w_size must divide", "5", "12"});
    says([&] { step_of(methods::direct_clr(tiny()), batch_of(6)); }, {"DirectClr", "dims is 360", "8 features"});
}

TEST_CASE("the statistics presets' options name themselves, each once") {
    CHECK(fields(methods::TiCoOptions{}).count("rho") == 1);
    CHECK(fields(methods::WMseOptions{}).count("w-size") == 1);
    CHECK(fields(methods::LeJepaOptions{}).count("directions") == 1);
    const auto direct = fields(methods::DirectClrOptions{});
    CHECK(direct.count("dims") == 1);
    CHECK(direct.count("hidden") + direct.count("out-dim") == 0);
    CHECK(direct.size() == fields(methods::SimClrOptions{}).size() - 2 + 1);
}
