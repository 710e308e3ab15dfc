// SPDX-License-Identifier: Apache-2.0
// The preset of DINO: three whole steps against lightly's parts, its passes, its optimizer, what waits, its views.
#include <doppel/encoders/by_name.hpp>
#include <doppel/losses/koleo.hpp>
#include <doppel/methods/dino.hpp>

#include "support/method_support.hpp"

#include <map>
#include <set>

using namespace doppel;
using namespace doppel::test;
using losses::Centering;
using methods::DinoOptions;

namespace {

const encoders::Vit vit{.kind = VitKind::ti, .patch = 4, .image_size = 12, .dim = 24, .depth = 2, .heads = 3};

/// Small enough for a test.
DinoOptions tiny_options() {
    DinoOptions o;
    o.hidden = 16;
    o.bottleneck = 6;
    o.out = 12;
    return o;
}

/// DINO's loss and KoLeo, as DINOv2 has them.
struct Both {
    using Pairing = losses::Dino::Pairing;
    losses::Dino dino{};
    losses::Koleo koleo{};
    void build(std::int64_t dim) { dino.build(dim); }
    template <class Visitor>
    void state(Visitor&& visit) {
        dino.state(visit);
    }
    Tensor operator()(const Outputs& out) { return dino(out) + koleo(out); }
    void commit(const Outputs& out) { dino.commit(out); }
};

Tensor value_of(const AnyMethod& method, const std::string& name) {
    for (const auto& item : method.module().named_parameters())
        if (item.key() == name) return item.value();
    FAIL("no parameter " << name);
    return {};
}

}  // namespace

TEST_CASE("three steps of DINO with two global and two local views equal lightly's parts") {
    const Steps how{.tight = 1e-9, .loose = 5e-3,
                    .batch = [](std::int64_t s) { return batch_of(6, static_cast<double>(s), 2); }};
    DinoOptions o = tiny_options();
    o.warmup_temperature = 0.04;
    o.target_temperature = 0.07;
    o.temperature_epochs = 2;
    o.momentum = 0.9;
    steps_as("dino.txt", "steps_dino", methods::dino(tiny(), o).recipe, how);
    // BatchNorm in the head sees all views together; the gain is trained.
    o.head_norm = o.trained_gain = true;
    steps_as("dino.txt", "steps_dino_norm", methods::dino(tiny(), o).recipe, how);
}

TEST_CASE("the target of DINO sees the global views only, and no branch of it is left out") {
    DinoOptions o = tiny_options();
    o.drop_path = 0.5;
    const auto preset = methods::dino(vit, o);
    CHECK(preset.recipe.encoder.drop_path == 0.5);
    CHECK(preset.recipe.layout.join_views);
    CHECK(preset.recipe.layout.join_heads);
    CHECK(preset.export_encoder == Network::target);
    Method method{preset.recipe, {.seed = 2}};
    method->begin({.samples = 100, .steps = 10, .steps_per_epoch = 5});
    const auto pass = [&] {
        method->forward(batch_of(6, 0, 2));
        Outputs out = method->last().back();
        method->discard();
        return out;
    };
    const Outputs first = pass(), second = pass();
    REQUIRE(first.online.size() == 4);
    for (std::size_t v = 0; v < 4; ++v) {
        CHECK(first.online[v].sizes() == at::IntArrayRef({6, 12}));
        CHECK(first.target[v].defined() == (v < 2));
        CHECK(largest_difference(first.online[v], second.online[v]) > 1e-5);
        if (v < 2) CHECK(at::equal(first.target[v], second.target[v]));
    }
    CHECK(encoders::Vit{}.drop_path == 0);
    // A ViT that was chosen by name, and another encoder, which has no such option.
    CHECK(std::get<encoders::Vit>(methods::dino(encoders::ByName(vit)).recipe.encoder.spec).drop_path == 0.1);
    CHECK(!methods::dino(encoders::ResNet{.zero_init_residual = true}).recipe.encoder.zero_init_residual);
}

