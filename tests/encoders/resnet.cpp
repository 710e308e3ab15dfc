// SPDX-License-Identifier: Apache-2.0
// encoders::ResNet against torchvision (fixtures: reference/make_resnet_fixtures.py), its widths and its errors.
#include <doppel/encoders/resnet.hpp>

#include <map>

#include "support/noise.hpp"
#include "support/support.hpp"  // after torch, which has a CHECK of its own

namespace {

using doppel::Stem;
using doppel::Tensor;
using doppel::encoders::ResNet;
using doppel::encoders::ResNetModule;
using doppel::test::noise;
using doppel::test::put_noise;

void fill(ResNetModule& net) {
    std::int64_t i = 0;
    for (const auto& p : net->parameters()) {
        if (p.dim() == 4)
            put_noise(p, i, std::sqrt(6.0 * static_cast<double>(p.size(0)) / static_cast<double>(p.numel())));
        else
            put_noise(p, i, 0.25, i % 3 == 1 ? 0.75 : 0.0);
        ++i;
    }
    i = 1000;
    for (const auto& item : net->named_buffers()) {
        if (item.key().ends_with("running_mean")) put_noise(item.value(), i, 0.25);
        if (item.key().ends_with("running_var")) put_noise(item.value(), i, 0.5, 1);
        ++i;
    }
}

struct Fixture {
    struct Line {
        std::string name;
        std::vector<double> values;
    };
    std::map<std::string, std::vector<Line>> lines;

    explicit Fixture(const std::string& name) {
        for (const auto& words : doppel::test::fixture_lines(name + ".txt"))
            lines[words.at(0)].push_back({words.at(1), doppel::test::values_of(words, 2)});
    }
};

double worst_difference(const Tensor& features, const std::vector<Fixture::Line>& rows) {
    double worst = 0;
    for (std::size_t row = 0; row < rows.size(); ++row)
        for (std::size_t f = 0; f < rows[row].values.size(); ++f) {
            const double expected = rows[row].values[f];
            const double got = features[static_cast<std::int64_t>(row)][static_cast<std::int64_t>(f)].item<double>();
            worst = std::max(worst, std::abs(got - expected) / (1 + std::abs(expected)));
        }
    return worst;
}

void equals_torchvision(const ResNet& spec, const std::string& fixture, std::int64_t size) {
    const Fixture expected(fixture);
    ResNetModule net = spec.build();
    net->to(at::kDouble);
    fill(net);
    const Tensor images = noise({2, 3, size, size}, 5000);
    {
        const at::NoGradGuard no_grad;
        net->eval();
        CHECK(worst_difference(net->forward(images), expected.lines.at("eval")) < 1e-9);
        net->train();
    }
    const Tensor features = net->forward(images);
    CHECK(worst_difference(features, expected.lines.at("train")) < 1e-9);
    (features * noise(features.sizes(), 6000)).sum().backward();

    const auto parameters = net->named_parameters();
    const auto& gradients = expected.lines.at("parameter");
    REQUIRE(parameters.size() == gradients.size());
    for (std::size_t i = 0; i < gradients.size(); ++i) {
        const auto& line = gradients[i];
        REQUIRE(parameters[i].key() == line.name);
        const Tensor gradient = parameters[i].value().grad().flatten();
        const double norm = line.values[0];
        INFO(line.name);
        CHECK(gradient.norm().item<double>() == Approx(norm).epsilon(1e-8));
        CHECK(gradient[0].item<double>() == Approx(line.values[1]).epsilon(1e-8).margin(1e-9 * norm));
        CHECK(gradient[-1].item<double>() == Approx(line.values[2]).epsilon(1e-8).margin(1e-9 * norm));
    }

    const auto buffers = net->named_buffers();
    const auto& sums = expected.lines.at("buffer");
    REQUIRE(buffers.size() == sums.size());
    for (std::size_t i = 0; i < sums.size(); ++i) {
        REQUIRE(buffers[i].key() == sums[i].name);
        if (buffers[i].key().ends_with("num_batches_tracked")) continue;
        CHECK(buffers[i].value().sum().item<double>() == Approx(sums[i].values[0]).epsilon(1e-8).margin(1e-8));
    }
}

std::int64_t count(const ResNetModule& net) {
    std::int64_t total = 0;
    for (const auto& p : net->parameters()) total += p.numel();
    return total;
}

}  // namespace

