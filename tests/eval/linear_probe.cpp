// SPDX-License-Identifier: Apache-2.0
// The linear probe by SGD: the protocol followed with torch's own parts, the choice of the rate, a frozen encoder.
#include <doppel/data/memory.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/encoders/vit.hpp>
#include <doppel/eval/linear_probe.hpp>
#include <doppel/losses/nt_xent.hpp>

#include "support/train_support.hpp"

#include <torch/nn/functional/loss.h>

#include <numbers>

using namespace doppel;
using namespace doppel::test;

namespace {

augment::Pipeline plain() { return views::simclr_small(12).eval; }
data::Dataset train_images(std::int64_t count = 60) { return data::Embedded({.size = 16, .count = count}); }
data::Dataset validation_images() { return data::Embedded({.size = 16, .count = 30, .first = 500}); }

eval::LinearProbeResult probe(TinyNet net, const eval::LinearProbeOptions& options,
                              const data::Dataset& train = train_images(),
                              const data::Dataset& validation = validation_images()) {
    return eval::linear_probe(
        *net, [&](const Tensor& x) { return net->forward(x); }, train, validation, plain(), options);
}

TinyNet network() {
    at::manual_seed(5);
    TinyNet net(8);
    net->forward(at::randn({20, 3, 12, 12}));  // statistics that are not the first ones
    return net;
}

/// Bright and dark images: one number tells the classes apart.
data::Dataset shades(std::int64_t count, bool mixed = false) {
    std::vector<Image> images;
    std::vector<std::int64_t> labels;
    for (std::int64_t i = 0; i < count; ++i) {
        Image image(16, 16, 3);
        const auto shade = static_cast<std::uint8_t>((i % 2 ? 170 : 60) + i % 17);
        std::fill(image.pixels.begin(), image.pixels.end(), shade);
        images.push_back(std::move(image));
        labels.push_back(mixed ? (i / 2) % 2 : i % 2);
    }
    return data::Memory(std::move(images), std::move(labels), {"dark", "bright"});
}

}  // namespace

TEST_CASE("a probe with one rate is the protocol, followed step by step with torch's loss and SGD") {
    auto net = network();
    const auto train = train_images();
    const eval::LinearProbeOptions options{.epochs = 4, .batch_size = 24, .rates = "5", .seed = 3};
    const auto result = probe(net, options);
    CHECK(result.rate == 5);
    CHECK(result.chosen_by == 0);
    CHECK(result.images == 60);

    const data::Loader loader(train, {eval::training_view(plain())},
                              {.batch_size = 24, .seed = 3, .workers = 0, .drop_last = false});
    Tensor weight =
        eval::LinearHeads({.classes = 10, .features = 8, .seed = 3}).weight[0].clone().set_requires_grad(true);
    Tensor bias = at::zeros({10}).set_requires_grad(true);
    torch::optim::SGD sgd({weight, bias}, torch::optim::SGDOptions(1).momentum(0.9));
    net->eval();
    auto pass = loader.pass(0, 4 * 3);
    for (int step = 0; step < 12; ++step) {
        const Batch batch = *pass->next();
        const Tensor rows =
            net->forward(normalized(batch.views[0], plain().normalize(), at::MemoryFormat::Contiguous)).detach();
        const Tensor loss = torch::nn::functional::cross_entropy(at::linear(rows, weight, bias), batch.label);
        sgd.zero_grad();
        loss.backward();
        static_cast<torch::optim::SGDOptions&>(sgd.param_groups()[0].options())
            .lr(5 * 24 / 256.0 * (1 + std::cos(std::numbers::pi * step / 12.0)) / 2);
        sgd.step();
    }
    CHECK(weight.abs().max().item<double>() > 0.2);
    CHECK(largest_difference(result.weight, weight) < 1e-4);
    CHECK(largest_difference(result.bias, bias) < 1e-4);
    const auto rows = eval::features(net, validation_images(), plain());
    CHECK(result.last.top1 == eval::accuracy_of(at::linear(rows.rows, weight, bias), rows.labels).top1);
}

