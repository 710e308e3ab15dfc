// SPDX-License-Identifier: Apache-2.0
// What a run prints for Python: the text, and where Python has torch, torchvision and timm (PYTHON names it) the network that
// it builds, against ours. The latter counts as a test with data of its own: it is skipped without those packages.
#include <doppel/weights/encoder_file.hpp>
#include <doppel/weights/encoder_info.hpp>
#include <doppel/weights/python_snippet.hpp>

#include "support/torch_support.hpp"

#include <cstdlib>
#include <fstream>

using namespace doppel;
using namespace doppel::test;

TEST_CASE("the Python text replaces what differs from torchvision's network, and quotes the file's name") {
    CHECK(weights::python_network(encoders::ResNet{.depth = 50}) ==
          "import torch, torchvision\nnet = torchvision.models.resnet50()\nnet.fc = torch.nn.Identity()\n");
    const auto strided = weights::python_network(encoders::ResNet{.depth = 18, .stem = Stem::strided});
    CHECK(mentions(strided, {"net.conv1 = torch.nn.Conv2d(3, 64, 3, 2, 1, bias=False)", "net.maxpool = torch.nn.Identity()"}));
    CHECK(strided.find("layer1") == std::string::npos);
    CHECK(mentions(weights::python_network(encoders::ResNet{.depth = 18, .width = 0.25}),
                   {"net.inplanes = torchvision.models.resnet.BasicBlock, 16", "net.layer4 = net._make_layer(block, 128, 2, 2)"}));
    CHECK(mentions(weights::python_network(encoders::from_name("vit_ti4", 32)),
                   {"img_size=32, patch_size=4, in_chans=3, embed_dim=192, depth=12, num_heads=3", "num_classes=0"}));
    CHECK(mentions(weights::python_load("my \"runs\"/a\\b"), {"load_file(\"my \\\"runs\\\"/a\\\\b\")"}));
    CHECK(weights::encoder_info(encoders::ResNet{}).metadata.at("python") == weights::python_network(encoders::ResNet{}));
}

TEST_CASE("Python's network gives the same features", "[data]") {
    const char* chosen = std::getenv("PYTHON");
    const std::string python = chosen ? chosen : "python3";
    if (std::system((python + " -c 'import torch, torchvision, timm, safetensors' 2>/dev/null").c_str()) != 0)
        SKIP("needs a Python with torch, torchvision, timm and safetensors");
    const TemporaryFolder folder;
    std::string script = "import torch, safetensors.torch\n";
    auto add = [&, count = 0](const encoders::ByName& encoder, int channels, int size) mutable {
        const auto net = encoder.build();
        const at::NoGradGuard no_grad;
        for (auto& buffer : net->named_buffers()) {  // running statistics that matter
            if (buffer.key().ends_with("running_mean")) buffer.value().normal_(0, 0.1);
            if (buffer.key().ends_with("running_var")) buffer.value().uniform_(0.5, 1.5);
        }
        net->eval();
        const auto file = folder / ("weights" + std::to_string(count) + ".safetensors"), io_file = folder / ("io" + std::to_string(count++));
        weights::save_encoder(file, *net, augment::Pipeline({.size = size, .operations = {augment::CenterCrop{.size = size}}}));
        const Tensor images = at::randn({2, channels, size, size});
        io::save_safetensors(io_file, {.tensors = {{"images", images}, {"features", net->forward(images)}}});
        script += weights::python_network(encoder) + weights::python_load(file.string()) + "io = safetensors.torch.load_file(\"" + io_file.string() +
                  "\")\nwith torch.no_grad(): got = net(io[\"images\"])\n"
                  "assert got.shape == io[\"features\"].shape, (got.shape, io[\"features\"].shape)\n"
                  "error = (got - io[\"features\"]).abs().max() / io[\"features\"].abs().max()\nassert error < 1e-4, error\n";
    };
    at::manual_seed(1);
    add(encoders::ResNet{.depth = 18}, 3, 64);
    add(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, 3, 32);
    add(encoders::ResNet{.depth = 34, .stem = Stem::strided, .width = 0.25, .channels = 1}, 1, 32);
    add(encoders::ResNet{.depth = 50, .width = 0.5}, 3, 64);
    add(encoders::from_name("vit_ti4d3", 32), 3, 32);
    add(encoders::Vit{.kind = VitKind::s, .patch = 8, .image_size = 32, .channels = 1, .depth = 2, .heads = 12, .positions = VitPositions::sin_cos,
                      .pool = VitPool::avg, .mask_token = true}, 1, 32);
    std::ofstream(folder / "check.py") << script;
    CHECK(std::system((python + " " + (folder / "check.py").string()).c_str()) == 0);
}