TEST_CASE("ResNet-18 has torchvision's names, outputs and gradients") {
    equals_torchvision({.depth = 18}, "resnet18_imagenet", 40);
}

TEST_CASE("ResNet-34 has torchvision's names, outputs and gradients") {
    equals_torchvision({.depth = 34}, "resnet34_imagenet", 40);
}

TEST_CASE("ResNet-50 has torchvision's names, outputs and gradients") {
    equals_torchvision({.depth = 50}, "resnet50_imagenet", 40);
}

TEST_CASE("ResNet-101 has torchvision's names, outputs and gradients") {
    equals_torchvision({.depth = 101}, "resnet101_imagenet", 40);
}

TEST_CASE("ResNet's CIFAR stem is torchvision's net with a 3x3 first convolution and without pooling") {
    equals_torchvision({.depth = 18, .stem = Stem::cifar}, "resnet18_cifar", 16);
}

TEST_CASE("ResNet's width multiplies every number of channels and rounds to eights") {
    CHECK(ResNet{.depth = 18}.base() == 64);
    CHECK(ResNet{.depth = 18, .width = 0.25}.base() == 16);
    CHECK(ResNet{.depth = 18, .width = 0.01}.base() == 8);
    CHECK(ResNet{.depth = 18, .width = 0.3}.base() == 16);   // 19.2
    CHECK(ResNet{.depth = 18, .width = 0.33}.base() == 24);  // 21.1
    CHECK(ResNet{.depth = 50, .width = 2}.feature_dim() == 4096);

    auto net = ResNet{.depth = 18, .stem = Stem::cifar, .width = 0.25, .channels = 1}.build();
    CHECK(net->feature_dim() == 128);
    const at::NoGradGuard no_grad;
    CHECK(net->forward_map(at::zeros({2, 1, 32, 32})).sizes() == at::IntArrayRef({2, 128, 4, 4}));
    CHECK(net->forward(at::zeros({2, 1, 29, 31})).sizes() == at::IntArrayRef({2, 128}));

    auto strided = ResNet{.depth = 18, .stem = Stem::strided, .width = 0.125}.build();
    CHECK(strided->forward_map(at::zeros({2, 3, 32, 32})).sizes() == at::IntArrayRef({2, 64, 2, 2}));
    CHECK(strided->named_parameters()["conv1.weight"].sizes() == at::IntArrayRef({8, 3, 3, 3}));

    auto bottlenecks = ResNet{.depth = 50, .width = 0.125}.build();
    CHECK(bottlenecks->feature_dim() == ResNet{.depth = 50, .width = 0.125}.feature_dim());
    CHECK(bottlenecks->forward_map(at::zeros({2, 3, 64, 64})).sizes() == at::IntArrayRef({2, 256, 2, 2}));
}

TEST_CASE("ResNet-18 has as many parameters as torchvision's without fc") {
    CHECK(count(ResNet{.depth = 18}.build()) == 11'689'512 - (512 * 1000 + 1000));
}

TEST_CASE("ResNet draws its convolutions with variance 2 / fan-out and the same weights under the same seed") {
    const auto seeded = [](std::uint64_t seed) {
        at::manual_seed(seed);
        return ResNet{.depth = 18, .width = 0.5}.build();
    };
    const auto net = seeded(3), again = seeded(3);
    for (const auto& item : net->named_parameters()) {
        const Tensor& p = item.value();
        INFO(item.key());
        CHECK(at::equal(p, again->named_parameters()[item.key()]));
        if (p.dim() == 4) {
            const double fan_out = static_cast<double>(p.size(0) * p.size(2) * p.size(3));
            const double tolerance = 5 / std::sqrt(2.0 * static_cast<double>(p.numel()));  // five standard errors
            CHECK(p.std().item<double>() == Approx(std::sqrt(2 / fan_out)).epsilon(tolerance));
        } else {
            CHECK(at::equal(p, item.key().ends_with("bias") ? at::zeros_like(p) : at::ones_like(p)));
        }
    }
}

TEST_CASE("ResNet with zero_init_residual starts each block as relu of its shortcut") {
    for (const std::int64_t depth : {18, 50}) {
        const std::string last = depth == 18 ? "bn2.weight" : "bn3.weight";
        auto net = ResNet{.depth = depth, .width = 0.125, .zero_init_residual = true}.build();
        std::int64_t zeros = 0;
        for (const auto& item : net->named_parameters())
            if (item.value().dim() == 1 && item.key().ends_with("weight")) {
                const bool zero = item.value().abs().sum().item<double>() == 0;
                CHECK(zero == item.key().ends_with(last));
                zeros += zero;
            }
        CHECK(zeros == (depth == 18 ? 8 : 16));
    }
}

