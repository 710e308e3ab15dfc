// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/torch_script.hpp>
#include <doppel/weights/torch_script.hpp>

#include "support/torch_support.hpp"
#include "support/weights.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("a scripted encoder gives the encoder's features, for any batch and image size, in training too") {
    const std::vector<encoders::ByName> all{encoders::ResNet{.depth = 18, .width = 0.125},
                                            encoders::ResNet{.depth = 18, .stem = Stem::cifar, .width = 0.125, .channels = 1},
                                            encoders::ResNet{.depth = 50, .stem = Stem::strided, .width = 0.125},
                                            encoders::Vit{.kind = VitKind::ti, .patch = 4, .image_size = 16, .depth = 2, .mask_token = true},
                                            encoders::Vit{.kind = VitKind::ti, .patch = 4, .image_size = 16, .channels = 1, .depth = 1, .qkv_bias = false, .pool = VitPool::avg}};
    const TemporaryFolder folder;
    for (const auto& spec : all) {
        INFO(spec.name());
        const auto net = spec.build();
        const auto tensors = tensors_of(*net);
        const auto channels = std::visit([](const auto& one) { return one.channels; }, spec.spec);
        const auto file = folder / "net.pt";
        weights::save_torch_script(file, spec, *net, {{"arch", spec.name()}});
        torch::jit::ExtraFilesMap extra{{"doppel.json", ""}};
        auto script = torch::jit::load(file.string(), c10::Device(c10::kCPU), extra);
        CHECK(nlohmann::json::parse(extra.at("doppel.json"))["arch"] == spec.name());
        Tensors theirs;
        for (const auto& item : script.named_parameters()) theirs[item.name] = item.value;
        for (const auto& item : script.named_buffers()) theirs[item.name] = item.value;
        CHECK(same_tensors(theirs, tensors));
        net->eval();
        {
            const at::NoGradGuard no_grad;
            for (const auto& [batch, size] : {std::pair<std::int64_t, std::int64_t>(2, 16), {3, 24}, {1, 16}}) {
                const Tensor images = wave({batch, channels, size, size}, 0.7, 0.1, at::kFloat);
                CHECK(largest_difference(script.forward({images}).toTensor(), net->forward(images)) < 1e-5);
            }
        }
        // It trains as a custom encoder: BatchNorm follows the mode.
        const auto again = encoders::TorchScript{.path = file.string(), .trial = {.image_size = 16, .channels = channels}}.build();
        CHECK(again->feature_dim() == net->feature_dim());
        const Tensor images = wave({4, channels, 16, 16}, 0.3, 0.2, at::kFloat);
        net->train();
        CHECK(largest_difference(again->forward(images).detach(), net->forward(images).detach()) < 1e-5);
    }
}

TEST_CASE("a module that is not the encoder of its description is rejected") {
    const TemporaryFolder folder;
    CHECK(mentions(message_of([&] { weights::script_of(encoders::ResNet{.depth = 18}, *TinyNet(4)); }), {"script_of: the module is no resnet18: ", "bn1"}));
}
