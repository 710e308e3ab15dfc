// SPDX-License-Identifier: Apache-2.0
// Where a Vision Transformer looks, as numbers and as pictures.
#include <doppel/augment/operations.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/encoders/by_name.hpp>
#include <doppel/eval/attention.hpp>
#include <doppel/losses/nt_xent.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

const encoders::Vit vit{.kind = VitKind::ti, .patch = 8, .image_size = 32, .dim = 24, .depth = 2, .heads = 3};
augment::Pipeline plain() { return augment::Pipeline({.size = 32, .operations = {augment::Resize{.size = 32}}}); }

}  // namespace

TEST_CASE("attention maps are the softmax of the last block, without the class token's share of itself") {
    const data::Dataset images = data::Embedded({.count = 5});
    Method method{Recipe{.encoder = vit, .loss = losses::NtXent{}}, {.seed = 1}};
    const Tensor maps = eval::attention(*method->encoder(), images, plain(), {0, 3, 4});
    REQUIRE(maps.sizes() == at::IntArrayRef({3, 3, 4, 4}));
    CHECK(largest_difference(maps.sum({2, 3}), at::ones({3, 3})) < 1e-6);
    CHECK(maps.min().item<float>() > 0);

    // By hand, from the parameters: the tokens in front of the last block, its norm1, queries and keys.
    const at::NoGradGuard no_grad;
    auto& net = *method->encoder();
    const auto parameters = net.named_parameters();
    const Tensor batch = at::empty({1, 3, 32, 32});
    plain()(images.image(3), random::Stream({}), std::span<float>(batch.data_ptr<float>(), 3 * 32 * 32));
    Tensor x;
    {
        encoders::Vit shallow = vit;
        shallow.depth = 1;
        auto first = shallow.build();
        for (auto& item : first->named_parameters())
            if (!item.key().starts_with("norm.")) item.value().copy_(parameters[item.key()]);
        // The last LayerNorm of the shallow network does what norm1 of the second block does.
        first->named_parameters()["norm.weight"].copy_(parameters["blocks.1.norm1.weight"]);
        first->named_parameters()["norm.bias"].copy_(parameters["blocks.1.norm1.bias"]);
        x = first->tokens(batch);  // [1, 17, 24]
    }
    const Tensor all = at::linear(x, parameters["blocks.1.attn.qkv.weight"], parameters["blocks.1.attn.qkv.bias"])[0];
    for (std::int64_t h = 0; h < 3; ++h) {
        const Tensor q = all.slice(1, 8 * h, 8 * h + 8)[0], k = all.slice(1, 24 + 8 * h, 24 + 8 * h + 8);
        const Tensor row = (k.mv(q) / std::sqrt(8.0)).softmax(0).slice(0, 1);
        CHECK(largest_difference(maps[1][h].flatten(), row / row.sum()) < 1e-5);
    }
}

TEST_CASE("asking for attention changes nothing, and other encoders say that they have none") {
    const data::Dataset images = data::Embedded({.count = 2});
    Method method{Recipe{.encoder = vit, .loss = losses::NtXent{}}, {.seed = 1}};
    eval::attention(*method->encoder(), images, plain(), {0, 1});
    CHECK(method->encoder()->is_training());
    Method tiny_method{Recipe{.encoder = tiny(), .loss = losses::NtXent{}}, {.seed = 1}};
    Method resnet{Recipe{.encoder = encoders::from_name("resnet18x0.125", 32), .loss = losses::NtXent{}}};
    CHECK(eval::has_attention(*method->encoder()));
    CHECK(!eval::has_attention(*tiny_method->encoder()));
    CHECK(!eval::has_attention(*resnet->encoder()));
    CHECK(mentions(message_of([&] { eval::attention(*resnet->encoder(), images, plain(), {0}); }), {"attention", "Vision Transformer"}));
    CHECK(mentions(message_of([&] { eval::attention(*method->encoder(), images, plain(), {}); }), {"at least one image"}));
}

TEST_CASE("masks of the embedded images are the objects' share of each patch") {
    const data::Embedded embedded({.count = 3});
    const data::Dataset images = embedded;
    REQUIRE(images.has_masks());
    const Tensor masks = eval::patch_masks(images, plain(), {0, 2}, 4, 4);
    REQUIRE(masks.sizes() == at::IntArrayRef({2, 4, 4}));
    const Image mask = embedded.mask(2);
    for (int r = 0; r < 4; ++r)
        for (int c = 0; c < 4; ++c) {
            double sum = 0;
            for (int y = 0; y < 8; ++y)
                for (int x = 0; x < 8; ++x) sum += *mask.at(8 * c + x, 8 * r + y) / 255.0 / 64;
            CHECK(masks[1][r][c].item<double>() == Approx(sum).margin(1e-6));
        }
    CHECK(masks.sum().item<double>() > 1);
    CHECK(mentions(message_of([&] { eval::patch_masks(images, plain(), {0}, 5, 4); }), {"5 x 4", "32"}));
    struct Plain {
        std::int64_t size() const { return 1; }
        Image image(std::int64_t) const { return Image(32, 32, 3); }
        std::int64_t label(std::int64_t) const { return 0; }
        std::vector<std::string> classes() const { return {"a"}; }
    };
    CHECK(!data::Dataset(Plain{}).has_masks());
    CHECK(mentions(message_of([] { data::Dataset(Plain{}).mask(0); }), {"no masks"}));
}

TEST_CASE("attention on the objects is one where all of it falls on them, and their share where it is even") {
    Tensor masks = at::zeros({2, 4, 4}), maps = at::zeros({2, 3, 4, 4});
    masks[0].slice(0, 0, 2).fill_(1);
    masks[1][3][3] = 0.5;
    maps.fill_(1 / 16.0);
    CHECK(eval::attention_on_objects(maps, masks) == Approx((0.5 + 0.5 / 16) / 2));
    maps.zero_();
    for (int h = 0; h < 3; ++h) {
        maps[0][h][0][0] = 1;
        maps[1][h][3][3] = 1;
    }
    CHECK(eval::attention_on_objects(maps, masks) == Approx(0.75));
    for (int h = 1; h < 3; ++h) {  // the head with the most counts
        maps[0][h].zero_();
        maps[0][h][3][0] = 1;
    }
    CHECK(eval::attention_on_objects(maps, masks) == Approx(0.75));
    CHECK(mentions(message_of([&] { eval::attention_on_objects(maps, at::zeros({2, 4, 3})); }), {"[2, 3, 4, 4]", "[2, 4, 3]"}));
}
