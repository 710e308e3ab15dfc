// SPDX-License-Identifier: Apache-2.0
// Fine-tuning: the protocol followed with torch's parts, few labels, an encoder that stays what it was.
#include <doppel/data/memory.hpp>
#include <doppel/encoders/vit.hpp>
#include <doppel/eval/fine_tune.hpp>
#include <doppel/eval/unchanged.hpp>

#include "support/train_support.hpp"

#include <torch/nn/functional/loss.h>

#include <set>
#include <stdexcept>

using namespace doppel;
using namespace doppel::test;

namespace {

augment::Pipeline plain() { return views::simclr_small(12).eval; }
data::Dataset train_images() { return data::Embedded({.size = 16, .count = 60}); }
data::Dataset validation_images() { return data::Embedded({.size = 16, .count = 30, .first = 500}); }

TinyNet network() {
    at::manual_seed(5);
    return TinyNet(8);
}

template <class Net>
eval::FineTuneResult tuned(Net net, const eval::FineTuneOptions& options, const data::Dataset& train = train_images(),
                           const data::Dataset& validation = validation_images()) {
    return eval::fine_tune(
        *net, [&](const Tensor& x) { return net->forward(x); }, train, validation, plain(), options);
}

/// Squares in one of two colors at two brightnesses: the color is the class.
data::Dataset colors(std::int64_t count) {
    std::vector<Image> images;
    std::vector<std::int64_t> labels;
    for (std::int64_t i = 0; i < count; ++i) {
        Image image(16, 16, 3);
        for (std::size_t p = 0; p < image.pixels.size(); ++p)
            image.pixels[p] =
                static_cast<std::uint8_t>((p % 3 == 2 * static_cast<std::size_t>(i % 2) ? 150 : 90) + 5 * (i % 7));
        images.push_back(std::move(image));
        labels.push_back(i % 2);
    }
    return data::Memory(std::move(images), std::move(labels), {"red", "blue"});
}

}  // namespace

TEST_CASE("fine-tuning with one rate is the protocol, followed step by step with torch's loss and SGD") {
    const eval::FineTuneOptions options{
        .epochs = 3, .batch_size = 20, .lr = 2, .layer_decay = 1, .weight_decay = 0.01, .warmup = 0, .seed = 3};
    const auto result = tuned(network(), options);
    auto net = network();
    const data::Loader loader(train_images(), {eval::training_view(plain())},
                              {.batch_size = 20, .seed = 3, .workers = 0});
    Tensor weight =
        eval::LinearHeads({.classes = 10, .features = 8, .seed = 3}).weight[0].clone().set_requires_grad(true);
    Tensor bias = at::zeros({10}).set_requires_grad(true);
    std::vector<Tensor> all = net->parameters();
    all.push_back(weight), all.push_back(bias);
    std::vector<torch::optim::OptimizerParamGroup> groups{torch::optim::OptimizerParamGroup({}),
                                                          torch::optim::OptimizerParamGroup({})};
    for (const Tensor& parameter : all) groups[parameter.dim() > 1 ? 0 : 1].params().push_back(parameter);
    torch::optim::SGD sgd(groups, torch::optim::SGDOptions(1).momentum(0.9).nesterov(true));
    auto pass = loader.pass(0, 9);
    double loss_sum = 0;
    for (int step = 0; step < 9; ++step) {
        const Batch batch = *pass->next();
        const Tensor rows = net->forward(normalized(batch.views[0], plain().normalize(), at::MemoryFormat::Contiguous));
        const Tensor loss = torch::nn::functional::cross_entropy(at::linear(rows, weight, bias), batch.label);
        sgd.zero_grad();
        loss.backward();
        if (step >= 6) loss_sum += loss.item<double>();
        for (std::size_t g = 0; g < 2; ++g) {
            auto& own = static_cast<torch::optim::SGDOptions&>(sgd.param_groups()[g].options());
            own.lr(2 * 20 / 256.0 * (1 + std::cos(3.14159265358979 * step / 9)) / 2);
            own.weight_decay(g == 0 ? 0.01 : 0);
        }
        sgd.step();
    }
    CHECK(largest_difference(network()->conv->weight, net->conv->weight) > 0.01);
    for (const auto& item : net->named_parameters())
        CHECK(largest_difference(result.encoder.at(item.key()), item.value()) < 1e-4);
    for (const auto& item : net->named_buffers())
        CHECK(largest_difference(result.encoder.at(item.key()), item.value()) < 1e-4);
    CHECK(largest_difference(result.weight, weight) < 1e-4);
    CHECK(largest_difference(result.bias, bias) < 1e-4);
    REQUIRE(result.epochs.size() == 3);
    CHECK(result.epochs.back().loss == Approx(loss_sum / 3).epsilon(1e-4));
    const auto rows = eval::features(net, validation_images(), plain());
    CHECK(result.last.top1 == eval::accuracy_of(at::linear(rows.rows, weight, bias).detach(), rows.labels).top1);
    CHECK(result.epochs.back().validation == result.last.top1);
}