TEST_CASE("each gradient is clipped by itself: norms of 30 and 1 become 3 and 1") {
    const auto preset = methods::dino(tiny(), tiny_options());
    Tensor a = at::zeros({9}).requires_grad_(), b = at::zeros({4}).requires_grad_();
    a.mutable_grad() = at::full({9}, 10.0f);
    b.mutable_grad() = at::full({4}, 0.5f);
    preset.clip({{.parameters = {{"a", a}, {"b", b}}}});
    CHECK(a.grad().norm().item<double>() == Approx(3).epsilon(1e-5));
    CHECK(b.grad().norm().item<double>() == Approx(1).epsilon(1e-5));
    DinoOptions o = tiny_options();
    o.clip = 0;
    CHECK(methods::dino(tiny(), o).clip.describe() == "none");
}

TEST_CASE("the head's last layer stays bit for bit as it is for an epoch, then it is trained") {
    for (const bool sgd : {false, true})
        for (const bool gain : {false, true}) {
            DinoOptions o = tiny_options();
            o.optimizer = sgd ? options::Optimizer::sgd : options::Optimizer::adamw;
            o.trained_gain = gain;
            o.train.weight_decay = o.final_weight_decay = 0.3;
            const auto preset = methods::dino(vit, o);
            AnyMethod method = Method{preset.recipe, {.seed = 1}};
            method.begin({.samples = 12, .steps = 6, .steps_per_epoch = 2});
            auto optimizer = preset.optimizer.build(method.trainable());
            const Tensor v = value_of(method, "projector.last_layer.weight_v");
            const Tensor g = value_of(method, "projector.last_layer.weight_g");
            const Tensor other = value_of(method, "projector.mlp.0.weight");
            CHECK(g.requires_grad() == gain);
            const Tensor v0 = v.detach().clone(), g0 = g.detach().clone(), other0 = other.detach().clone();
            for (std::int64_t step = 0; step < 4; ++step) {
                INFO("step " << step << (sgd ? " SGD" : " AdamW"));
                method.forward(batch_of(6, static_cast<double>(step), 1)).backward();
                optim::drop_frozen(preset.frozen, optimizer.groups(), step, 2);
                preset.clip(optimizer.groups());
                optimizer.step(1e-3);
                optimizer.zero_grad();
                method.commit();
                CHECK(bit_equal(v.detach(), v0) == (step < 2));
                CHECK(bit_equal(g.detach(), g0) == (step < 2 || !gain));
                CHECK(!bit_equal(other.detach(), other0));
            }
            if (!gain) CHECK(at::equal(g, at::ones_like(g)));
        }
    DinoOptions o = tiny_options();
    o.freeze_epochs = 0;
    CHECK(methods::dino(tiny(), o).frozen.empty());
    REQUIRE(methods::dino(tiny()).frozen.size() == 1);
    CHECK(methods::dino(tiny()).frozen[0].describe() == "'projector.last_layer' for 1 epoch");
}

TEST_CASE("weight decay is on weights, class token and positions, not on biases and normalization, and rises") {
    const auto preset = methods::dino(vit, tiny_options());
    AnyMethod method = Method{preset.recipe, {.seed = 1}};
    const auto optimizer = preset.optimizer.build(method.trainable());
    std::map<std::string, bool> decays;
    for (const auto& group : optimizer.groups())
        for (const auto& [name, value] : group.parameters) {
            INFO(name);
            decays[name] = group.weight_decay > 0;
            CHECK(decays[name] == (value.dim() > 1));
            CHECK(decays[name] == !(name.ends_with("bias") || name.find("norm") != std::string::npos));
        }
    CHECK(decays.size() == method.trainable().size());
    CHECK(decays.at("encoder.cls_token"));
    CHECK(decays.at("encoder.pos_embed"));
    CHECK(decays.at("projector.last_layer.weight_v"));
    CHECK(!decays.count("projector.last_layer.weight_g"));
    REQUIRE(preset.weight_decay);
    CHECK((*preset.weight_decay)(at_share(0)) == Approx(0.04));
    CHECK((*preset.weight_decay)(at_share(0.5)) == Approx(0.22));
    CHECK((*preset.weight_decay)(at_share(1)) == Approx(0.4));
    CHECK(!methods::dino(tiny(), methods::dino_resnet).weight_decay);
    // From nothing to something: the groups must decay all the same.
    DinoOptions o = tiny_options();
    o.train.weight_decay = 0;
    const auto from_zero = methods::dino(vit, o).optimizer.build(method.trainable());
    CHECK(from_zero.groups().front().weight_decay == Approx(0.4));
}