TEST_CASE("several rates are trained as each alone; held-out training images choose, the validation images do not") {
    const eval::LinearProbeOptions options{.epochs = 6, .batch_size = 30, .rates = "0.0001,20,5", .seed = 1};
    const auto several = probe(network(), options, shades(60), shades(20));
    REQUIRE(several.epochs.size() == 6);
    const auto& last = several.epochs.back();
    CHECK(several.chosen_by == 6);
    CHECK(several.rates == std::vector{0.0001, 20.0, 5.0});
    CHECK(several.rate > 1);  // the first one does not move
    const auto chosen = static_cast<std::size_t>(several.rate == 20 ? 1 : 2);
    CHECK(last.held_out[chosen] > last.held_out[0]);
    CHECK(last.held_out[chosen] >= last.held_out[3 - chosen]);
    CHECK(last.validation[chosen] == several.last.top1);
    CHECK(several.best.top1 >= several.last.top1);
    CHECK(several.epochs.at(static_cast<std::size_t>(several.best_epoch - 1)).validation[chosen] == several.best.top1);
    for (const auto& epoch : several.epochs) CHECK(epoch.validation[chosen] <= several.best.top1);
    CHECK(mentions(several.protocol, {"6 epochs of 30 images", "encoder output", "chosen of 3 on 6 held-out"}));

    // The reported classifier learned from all training images, as the one of a single rate does.
    auto single = options;
    single.rates = several.rate == 20 ? "20" : "5";
    const auto alone = probe(network(), single, shades(60), shades(20));
    CHECK(largest_difference(alone.weight, several.weight) < 1e-4 * alone.weight.abs().max().item<double>());
    const auto other = probe(network(), options, shades(60), shades(20, true));
    CHECK(other.last.top1 < several.last.top1);
    CHECK(other.rate == several.rate);
    CHECK(bit_equal(other.weight, several.weight));
}

TEST_CASE("the classifiers that choose do not learn from the held-out images, the reported one does") {
    // Shades with labels by chance: who has seen an image knows it, who has not guesses.
    random::Stream draw({.seed = 4, .purpose = random::Purpose::user});
    std::vector<Image> images;
    std::vector<std::int64_t> labels;
    for (int i = 0; i < 60; ++i) {
        images.emplace_back(16, 16, 3);
        std::fill(images.back().pixels.begin(), images.back().pixels.end(), static_cast<std::uint8_t>(4 * i));
        labels.push_back(static_cast<std::int64_t>(draw.below(2)));
    }
    const data::Dataset all = data::Memory(std::move(images), std::move(labels), {"a", "b"});
    auto net = network();
    const auto waves = [](const Tensor& x) {
        return (x.mean({1, 2, 3}).unsqueeze(1) * at::arange(1, 121) * 0.8).sin();
    };  // [B, 120]
    const auto result = eval::linear_probe(*net, waves, all, all, plain(),
                                           {.epochs = 200, .batch_size = 60, .rates = "10,30", .held_out = 0.3});
    CHECK(result.chosen_by == 18);
    CHECK(result.last.top1 == 1);
    for (const double share : result.epochs.back().held_out) CHECK(share < 0.9);
}

