// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/by_name.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("encoders by name: ours, timm's and torchvision's") {
    for (const auto& [given, name] : {std::pair("resnet18", "resnet18"), {"resnet50x2", "resnet50x2"}, {"vit_s16", "vit_s16"},
                                      {"vit_ti8d4", "vit_ti8_depth4"}, {"vit_small_patch16_224", "vit_s16"}, {"vit_tiny_patch16", "vit_ti16"},
                                      {"vit_base_patch32_384.augreg_in21k", "vit_b32"}, {"vit_large_patch16_224", "vit_l16"},
                                      {"deit_small_patch16_224", "vit_s16"}, {"vit_b_16", "vit_b16"}, {"vit_l_32", "vit_l32"}})
        CHECK(encoders::from_name(given, 224).name() == name);
    CHECK(encoders::from_name("vit_b_16", 224).is_vit());
    const auto net = std::get<encoders::ResNet>(encoders::from_name("resnet34x0.5", 32, 1, Stem::cifar).spec);
    CHECK(net.depth == 34);
    CHECK(net.width == 0.5);
    CHECK(net.channels == 1);
    CHECK(net.stem == Stem::cifar);
}

TEST_CASE("a name that means no encoder is refused with what is known, a patch that does not fit with the size") {
    for (const char* wrong : {"", "resnet", "resnet17", "resnet18x", "resnet18x0", "vit", "vit_s", "vit_s16x", "vit_x16",
                              "vit_small_patch_224", "vgg16"})
        CHECK(mentions(message_of([&] { encoders::from_name(wrong, 32); }), {"resnet18x0.25", "vit_s16", "got '" + std::string(wrong) + "'"}));
    CHECK(mentions(message_of([] { encoders::from_name("vit_small_patch16_224", 40); }), {"patches of 16", "got 40"}));
}
