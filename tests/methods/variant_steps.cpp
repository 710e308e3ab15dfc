// SPDX-License-Identifier: Apache-2.0
// The methods that change a slot or two of a known one, as whole steps: three of each against other people's code; and
// the presets of TiCo, W-MSE, LeJEPA and DirectCLR.
#include <doppel/encoders/resnet.hpp>
#include <doppel/methods/contrastive_variants.hpp>
#include <doppel/methods/mmcr.hpp>
#include <doppel/methods/statistics_variants.hpp>

#include "support/method_support.hpp"

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
    auto optimizer = sgd(method, 0.01);
    const double first = step(method, optimizer, batch(0)), second = step(method, optimizer, batch(1));
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
    steps_as(file, "dcl", methods::dcl(tiny(), tiny_heads(methods::SimclrOptions{})).recipe, how);
    auto dclw = methods::dclw(tiny(), tiny_heads(methods::DclwOptions{})).recipe;
    dclw.loss.through_weights = true;
    steps_as(file, "dclw", dclw, how);
}

TEST_CASE("three steps of SupCon, SimCLR v2 and DirectCLR equal solo-learn's and lightly's losses") {  // pitfall 13
    const Steps how{.loose = 5e-3, .lr = 0.01};
    steps_as(file, "supcon", methods::supcon(tiny(), tiny_heads(methods::SimclrOptions{})).recipe, how);
    steps_as(file, "simclr_v2", methods::simclr_v2(tiny(), tiny_heads(methods::SimclrOptions{})).recipe, how);
    methods::DirectclrOptions direct;
    direct.dims = 5;
    steps_as(file, "directclr", methods::directclr(tiny(), direct).recipe,
             {.lr = 0.05, .batch = [](std::int64_t s) { return noisy(s, 2); }});
}

TEST_CASE("three steps of NNCLR and ReSSL equal solo-learn's losses, with queues that wrap around") {  // pitfalls 4, 6
    auto nnclr = tiny_heads(methods::NnclrOptions{});
    nnclr.predictor = 10;
    nnclr.queue = 15;
    // Rows that are rounded to float32 have not quite length 1: solo-learn divides by it, ours does not.
    steps_as(file, "nnclr", methods::nnclr(tiny(), nnclr).recipe, {.tight = 1e-6, .loose = 2e-3, .lr = 0.01});
    auto ressl = tiny_heads(methods::ResslOptions{});
    ressl.momentum = 0.9;  // pitfall 7
    ressl.queue = 15;
    steps_as(file, "ressl", methods::ressl(tiny(), ressl).recipe, {.tight = 1e-6, .lr = 0.01});
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
    const auto preset = methods::tico(tiny(), {.momentum = 0.9, .hidden = 16, .out = 12});
    steps_as(file, "tico", preset.recipe, {.loose = 2e-4, .lr = 0.01});
}

TEST_CASE("three steps of W-MSE equal the authors' formula for given partitions") {
    const auto batch = [](int count) { return [count](std::int64_t s) { return noisy(s, count); }; };
    const methods::WmseOptions whole{.w_size = 0, .iterations = 1, .hidden = 16, .out = 4};
    steps_as(file, "wmse", methods::wmse(tiny(), whole).recipe, {.lr = 0.01, .batch = batch(2)});
    steps_as(file, "wmse_four", methods::wmse(tiny(), whole).recipe, {.lr = 0.01, .batch = batch(4)});

    const auto parts =
        methods::wmse(tiny(), {.batch_size = 12, .w_size = 6, .iterations = 2, .hidden = 16, .out = 4}).recipe;
    const auto given = parts.with_loss([loss = parts.loss](const Tensor& z0, const Tensor& z1) {
        const Tensor i = at::arange(12, at::kLong);
        const Tensor first = (i * 5 + 2).remainder(12), second = (i * 7 + 4).remainder(12);
        return (loss.in_order(z0, z1, first) + loss.in_order(z0, z1, second)) / 2;
    });
    steps_as(file, "wmse_parts", given, {.lr = 0.01, .batch = batch(2)});
}

TEST_CASE("three steps of LeJEPA equal lightly's loss for given directions: a pass a size, one of the projector") {
    const auto recipe = methods::lejepa(tiny(), {.hidden = 16, .out = 12, .locals = 2}).recipe;
    const Tensor directions = unit(chirp({12, 7}, 0.19, 0.6).t()).t();
    const auto given = recipe.with_loss([loss = recipe.loss, directions](const Outputs& out) {
        return loss.with_directions(out, directions.to(out.online[0].scalar_type()));
    });
    steps_as(file, "lejepa", given, {.batch = [](std::int64_t s) {  // pitfall 25
        return batch_of(6, static_cast<double>(s), 2);
    }});
}

// ---- the presets -------------------------------------------------------------------------------------------

