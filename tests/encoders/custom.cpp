// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/custom.hpp>

#include <torch/nn/modules/pooling.h>
#include <doppel/losses/byol.hpp>
#include <doppel/losses/simsiam.hpp>
#include <doppel/recipe/any_method.hpp>
#include <doppel/targets/ema.hpp>

#include <torch/nn/modules/dropout.h>

#include "support/torch_support.hpp"

#include <map>
#include <set>

using namespace doppel;
using namespace doppel::test;
namespace nn = torch::nn;

namespace {

auto sequential() {
    return [] {
        return nn::Sequential(nn::Conv2d(nn::Conv2dOptions(3, 6, 3).stride(2)), nn::BatchNorm2d(6), nn::ReLU(), nn::Dropout(0.5),
                              nn::AdaptiveAvgPool2d(1), nn::Flatten());
    };
}

/// Parameters, a buffer and a child of its own, and a mode that it looks at.
struct OwnTensorsImpl : nn::Module {
    Tensor scale, offset;
    nn::Linear linear{nullptr};
    OwnTensorsImpl() {
        scale = register_parameter("scale", at::ones({3}));
        offset = register_buffer("offset", at::zeros({3}));
        linear = register_module("linear", nn::Linear(3, 5));
    }
    Tensor forward(const Tensor& x) {
        const Tensor h = x.mean({2, 3}) * scale + offset;
        return linear(is_training() ? h : h * 2);
    }
};
TORCH_MODULE(OwnTensors);

std::set<std::string> names_of(nn::Module& module) {
    std::set<std::string> names;
    for (const auto& item : module.named_parameters()) names.insert(item.key());
    for (const auto& item : module.named_buffers()) names.insert(item.key());
    return names;
}

static_assert(contracts::EncoderSpec<decltype(encoders::custom(sequential()))>);

}  // namespace

TEST_CASE("a Sequential is an encoder: its width is given or found by a trial, its tensors keep their names") {
    for (const auto& spec : {encoders::custom(sequential(), 6), encoders::custom(sequential()), encoders::custom(sequential(), {.image_size = 8})}) {
        auto module = spec.build();
        CHECK(module->feature_dim() == 6);
        CHECK(module->is_training());
        CHECK(module->forward(at::ones({2, 3, 12, 12})).sizes() == at::IntArrayRef({2, 6}));
        CHECK(names_of(*module) == std::set<std::string>{"0.bias", "0.weight", "1.bias", "1.num_batches_tracked", "1.running_mean",
                                                         "1.running_var", "1.weight"});
    }
    // The trial leaves no trace in the batch statistics.
    CHECK(encoders::custom(sequential()).build()->named_buffers()["1.num_batches_tracked"].item<std::int64_t>() == 0);
}

TEST_CASE("a module's own tensors and its mode are the encoder's") {
    auto module = encoders::custom([] { return OwnTensors(); }).build();
    CHECK(module->feature_dim() == 5);
    CHECK(names_of(*module) == std::set<std::string>{"linear.bias", "linear.weight", "offset", "scale"});
    const Tensor x = at::ones({1, 3, 4, 4});
    const auto value = [&] { return module->forward(x).sum().item<double>(); };
    const double training = value();
    module->eval();
    CHECK(value() != training);
    module->train();
    CHECK(value() == training);
    module->to(at::kDouble);
    CHECK(module->forward(x.to(at::kDouble)).scalar_type() == at::kDouble);
    const at::NoGradGuard no_grad;
    for (Tensor& p : module->parameters()) p.zero_();
    CHECK(value() == 0);
}

TEST_CASE("a custom encoder in a method: its Ema copy keeps batch statistics of its own, without dropout") {
    Method method{Recipe{.encoder = encoders::custom(sequential()), .target = targets::Ema{.schedule = 0.9}, .loss = losses::Byol{}},
                  {.seed = 1}};
    method->begin({.samples = 100, .steps = 10});
    method->forward(batch_of(6)).backward();
    CHECK(method->named_buffers()["target.encoder.1.num_batches_tracked"].item<std::int64_t>() == 2);
    std::map<std::string, bool> training;
    for (const auto& item : method->named_modules()) training[item.key()] = item.value()->is_training();
    CHECK(training.at("encoder.3"));
    CHECK(training.at("target.encoder.1"));
    CHECK(!training.at("target.encoder.3"));
    method->commit();
    CHECK(AnyMethod(method).encoder(Network::target)->named_parameters().contains("0.weight"));
}

TEST_CASE("a custom encoder that gives no features says so in one line") {
    const auto unpooled = [] { return nn::Sequential(nn::Conv2d(3, 6, 3)); };
    CHECK(mentions(message_of([&] { encoders::custom(unpooled).build(); }), {"encoders::custom", "[2, 3, 64, 64]", "[2, 6, 62, 62]", "Flatten"}));
    const auto gray = [] { return nn::Sequential(nn::Conv2d(1, 6, 3), nn::AdaptiveAvgPool2d(1), nn::Flatten()); };
    const auto text = message_of([&] { encoders::custom(gray).build(); });
    INFO(text);
    CHECK(mentions(text, {"encoders::custom", "do not pass", "channels", "set the image size"}));
    CHECK(text.find('\n') == std::string::npos);
    CHECK(encoders::custom(gray, {.image_size = 16, .channels = 1}).build()->feature_dim() == 6);
    CHECK(mentions(message_of([&] { encoders::custom(gray, 0); }), {"encoders::custom", "at least 1", "0"}));
    Method wrong{Recipe{.encoder = encoders::custom(sequential(), 7), .loss = losses::Byol{}}};
    CHECK(mentions(message_of([&] { wrong->forward(batch_of(2)); }), {"Recipe.encoder", "[B, 7]", "[2, 6]"}));
}