TEST_CASE("the encoder given is bit by bit what it was, also where fine-tuning throws") {
    const AnyMethod method = Method{preset_of(tiny_recipe()).recipe, {.seed = 1}};
    const auto before = tensors_of(method);
    const eval::FineTuneOptions options{.epochs = 2, .batch_size = 20, .layer_decay = 1};
    int told = 0;
    const auto result = eval::fine_tune(method, train_images(), validation_images(), plain(), options,
                                        [&](const eval::FineTuneEpoch& epoch) { CHECK(epoch.epoch == ++told); });
    CHECK(told == 2);
    check_equal(before, tensors_of(method));
    CHECK(method.module().is_training());
    for (const auto& parameter : method.module().parameters()) CHECK(!parameter.grad().defined());
    CHECK(largest_difference(result.encoder.at("conv.weight"), before.at("encoder.conv.weight")) > 0);
    CHECK_THROWS_AS(eval::fine_tune(method, train_images(), validation_images(), plain(), options,
                                    [](const eval::FineTuneEpoch&) { throw std::runtime_error("enough"); }),
                    std::runtime_error);
    check_equal(before, tensors_of(method));
}

TEST_CASE("few labels: the same share of each class, and at least one image") {
    const auto train = colors(40);
    const auto few = tuned(
        network(), {.labels = 0.1, .epochs = 40, .batch_size = 4, .lr = 2, .layer_decay = 1, .evaluate_every = 10},
        train, colors(20));
    CHECK(few.images == 4);
    CHECK(few.last.top1 == 1);
    CHECK(few.epochs.size() == 4);
    CHECK(few.best.top1 >= few.last.top1);
    CHECK(
        mentions(few.protocol, {"10 % of the labels (4 images)", "40 epochs of 4 images", "SGD", "learning rate 2 "}));
    CHECK(tuned(network(), {.labels = 0.01, .epochs = 1, .layer_decay = 1}, train, colors(20)).images == 2);
    const auto default_count = tuned(network(), {.epochs = 25, .layer_decay = 1, .workers = 2}, colors(8), colors(4));
    CHECK(default_count.epochs.size() == 13);  // each second one, and the last
}

TEST_CASE("a Vision Transformer is tuned by AdamW with rates that fall toward the images") {
    at::manual_seed(2);
    auto net = encoders::Vit{.patch = 4, .image_size = 12, .dim = 16, .depth = 3, .heads = 2, .drop_path = 0.1}.build();
    const auto start = net->named_parameters();
    const eval::FineTuneOptions options{
        .epochs = 2, .batch_size = 10, .layer_decay = 0.1, .weight_decay = 0, .warmup = 0, .seed = 4};
    const auto one = tuned(net, options, colors(40), colors(20));
    CHECK(one.protocol.find("AdamW") != std::string::npos);
    const auto moved = [&](const char* name) { return largest_difference(one.encoder.at(name), start[name]); };
    const double last = moved("blocks.2.mlp.fc1.weight"), middle = moved("blocks.1.mlp.fc1.weight"),
                 first = moved("blocks.0.mlp.fc1.weight");
    CHECK(last / middle == Approx(10).epsilon(0.3));
    CHECK(middle / first == Approx(10).epsilon(0.3));
    at::manual_seed(77);  // drop path draws from a seed of its own
    const auto other = tuned(net, options, colors(40), colors(20));
    for (const auto& [name, value] : one.encoder) CHECK(bit_equal(value, other.encoder.at(name)));
}

TEST_CASE("images and options that cannot be tuned with are rejected with one line") {
    const eval::FineTuneOptions quick{.epochs = 1, .batch_size = 20, .layer_decay = 1};
    const auto says = [&](const eval::FineTuneOptions& options, const data::Dataset& train = train_images(),
                          const data::Dataset& validation = validation_images()) {
        return message_of([&] { tuned(network(), options, train, validation); });
    };
    CHECK(says(quick) == "");
    CHECK(mentions(says({.labels = 0}), {"fine-tune-labels", "above 0"}));
    CHECK(mentions(says({.epochs = 1}), {"'conv.weight'", "decay of 1"}));
    CHECK(mentions(says(quick, train_images(), {}), {"no validation images"}));
    CHECK(mentions(says(quick, data::Memory(std::vector<Image>(4, Image(16, 16, 3)), {0, -1, 1, 0}, {"a", "b"})),
                   {"1 of 4 training images have no label"}));
    auto net = network();
    const auto diverges = [&](const Tensor& x) { return net->forward(x) * 1e38; };
    CHECK(mentions(
        message_of([&] { eval::fine_tune(*net, diverges, train_images(), validation_images(), plain(), quick); }),
        {"loss is not finite in epoch 1", "lower the learning rate"}));
}