TEST_CASE("TiCo, W-MSE, LeJEPA and DirectCLR build and train, small variants too") {
    const auto plain = [](std::int64_t s) { return batch_of(6, static_cast<double>(s)); };
    const auto crops = [](std::int64_t s) { return batch_of(6, static_cast<double>(s), 2); };
    const auto many = [](std::int64_t s) { return noisy(s, 2, 64); };
    trains(methods::tico(tiny(), methods::tico_small), plain);
    trains(methods::wmse(tiny(), methods::wmse_small), many);
    trains(methods::lejepa(tiny(), methods::lejepa_small), crops);
    trains(methods::lejepa(tiny(), methods::lejepa_vit), plain);
    auto direct = methods::directclr_small;
    direct.dims = 8;  // all features
    trains(methods::directclr(tiny(), direct), plain);
}

TEST_CASE("the heads of TiCo, W-MSE and LeJEPA are their papers', DirectCLR has none") {
    CHECK(layers(*methods::tico(tiny()).recipe.projector.build(8).module) ==
          "Linear 8 4096 | BatchNorm 4096 | ReLU | Linear 4096 256 bias");
    CHECK(layers(*methods::wmse(tiny()).recipe.projector.build(8).module) ==
          "Linear 8 1024 bias | BatchNorm 1024 | ReLU | Linear 1024 128 bias");
    CHECK(layers(*methods::lejepa(tiny()).recipe.projector.build(8).module) ==
          "Linear 8 2048 bias | BatchNorm 2048 | ReLU | Linear 2048 2048 bias | BatchNorm 2048 | ReLU | "
          "Linear 2048 128 bias");
    const auto direct = methods::directclr(tiny());
    CHECK(std::is_same_v<decltype(direct.recipe)::Projector, None>);
    CHECK(direct.recipe.loss.dims == 360);
    CHECK(direct.recipe.loss.temperature == 0.1);
    CHECK(methods::directclr(tiny(), methods::directclr_small).recipe.loss.dims == 32);
    CHECK(methods::tico(encoders::ResNet{.depth = 50}).recipe.encoder.zero_init_residual);
    CHECK(!methods::tico(encoders::ResNet{}, methods::tico_small).recipe.encoder.zero_init_residual);
}

TEST_CASE("the losses and targets of the statistics presets have the papers' values") {
    const auto tico = methods::tico(tiny()).recipe;
    CHECK(tico.loss.beta == 0.9);
    CHECK(tico.loss.rho == 8);
    CHECK(tico.target.schedule(at_share(0)) == 0.99);
    CHECK(tico.target.schedule(at_share(1)) == 1);
    CHECK(tico.target.when == targets::EmaTiming::after_step);
    const auto wmse = methods::wmse(tiny()).recipe;
    CHECK(wmse.loss.w_size == 256);
    CHECK(wmse.loss.iterations == 4);
    CHECK(wmse.loss.eps == 0);
    CHECK((wmse.pairing(2, 2) == std::vector<pairings::Pair>{{0, 1}}));
    CHECK(wmse.pairing(4, 4).size() == 6);
    CHECK((wmse.layout.join_heads && !wmse.layout.join_views));
    const auto lejepa = methods::lejepa(tiny()).recipe;
    CHECK(lejepa.loss.lambda == 0.05);
    CHECK(lejepa.loss.directions == 1024);
    CHECK(lejepa.loss.globals == 2);
    CHECK((lejepa.layout.join_heads && lejepa.layout.join_views));
    for (const auto& o : {methods::WmseOptions{}, methods::wmse_small}) {
        CHECK(o.batch_size % o.w_size == 0);
        CHECK(o.w_size >= 2 * o.out);
    }
}

TEST_CASE("the optimizers and schedules of the statistics presets are the authors' or lightly's") {
    const auto tico = methods::tico(tiny(), {.batch_size = 512});
    CHECK(tico.optimizer.describe().find("LARS") == 0);
    CHECK(mentions(tico.optimizer.describe(), {"1.5e-06", "not on biases"}));
    CHECK(tico.lr(at_share(0.1)) == Approx(0.4));
    CHECK(methods::tico(tiny(), {.lr = 0.7}).lr(at_share(0.1)) == Approx(0.7));
    const auto wmse = methods::wmse(tiny());
    CHECK(wmse.optimizer.describe().find("Adam,") == 0);
    CHECK(wmse.optimizer.describe().find("not on biases") == std::string::npos);
    CHECK(wmse.lr(at_share(0.01)) == Approx(2e-3));
    CHECK(methods::wmse(tiny(), {.lr = 3e-3}).lr(at_share(0.01)) == Approx(3e-3));
    CHECK(wmse.batch_size == 512);
    const auto lejepa = methods::lejepa(tiny());
    CHECK(lejepa.optimizer.describe().find("AdamW,") == 0);
    CHECK(mentions(lejepa.optimizer.describe(), {"weight decay 0.0005"}));
    CHECK(lejepa.optimizer.describe().find("not on biases") == std::string::npos);
    CHECK(mentions(methods::lejepa(tiny(), methods::lejepa_vit).optimizer.describe(), {"weight decay 0.05"}));
    CHECK(lejepa.lr(at_share(0)) == Approx(5e-6));
    CHECK(lejepa.lr(at_share(0.01)) == Approx(5e-4));
    CHECK(lejepa.lr(at_share(1)) == Approx(5e-7));
    const auto sane = [](const auto& preset, double warmup) {
        INFO(preset.name);
        CHECK(preset.optimizer.check_learning_rate(preset.lr(at_share(warmup))).empty());
        CHECK(preset.batch_size == 64);
    };
    sane(methods::tico(tiny(), methods::tico_small), 0.1);
    sane(methods::wmse(tiny(), methods::wmse_small), 0.05);
    sane(methods::lejepa(tiny(), methods::lejepa_small), 0.05);

    const auto base = methods::simclr(tiny(), methods::SimclrOptions{});
    const auto direct = methods::directclr(tiny());
    CHECK(direct.name == "directclr");
    CHECK(direct.optimizer.describe() == base.optimizer.describe());
    CHECK(direct.lr.describe() == base.lr.describe());
}

