// SPDX-License-Identifier: Apache-2.0
// eval::Feature against timm's get_intermediate_layers (fixture: reference/make_vit_fixtures.py), names, and encoders that
// lack a feature.
#include <doppel/data/embedded.hpp>
#include <doppel/encoders/by_name.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/losses/nt_xent.hpp>
#include <doppel/views/simclr.hpp>

#include <sstream>

#include "support/noise.hpp"
#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;
using eval::Feature;

namespace {

const encoders::Vit four{.patch = 8, .image_size = 32, .dim = 48, .depth = 4, .heads = 3};

/// The net with the fixture's weights.
encoders::VitModule filled() {
    auto net = four.build();
    net->to(at::kDouble);
    net->eval();
    const at::NoGradGuard no_grad;
    std::int64_t i = 0;
    for (const auto& item : net->named_parameters()) {
        const Tensor& p = item.value();
        const std::string& name = item.key();
        if (name == "cls_token" || name == "pos_embed")
            put_noise(p, i);
        else if (p.dim() > 1)
            put_noise(p, i, std::sqrt(6.0 * static_cast<double>(p.size(0)) / static_cast<double>(p.numel())));
        else
            put_noise(p, i, 0.25, name.find("norm") != std::string::npos && name.ends_with("weight") ? 0.75 : 0);
        ++i;
    }
    return net;
}

Tensor of(const std::shared_ptr<encoders::Module>& net, const Tensor& images, const Feature& feature) {
    const at::NoGradGuard no_grad;
    return eval::feature_of(*net, [&](const Tensor& x) { return net->forward(x); }, images, feature);
}

}  // namespace

TEST_CASE("class tokens of the last blocks and patch tokens are timm's") {
    const std::shared_ptr<encoders::Module> net = filled().ptr();
    const at::NoGradGuard no_grad;
    int compared = 0;
    for (const auto& words : fixture_lines("vit_blocks.txt")) {
        INFO(words.at(0) << ' ' << words.at(1));
        std::istringstream name(words[1]);
        std::int64_t height = 0, width = 0, row = 0, a = 0, b = 0;
        char between = 0;
        name >> height >> between >> width >> between >> row >> between >> a >> between >> b;
        const Tensor images = noise({2, 3, height, width}, 5000);
        const auto expected = values_of(words, 2);
        Tensor got;
        if (words[0] == "token") {
            const Tensor tokens = net->last_tokens(images, 4).at(static_cast<std::size_t>(3 - a))[row];
            got = tokens[b].slice(0, 0, 6);
            if (a == 0 && b > 0) CHECK(bit_equal(of(net, images, {.kind = Feature::Kind::patches})[row][b - 1].slice(0, 0, 6), got));
        } else {
            const Tensor all = of(net, images, {.kind = Feature::Kind::class_tokens, .blocks = a, .mean_patches = b == 1});
            CHECK(all.size(1) == 48 * (a + b));
            got = all[row].slice(0, 0, all.size(1), 5);
        }
        CHECK(largest_difference(got, at::tensor(expected, at::kDouble)) < 1e-9);
        ++compared;
    }
    CHECK(compared == 2 * 2 * (4 * 3 + 4));
    const Tensor images = noise({2, 3, 32, 32}, 5000);
    CHECK(bit_equal(of(net, images, Feature::named("cls1")), net->forward(images)));
    CHECK(bit_equal(of(net, images, {}), net->forward(images)));
}

TEST_CASE("a ResNet's patches are the positions of its last feature map, row by row") {
    for (const auto& [stem, rows, columns] : {std::tuple{Stem::imagenet, 3, 2}, {Stem::strided, 5, 4}, {Stem::cifar, 10, 8}}) {
        auto net = encoders::ResNet{.depth = 18, .stem = stem, .width = 0.125}.build();
        net->eval();
        const at::NoGradGuard no_grad;
        const Tensor images = wave({2, 3, 80, 64}, 0.37, 0.1, at::kFloat);
        const Tensor patches = of(net.ptr(), images, Feature::named("patches"));
        CHECK(net->grid(80, 64).rows == rows);
        CHECK(net->grid(80, 64).columns == columns);
        REQUIRE(patches.sizes() == at::IntArrayRef({2, rows * columns, 64}));
        CHECK(bit_equal(patches[1][columns + 1], net->forward_map(images)[1].select(1, 1).select(1, 1)));
        CHECK(largest_difference(patches.mean(1), net->forward(images)) < 1e-5);
        CHECK(net->grid(1, 33).rows == 1);
        says([&, &net = net] { net->with_patches(images, at::zeros({2, 4}, at::kBool)); }, {"no patches to mask", "Vision Transformer"});
    }
}