TEST_CASE("DINO's values are the authors', for ViTs and ResNets") {
    const auto preset = methods::dino(encoders::Vit{});
    CHECK(preset.name == "dino");
    CHECK(preset.epochs == 100);
    CHECK(preset.batch_size == 512);
    CHECK(preset.optimizer.describe().find("AdamW") == 0);
    CHECK(rate(preset, 0) == 0);
    CHECK(rate(preset, 0.1) == Approx(5e-4 * 2));
    CHECK(rate(preset, 1) == Approx(1e-6));
    CHECK(preset.optimizer.check_learning_rate(5e-4 * 2).empty());
    CHECK(preset.clip.each == 3);
    CHECK(preset.clip.global == 0);
    const auto& recipe = preset.recipe;
    CHECK(recipe.encoder.drop_path == 0.1);
    CHECK(recipe.target.timing == targets::EmaTiming::after_step);
    CHECK(recipe.target.schedule(at_share(0)) == 0.996);
    CHECK(recipe.target.schedule(at_share(1)) == 1);
    CHECK(recipe.projector.layers == 3);
    CHECK(recipe.projector.hidden == 2048);
    CHECK(recipe.projector.bottleneck == 256);
    CHECK(recipe.projector.out == 65536);
    CHECK(!recipe.projector.norm);
    CHECK(!recipe.projector.trained_gain);
    CHECK(recipe.loss.temperature == 0.1);
    CHECK(recipe.loss.target_temperature({}) == 0.04);
    CHECK(recipe.loss.center_momentum == 0.9);
    CHECK(recipe.loss.centering == Centering::mean);
    DinoOptions o;
    o.sinkhorn = true;
    o.train.lr = 7e-4;
    CHECK(methods::dino(tiny(), o).recipe.loss.centering == Centering::sinkhorn);
    CHECK(rate(methods::dino(tiny(), o), 0.1) == Approx(7e-4));

    const auto resnet = methods::dino(encoders::ResNet{.depth = 50}, methods::dino_resnet);
    CHECK(resnet.optimizer.describe() == "SGD, momentum 0.9, weight decay 0.0001, not on biases and normalization");
    CHECK(rate(resnet, 0.1) == Approx(0.03 * 2));
    // Warm-up epochs, whatever the length of the run.
    for (const std::int64_t epochs : {20, 100, 300}) CHECK(peak_epoch(methods::dino(tiny(), DinoOptions{.train = {.epochs = epochs}})) == 10);
    CHECK(resnet.optimizer.check_learning_rate(0.06).empty());
    for (std::size_t v = 0; v < resnet.views.pipelines.size(); ++v)
        CHECK(mentions(resnet.views.pipelines[v].describe(), {v < 2 ? "scale=[0.14, 1]" : "scale=[0.05, 0.14]"}));
}