TEST_CASE("ResNet gives the same features for channels-last images and weights") {
    auto net = ResNet{.depth = 18, .stem = Stem::cifar, .width = 0.125}.build();
    const at::NoGradGuard no_grad;
    net->eval();
    const Tensor images = noise({2, 3, 32, 32}, 1).to(at::kFloat);
    const Tensor plain = net->forward(images);
    for (auto& p : net->parameters())
        if (p.dim() == 4) p.set_data(p.contiguous(at::MemoryFormat::ChannelsLast));
    CHECK(at::allclose(net->forward(images.contiguous(at::MemoryFormat::ChannelsLast)), plain, 1e-4, 1e-5));
}

TEST_CASE("the shortcut of a narrow ResNet is a convolution with stride, and stays within its memory") {
    doppel::encoders::detail::Shortcut shortcut(torch::nn::Conv2dOptions(8, 16, 1).stride(2).bias(false));
    for (const std::int64_t size : {7, 8}) {
        const Tensor x = noise({3, 8, size, size}, 1).to(at::kFloat).requires_grad_();
        const Tensor y = shortcut(x), expected = at::conv2d(x, shortcut->weight, {}, 2);
        CHECK(at::allclose(y, expected, 1e-5, 1e-6));
        const Tensor dy = noise(y.sizes(), 2).to(at::kFloat);
        const auto gradients = [&](const Tensor& of) {
            of.backward(dy);
            return std::pair{std::exchange(x.mutable_grad(), Tensor{}), std::exchange(shortcut->weight.mutable_grad(), Tensor{})};
        };
        const auto [dx, dweight] = gradients(y);
        const auto [expected_dx, expected_dweight] = gradients(expected);
        CHECK(at::allclose(dx, expected_dx, 1e-4, 1e-5));
        CHECK(at::allclose(dweight, expected_dweight, 1e-4, 1e-5));
    }
    const int threads = at::get_num_threads();
    at::set_num_threads(2);
    shortcut->weight.set_data(shortcut->weight.contiguous(at::MemoryFormat::ChannelsLast));
    std::vector<Tensor> others;  // heap that a write past the end would damage
    for (int i = 0; i < 300; ++i) {
        shortcut(at::ones({3, 8, 16, 16}).contiguous(at::MemoryFormat::ChannelsLast)).sum().backward();
        others.push_back(at::empty({1 + i % 77}));
    }
    CHECK(at::allclose(shortcut->weight.grad(), at::full({16, 8, 1, 1}, 300.0 * 3 * 64)));
    at::set_num_threads(threads);
}

TEST_CASE("ResNet's name is torchvision's, with the width where it is not 1") {
    CHECK(ResNet{.depth = 18}.name() == "resnet18");
    CHECK(ResNet{.depth = 50, .width = 2}.name() == "resnet50x2");
    CHECK(ResNet{.depth = 34, .width = 0.25}.name() == "resnet34x0.25");
}

TEST_CASE("ResNet says which option or shape is wrong") {
    using doppel::test::mentions;
    using doppel::test::message_of;
    CHECK(mentions(message_of([] { ResNet{.depth = 20}.build(); }), {"ResNet: depth", "18, 34, 50 or 101", "got 20"}));
    CHECK(mentions(message_of([] { ResNet{.width = 0}.build(); }), {"ResNet: width", "got 0"}));
    CHECK(mentions(message_of([] { ResNet{.width = std::nan("")}.build(); }), {"ResNet: width", "nan"}));
    CHECK(mentions(message_of([] { ResNet{.channels = 0}.build(); }), {"ResNet: channels", "got 0"}));
    auto net = ResNet{.depth = 18, .width = 0.125}.build();
    const auto given = [&](at::IntArrayRef shape) { return message_of([&] { net->forward(at::zeros(shape)); }); };
    CHECK(mentions(given({2, 1, 32, 32}), {"ResNet: images must be [B, 3, H, W]", "got [2, 1, 32, 32]"}));
    CHECK(mentions(given({3, 32, 32}), {"ResNet: images must be [B, 3, H, W]", "got [3, 32, 32]"}));
}