TEST_CASE("the encoder is bit by bit what it was, in its mode; one that changes itself is named") {
    const AnyMethod method = Method{tiny_recipe(), {.seed = 1}};
    const auto before = tensors_of(method);
    int told = 0;
    const auto result =
        eval::linear_probe(method, train_images(), validation_images(), plain(),
                           {.epochs = 2, .batch_size = 20, .rates = "1"}, [&](const eval::LinearProbeEpoch& epoch) {
                               CHECK(epoch.epoch == ++told);
                               CHECK(epoch.validation.size() == 1);
                               CHECK(std::isfinite(epoch.loss.at(0)));
                               CHECK(!method.encoder(Network::online)->is_training());
                           });
    CHECK(told == 2);
    check_equal(before, tensors_of(method));
    CHECK(method.module().is_training());
    for (const auto& parameter : method.module().parameters()) CHECK(!parameter.grad().defined());

    auto net = network();
    const auto counts = [&](const Tensor& x) {
        const at::NoGradGuard no_grad;
        net->bn->num_batches_tracked += 1;
        return net->forward(x);
    };
    CHECK(mentions(message_of([&] {
                       eval::linear_probe(*net, counts, train_images(), validation_images(), plain(),
                                          {.epochs = 1, .rates = "1"});
                   }),
                   {"linear probe", "'bn.num_batches_tracked'", "evaluation mode"}));
}

TEST_CASE("a Vision Transformer is probed on the class tokens of its last blocks; an encoder without them says so") {
    at::manual_seed(3);
    auto vit = encoders::Vit{.patch = 4, .image_size = 12, .dim = 8, .depth = 3, .heads = 2}.build();
    auto resnet = encoders::ResNet{.depth = 18, .stem = Stem::cifar, .width = 0.125}.build();
    const auto probed = [](auto net, const std::string& feature) {
        return eval::linear_probe(
            *net, [&](const Tensor& x) { return net->forward(x); }, shades(20), shades(10), plain(),
            {.epochs = 1, .batch_size = 10, .rates = "1", .feature = eval::Feature::named(feature)});
    };
    const auto result = probed(vit, "cls2+mean");
    CHECK(result.weight.sizes() == at::IntArrayRef({2, 24}));
    CHECK(mentions(result.protocol, {"class tokens of the last 2 blocks and mean patch token"}));
    CHECK(mentions(message_of([&] { probed(vit, "patches"); }), {"[images, features]"}));
    CHECK(message_of([&] { probed(resnet, "cls1"); }) != "");
}

TEST_CASE("a probe is the same for any number of workers") {
    const auto one = probe(network(), {.epochs = 2, .batch_size = 16, .rates = "1,3", .workers = 0});
    const auto other = probe(network(), {.epochs = 2, .batch_size = 16, .rates = "1,3", .workers = 3});
    CHECK(bit_equal(one.weight, other.weight));
    CHECK(one.last.top1 == other.last.top1);
}

TEST_CASE("images, features and options that make no probe are rejected with one line") {
    const eval::LinearProbeOptions quick{.epochs = 1, .batch_size = 20, .rates = "1"};
    const auto says = [&](const eval::LinearProbeOptions& options, const data::Dataset& train = train_images(),
                          const data::Dataset& validation = validation_images()) {
        return message_of([&] { probe(network(), options, train, validation); });
    };
    CHECK(says(quick) == "");
    CHECK(mentions(says({.epochs = 0}), {"probe-epochs", "got 0"}));
    CHECK(mentions(says({.rates = "1,-2"}), {"above 0", "'1,-2'"}));
    CHECK(mentions(says({.rates = "fast"}), {"'fast'"}));
    CHECK(mentions(says({.rates = ""}), {"learning rate"}));
    CHECK(mentions(says(quick, train_images(), {}), {"no validation images"}));
    CHECK(mentions(says(quick, data::Memory(std::vector<Image>(4, Image(16, 16, 3)), {0, -1, 1, 0}, {"a", "b"})),
                   {"1 of 4 training images have no label"}));
    CHECK(mentions(says({.epochs = 1, .rates = "1,2"},
                        data::Memory(std::vector<Image>(2, Image(16, 16, 3)), {0, 1}, {"a", "b"}), shades(4)),
                   {"2 learning rates", "single training image", "give one rate"}));
    auto net = network();
    const auto diverged = [&](const Tensor& x) { return net->forward(x) / 0; };
    CHECK(mentions(
        message_of([&] { eval::linear_probe(*net, diverged, train_images(), validation_images(), plain(), quick); }),
        {"features of 30 validation images are not finite", "image 0"}));
}
