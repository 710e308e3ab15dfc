// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/by_name.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;
using encoders::from_name;

TEST_CASE("an encoder's name gives depth, width, patch size and blocks") {
    const auto net = std::get<encoders::ResNet>(from_name("resnet50x0.25", 224).spec);
    CHECK(net.depth == 50);
    CHECK(net.width == 0.25);
    CHECK(std::get<encoders::ResNet>(from_name("resnet18", 32, 1, Stem::cifar).spec).stem == Stem::cifar);
    CHECK(std::get<encoders::ResNet>(from_name("resnet18", 32, 1).spec).channels == 1);
    const auto vit = std::get<encoders::Vit>(from_name("vit_ti8d4", 32).spec);
    CHECK(vit.kind == VitKind::ti);
    CHECK(vit.patch == 8);
    CHECK(vit.depth == 4);
    CHECK(vit.image_size == 32);
    CHECK(from_name("vit_s16", 224).is_vit());
    CHECK(!from_name("resnet18", 224).is_vit());
    CHECK(from_name("vit_s16", 224).name() == "vit_s16");
}

TEST_CASE("an encoder by name is built as the one it names") {
    const auto module = from_name("resnet18x0.125", 32, 3, Stem::cifar).build();
    const at::NoGradGuard no_grad;
    CHECK(module->forward(at::zeros({2, 3, 16, 16})).sizes() == at::IntArrayRef({2, module->feature_dim()}));
}

TEST_CASE("names of no encoder, and patches that do not divide the image, are refused") {
    for (const char* wrong : {"resnet", "resnet19", "resnet18x", "resnet18y2", "vit", "vit_xl16", "vit_s", "vit_s0", "vit_s16d0", ""})
        says([&] { from_name(wrong, 32); }, {"the encoder must be", "resnet18", "vit_s16", std::string("'") + wrong + "'"});
    says([] { from_name("resnet18x-2", 32); }, {"width", "-2"});
    says([] { from_name("vit_s16", 40); }, {"vit_s16", "multiple", "40"});
}

TEST_CASE("timm's and torchvision's names of the same networks are understood") {
    for (const auto& [given, name] : {std::pair("vit_small_patch16_224", "vit_s16"), {"vit_tiny_patch16", "vit_ti16"},
                                      {"vit_base_patch32_384.augreg_in21k", "vit_b32"}, {"vit_large_patch16_224", "vit_l16"},
                                      {"deit_small_patch16_224", "vit_s16"}, {"vit_b_16", "vit_b16"}, {"vit_l_32", "vit_l32"}})
        CHECK(from_name(given, 224).name() == name);
    says([] { from_name("vit_small_patch_224", 224); }, {"the encoder must be", "'vit_small_patch_224'"});
}
