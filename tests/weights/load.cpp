// SPDX-License-Identifier: Apache-2.0
#include <doppel/augment/center_crop.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/encoders/vit.hpp>
#include <doppel/weights/encoder_file.hpp>
#include <doppel/weights/load.hpp>

#include "support/torch_support.hpp"
#include "support/weights.hpp"

#include <limits>

using namespace doppel;
using namespace doppel::test;

namespace {

const augment::Pipeline pipeline({.size = 8, .operations = {augment::CenterCrop{.size = 8}}});

}  // namespace

TEST_CASE("saved weights load into a custom encoder of the same architecture, and into no other") {
    TemporaryFolder folder;
    TinyNet saved(4), other(4), wide(8);
    const auto file = folder / "a.safetensors";
    weights::save_encoder(file, *saved, pipeline, {{"arch", "tiny"}});
    REQUIRE_FALSE(at::equal(saved->conv->weight, other->conv->weight));
    const auto report = weights::load_into(file, *other);
    CHECK(report.complete());
    CHECK(report.differences().empty());
    CHECK(report.loaded == 7);
    CHECK(report.metadata.at("arch") == "tiny");
    CHECK(at::equal(saved->conv->weight, other->conv->weight));
    CHECK(other->conv->weight.requires_grad());

    const Tensor before = wide->conv->weight.detach().clone();
    CHECK(mentions(message_of([&] { weights::load_into(file, *wide); }), {"does not fit the encoder: of another shape: bn.bias is [4] in the file and [8] in the encoder"}));
    CHECK(at::equal(wide->conv->weight, before));
    torch::nn::BatchNorm2d small(4);
    CHECK(mentions(message_of([&] { weights::load_into(file, *small); }), {"missing: bias, ", "without a place in the encoder: bn.bias, "}));
    torch::nn::Sequential none;
    CHECK(message_of([&] { weights::load_into(file, *none); }).ends_with("the encoder has no tensors to load into"));
}

TEST_CASE("differences are told tensor by tensor; `partial` takes what fits") {
    TemporaryFolder folder;
    const auto net = encoders::ResNet{.depth = 18, .width = 0.125}.build(), other = encoders::ResNet{.depth = 18, .stem = Stem::cifar, .width = 0.125}.build();
    auto tensors = tensors_of(*net);
    tensors["fc.weight"] = at::zeros({10, 64});
    tensors["layer1.0.se.weight"] = at::zeros({1});
    tensors.erase("layer3.1.bn2.bias");
    tensors.erase("layer3.1.bn2.num_batches_tracked");  // older files lack it
    io::save_safetensors(folder / "a.safetensors", {.tensors = tensors});
    const Tensor before = other->parameters()[0].detach().clone();
    const auto message = message_of([&] { weights::load_into(folder / "a.safetensors", *other); });
    CHECK(mentions(message, {"a.safetensors (torchvision's names, resnet18x0.125) does not fit the encoder: missing: layer3.1.bn2.bias; without a place in the encoder: layer1.0.se.weight; ",
                             "of another shape: conv1.weight is [8, 3, 7, 7] in the file and [8, 3, 3, 3] in the encoder"}));
    const auto report = weights::load_into(folder / "a.safetensors", *other, {.partial = true});
    CHECK_FALSE(report.complete());
    CHECK(report.missing == std::vector<std::string>{"layer3.1.bn2.bias"});
    CHECK(report.extra == std::vector<std::string>{"layer1.0.se.weight"});
    CHECK(report.left_aside == std::vector<std::string>{"fc.weight"});
    CHECK(report.loaded == static_cast<std::int64_t>(tensors.size()) - 3);
    CHECK(at::equal(other->parameters()[0], before));
    CHECK(at::equal(other->named_parameters()["layer4.1.conv2.weight"], tensors.at("layer4.1.conv2.weight")));
    weights::Report many;
    many.missing = {"a", "b", "c"};
    CHECK(many.differences(2) == "missing: a, b and 1 more");
}

TEST_CASE("a file that matches in nothing, or has values that are not finite, changes nothing") {
    TemporaryFolder folder;
    auto net = encoders::ResNet{.depth = 18, .width = 0.125}.build();
    const auto before = tensors_of(*net);
    io::save_safetensors(folder / "a.safetensors", {.tensors = {{"x", at::zeros({1})}}});
    CHECK(mentions(message_of([&] { weights::load_into(folder / "a.safetensors", *net, {.partial = true}); }), {"has no tensor that fits"}));
    auto bad = before;
    bad["layer4.1.conv2.weight"] = at::full_like(bad["layer4.1.conv2.weight"], std::numeric_limits<double>::quiet_NaN());
    io::save_safetensors(folder / "b.safetensors", {.tensors = bad});
    CHECK(message_of([&] { weights::load_into(folder / "b.safetensors", *net); }).ends_with("b.safetensors: layer4.1.conv2.weight holds values that are not finite"));
    CHECK(mentions(message_of([&] { weights::load_into(folder / "none", *net); }), {"none: No such file"}));
    CHECK(mentions(message_of([&] { weights::load_into(folder.path() / "..", *net); }), {"the folder has no encoder.safetensors"}));
    write_bytes(folder / "c.pth", "PK\3\4");
    CHECK(mentions(message_of([&] { weights::load_into(folder / "c.pth", *net); }), {"PyTorch's own format", "./run convert", "c.safetensors"}));
    write_bytes(folder / "d.safetensors", "no tensors here");
    CHECK(mentions(message_of([&] { weights::load_into(folder / "d.safetensors", *net); }), {"d.safetensors", "truncated, or not a safetensors file"}));
}

TEST_CASE("positions are interpolated to the encoder's grid, as the encoder itself does for images of another size") {
    TemporaryFolder folder;
    at::manual_seed(3);
    auto small = encoders::Vit{.kind = VitKind::ti, .patch = 4, .image_size = 16, .depth = 1}.build();
    auto large = encoders::Vit{.kind = VitKind::ti, .patch = 4, .image_size = 24, .depth = 1, .mask_token = true}.build();
    io::save_safetensors(folder / "a.safetensors", {.tensors = tensors_of(*small)});
    const auto report = weights::load_into(folder / "a.safetensors", *large);
    CHECK(report.notes == std::vector<std::string>{"the mask token keeps its own values: the file has none", "position embeddings interpolated from 4 x 4 to 6 x 6 patches"});
    const Tensor images = wave({2, 3, 24, 24}, 0.7, 0.1, at::kFloat);
    const at::NoGradGuard no_grad;
    CHECK(largest_difference(small->forward(images), large->forward(images)) < 1e-5);
}

TEST_CASE("a checkpoint's encoders are found, also a custom one") {
    TemporaryFolder folder;
    TinyNet online(4), target(4), net(4);
    io::TensorFile file{.tensors = behind("encoder.", tensors_of(*online)), .metadata = {{"format", "doppel checkpoint 3"}, {"run.method", "byol"}, {"counter.step", "3"}, {"encoder.arch", "custom"}}};
    file.tensors.merge(behind("target.encoder.", tensors_of(*target)));
    file.tensors["projector.weight"] = at::zeros({1});
    io::save_safetensors(folder / "step-00000003.safetensors", file, io::Checksum::crc32);
    const auto report = weights::load_into(folder / "step-00000003.safetensors", *net);
    CHECK(at::equal(net->conv->weight, online->conv->weight));
    CHECK(report.metadata.at("arch") == "custom");
    CHECK(report.metadata.at("method") == "byol");
    weights::load_into(folder / "step-00000003.safetensors", *net, {.network = Network::target});
    CHECK(at::equal(net->conv->weight, target->conv->weight));
}