TEST_CASE("DINO's views are the authors': two global ones that differ, and local ones") {
    const auto views = methods::dino(encoders::Vit{}).views;
    CHECK(views.name == "dino");
    CHECK(views.globals == 2);
    REQUIRE(views.pipelines.size() == 10);
    const std::string middle = "horizontal_flip(p=0.5) > color_jitter(brightness=0.4, contrast=0.4, saturation=0.2, "
                               "hue=0.1, p=0.8) > grayscale(p=0.2) > ",
                      end = "normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])";
    const auto blur = [](const std::string& p) {
        return "gaussian_blur(p=" + p + ", sigma=[0.1, 2], kind=boxes) > ";
    };
    const std::string crop = "random_resized_crop(size=224, scale=[0.4, 1], ratio=[0.75, 1.33333], filter=bicubic) > ";
    CHECK(views.pipelines[0].describe() == crop + middle + blur("1") + end);
    CHECK(views.pipelines[1].describe() == crop + middle + blur("0.1") + "solarize(p=0.2, threshold=128) > " + end);
    for (std::size_t v = 2; v < 10; ++v)
        CHECK(views.pipelines[v].describe() ==
              "random_resized_crop(size=96, scale=[0.05, 0.4], ratio=[0.75, 1.33333], filter=bicubic) > " + middle +
                  blur("0.5") + end);

    // Local views are looked at as the global ones are, whatever their own size; sides are multiples of 16.
    for (const auto& [size, local] : {std::pair{32, 16}, {64, 32}, {96, 48}, {128, 48}, {160, 64}, {224, 96}}) {
        INFO(size);
        DinoOptions o = methods::dino_vit_small;
        o.crops.size = size;
        const auto some = methods::dino(vit, o).views;
        REQUIRE(some.pipelines.size() == 4);
        CHECK(some.pipelines[0].size() == size);
        CHECK(some.pipelines[3].size() == local);
        CHECK(some.pipelines[3].normalize() == some.pipelines[0].normalize());
        CHECK((some.pipelines[3].describe().find("blur") != std::string::npos) == (size >= 64));
        CHECK((some.pipelines[3].describe().find("bicubic") != std::string::npos) == (size >= 64));
        CHECK((some.pipelines[0].normalize() == augment::cifar10_normalize) == (size < 64));
    }
    DinoOptions o = methods::dino_small;
    o.locals.count = 0;
    CHECK(methods::dino(tiny(), o).views.pipelines.size() == 2);
    o.locals.count = 3;
    o.locals.size = 20;
    o.crops.channels = 1;
    const auto gray = methods::dino(tiny(), o).views;
    REQUIRE(gray.pipelines.size() == 5);
    CHECK(gray.pipelines[4].size() == 20);
    CHECK(gray.pipelines[4].channels() == 1);
    CHECK(mentions(message_of([] { views::dino({.locals = -1}); }), {"locals", "-1"}));
    CHECK(mentions(message_of([] { views::dino({.local_min_scale = 0.5}); }), {"local views' scales", "0.5", "0.4"}));
    CHECK(mentions(message_of([] { views::dino({.global_min_scale = 0}); }), {"min_scale", "got 0"}));
}

TEST_CASE("the small presets train a ViT and a ResNet on 32 and 16 px, with KoLeo too") {
    const auto train = [](const auto& preset, auto recipe, double lr, const std::string& first) {
        AnyMethod method = Method{recipe, {.seed = 1}};
        CHECK(method.begin({.samples = 64, .steps = 30, .steps_per_epoch = 10}).empty());
        auto optimizer = preset.optimizer.build(method.trainable());
        Batch batch;
        for (const auto& view : preset.views.pipelines) {
            const auto i = static_cast<double>(batch.views.size());
            batch.views.push_back(wave({6, 3, view.size(), view.size()}, 0.37 + 0.01 * i, 0.2, at::kFloat));
        }
        const Tensor start = value_of(method, "encoder." + first).detach().clone();
        const Tensor follower = value_of(method, "target.encoder." + first).detach().clone();
        double last = 0;
        for (std::int64_t step = 0; step < 30; ++step) {
            const Tensor loss = method.forward(batch);
            loss.backward();
            optim::drop_frozen(preset.frozen, optimizer.groups(), step, 10);
            preset.clip(optimizer.groups());
            optimizer.step(lr);
            optimizer.zero_grad();
            method.commit();
            last = loss.template item<double>();
            INFO("step " << step << ": " << last);
            REQUIRE(std::isfinite(last));
        }
        CHECK(last > 0);
        CHECK(last < 5);  // ln 64 = 4.16
        CHECK(!at::equal(value_of(method, "encoder." + first), start));
        CHECK(!at::equal(value_of(method, "target.encoder." + first), follower));
    };
    encoders::Vit net{.kind = VitKind::ti, .patch = 8, .image_size = 32, .dim = 24, .depth = 2, .heads = 3};
    const auto transformer = methods::dino(net, methods::dino_vit_small);
    CHECK(transformer.batch_size == 64);
    CHECK(transformer.recipe.projector.out == 64);
    CHECK(transformer.optimizer.describe().find("AdamW") == 0);
    train(transformer, transformer.recipe, 1e-3, "cls_token");
    const auto resnet = methods::dino(tiny(), methods::dino_small);
    CHECK(resnet.optimizer.describe().find("AdamW") == 0);
    train(resnet, resnet.recipe, 1e-3, "conv.weight");
    CHECK(methods::dino(tiny(), methods::dino_resnet).optimizer.describe().find("SGD") == 0);
    train(transformer, transformer.recipe.with_loss(Both{}), 1e-3, "cls_token");
}