TEST_CASE("features of a method and of a module are those that are asked for, of the network that is asked for") {
    const data::Dataset images = data::Embedded({.size = 32, .count = 10});
    const auto pipeline = views::simclr_small(32).eval;
    const AnyMethod method = Method{Recipe{.encoder = encoders::ByName(four), .loss = losses::NtXent{}}, {.seed = 1}};
    const auto net = std::dynamic_pointer_cast<encoders::Module>(method.encoder(Network::online));
    REQUIRE(net != nullptr);
    const Feature last{.kind = Feature::Kind::class_tokens, .blocks = 4, .mean_patches = true};
    const auto joined = eval::features(method, images, pipeline, {.batch_size = 4, .feature = last});
    CHECK(joined.rows.sizes() == at::IntArrayRef({10, 240}));
    CHECK(bit_equal(joined.rows, eval::features(net, images, pipeline, {.batch_size = 4, .feature = last}).rows));
    CHECK(bit_equal(joined.rows.slice(1, 144, 192), eval::features(method, images, pipeline, {.batch_size = 4}).rows));

    const auto patches = eval::features(method, images, pipeline, {.batch_size = 4, .feature = Feature::named("patches")});
    CHECK(patches.rows.sizes() == at::IntArrayRef({10, 16, 48}));
    CHECK(largest_difference(patches.rows.mean(1), joined.rows.slice(1, 192)) < 1e-5);

    std::int64_t done = 0;
    eval::each_feature_batch(net, images, pipeline, {.batch_size = 4, .feature = Feature::named("patches")}, [&](const eval::Features& part) {
        const std::int64_t size = part.rows.size(0);
        CHECK(size == (done < 8 ? 4 : 2));
        CHECK(bit_equal(part.rows, patches.rows.narrow(0, done, size)));
        CHECK(bit_equal(part.index, at::arange(done, done + size, at::kLong)));
        CHECK(part.labels[0].item<std::int64_t>() == images.label(done));
        done += size;
    });
    CHECK(done == 10);
    CHECK(net->is_training());
}

TEST_CASE("names of features are read and written, and say what they are") {
    for (const char* name : {"output", "patches", "cls1", "cls4", "cls12+mean"}) CHECK(Feature::named(name).name() == name);
    CHECK(Feature::named("cls4+mean") == Feature{.kind = Feature::Kind::class_tokens, .blocks = 4, .mean_patches = true});
    CHECK(Feature{}.title() == "encoder output");
    CHECK(Feature::named("patches").title() == "patch features");
    CHECK(Feature::named("cls1").title() == "class token of the last block");
    CHECK(Feature::named("cls4+mean").title() == "class tokens of the last 4 blocks and mean patch token");
    for (const char* wrong : {"", "cls", "cls0", "cls-1", "cls4+", "4", "cls4 ", "patch", "output+mean", "cls99999999999999999999"})
        says([&] { Feature::named(wrong); }, {"the feature must be output, patches", std::string("got '") + wrong + "'"});
}

TEST_CASE("an encoder that lacks a feature says so") {
    const data::Dataset images = data::Embedded({.size = 32, .count = 2});
    const auto pipeline = views::simclr_small(32).eval;
    const auto asked = [&](auto net, const char* name) {
        return [&, net, name] { eval::features(net, images, pipeline, {.feature = Feature::named(name)}); };
    };
    says(asked(encoders::ResNet{.depth = 18, .stem = Stem::cifar, .width = 0.125}.build(), "cls4"), {"no class tokens", "vit_s16"});
    says(asked(four.build(), "cls5"), {"last blocks must be from 1 to 4", "got 5"});
    says(asked(tiny()(), "patches"), {"a custom encoder has no feature 'patches'", "use 'output'"});
}