TEST_CASE("W-MSE changes colors before the crop, LeJEPA has views of two sizes, TiCo BYOL's views") {
    const auto tico = methods::tico(tiny()).views, byol = views::byol();
    CHECK(tico.name == "tico");
    REQUIRE(tico.each.size() == 2);
    for (const std::size_t v : {0u, 1u}) CHECK(tico.each[v].describe() == byol.each[v].describe());

    const auto wmse = methods::wmse(tiny(), {.views = 4}).views;
    CHECK(wmse.each.size() == 4);
    CHECK(wmse.globals == 4);
    const std::string text = wmse.each[3].describe();
    INFO(text);
    CHECK(text == wmse.each[0].describe());
    const auto at = [&](const char* what) { return text.find(what); };
    CHECK(at("color_jitter") < at("gray"));
    CHECK(at("gray") < at("random_resized_crop"));
    CHECK(at("random_resized_crop") < at("flip"));
    CHECK(at("flip") != std::string::npos);
    CHECK(at("blur") == std::string::npos);

    const auto sizes = [](const auto& preset) {
        std::vector<int> all;
        for (const auto& view : preset.views.pipelines) all.push_back(view.size());
        return all;
    };
    CHECK(sizes(methods::lejepa(tiny())) == std::vector<int>{224, 224, 96, 96, 96, 96, 96, 96});
    CHECK(sizes(methods::lejepa(tiny(), methods::lejepa_small)) == std::vector<int>{32, 32});
    CHECK(sizes(methods::lejepa(tiny(), {.globals = 4, .locals = 0})) == std::vector<int>{224, 224, 224, 224});
    CHECK(methods::lejepa(tiny()).views.globals == 2);
    const auto large = methods::lejepa(tiny()).views.pipelines[0].describe();
    const auto small = methods::lejepa(tiny(), methods::lejepa_small).views.pipelines[0].describe();
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
    says([] { methods::wmse(tiny(), {.views = 1}); }, {"wmse", "views", "1"});
    says([] { methods::wmse(tiny(), {.min_scale = 0}); }, {"wmse", "min_scale", "0"});
    says([] { methods::wmse(tiny(), {.batch_size = 32, .w_size = 64}); }, {"wmse", "w_size", "32 images", "64"});
    says([] { methods::lejepa(tiny(), {.globals = 0}); }, {"lejepa", "global", "0"});
    says([] { methods::lejepa(tiny(), {.globals = 1, .locals = 0}); }, {"lejepa", "another view"});
    says([] { methods::lejepa(tiny(), {.min_scale = 1.5}); }, {"lejepa", "min_scale", "1.5"});
    says([] { methods::lejepa(tiny(), {.local_min_scale = 0.5}); }, {"lejepa", "local_min_scale", "0.5", "0.3"});
    const auto step_of = [](const auto& preset, const Batch& batch) {
        Method method{preset.recipe, {.seed = 1}};
        method->forward(batch);
    };
    says([&] { step_of(methods::wmse(tiny(), {.batch_size = 5, .w_size = 5, .hidden = 16, .out = 4}), noisy(0, 2)); },
         {"Wmse", "w_size must divide", "5", "12"});
    says([&] { step_of(methods::directclr(tiny()), batch_of(6)); }, {"Directclr", "dims is 360", "8 features"});
}

TEST_CASE("the statistics presets' options name themselves, each once") {
    CHECK(fields(methods::TicoOptions{}).count("rho") == 1);
    CHECK(fields(methods::WmseOptions{}).count("w-size") == 1);
    CHECK(fields(methods::LejepaOptions{}).count("directions") == 1);
    const auto direct = fields(methods::DirectclrOptions{});
    CHECK(direct.count("dims") == 1);
    CHECK(direct.count("hidden") + direct.count("out-dim") == 0);
    CHECK(direct.size() == fields(methods::SimclrOptions{}).size() - 2 + 1);
}
