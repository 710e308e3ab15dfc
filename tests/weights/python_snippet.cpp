// SPDX-License-Identifier: Apache-2.0
// What a run prints for Python: the text, and where Python has torch, torchvision and timm (PYTHON names it) the network that
// it builds, against ours. The latter counts as a test with data of its own: it is skipped without those packages.
#include <doppel/weights/encoder_file.hpp>
#include <doppel/weights/encoder_info.hpp>
#include <doppel/image/write_png.hpp>
#include <doppel/views/views.hpp>
#include <doppel/weights/python_snippet.hpp>
#include <doppel/weights/torch_script.hpp>

#include "support/images.hpp"
#include "support/python.hpp"
#include "support/torch_support.hpp"
#include "support/weights.hpp"

#include <fstream>
#include <span>

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

TEST_CASE("the Python text prepares images as the evaluation pipeline does") {
    const auto pipeline = views::eval_pipeline({.size = 224, .filter = image::Filter::bicubic});
    CHECK(weights::python_prepare(pipeline) ==
          "from torchvision import transforms\nprepare = transforms.Compose([transforms.Resize(256, transforms.InterpolationMode.BICUBIC), "
          "transforms.CenterCrop(224), transforms.ToTensor(), transforms.Normalize([0.485,0.456,0.406], [0.229,0.224,0.225])])\n"
          "# from PIL import Image; features = net(prepare(Image.open(\"photo.jpg\").convert(\"RGB\"))[None])\n");
    CHECK(weights::python_prepare(pipeline.insert_after<augment::Resize>([](Image&, random::Stream&) {})).empty());
    CHECK(weights::python_prepare(views::eval_pipeline({.normalize = views::normalize_for(5, {}), .channels = 5})).empty());
    CHECK(mentions(weights::python_onnx("a.onnx", 3, 64), {"torch.onnx.export(net, (torch.zeros(2, 3, 64, 64),), \"a.onnx\"", "dynamic_shapes"}));
}

TEST_CASE("Python's network gives the same features, from safetensors and TorchScript, and prepares the same images", "[data]") {
    const auto python = python_with({"torch", "torchvision", "timm", "safetensors"});
    if (!python) SKIP("needs a Python with torch, torchvision, timm and safetensors (./run test installs them where torch is pip's)");
    const TemporaryFolder folder;
    std::string script = "import torch, safetensors.torch\nfrom PIL import Image\ndef compare(what, got, expected, most):\n"
                         "    assert got.shape == expected.shape, (what, got.shape, expected.shape)\n"
                         "    error = (got - expected).abs().max() / expected.abs().max()\n    assert error < most, (what, error)\n";
    const Image photo = busy(90, 70, 3);
    image::write_png(folder / "photo.png", photo);
    auto add = [&, count = 0](const encoders::ByName& encoder, const augment::Pipeline& pipeline) mutable {
        const int channels = pipeline.channels(), size = pipeline.size();
        const auto net = encoder.build();
        const at::NoGradGuard no_grad;
        tensors_of(*net);
        net->eval();
        const auto file = folder / ("weights" + std::to_string(count) + ".safetensors"), io_file = folder / ("io" + std::to_string(count));
        const auto scripted = folder / ("net" + std::to_string(count++) + ".pt");
        weights::save_encoder(file, *net, pipeline);
        weights::save_torch_script(scripted, encoder, *net);
        const Tensor images = at::randn({2, channels, size, size}), prepared = at::empty({channels, size, size});
        pipeline(photo, random::Stream({}), std::span(prepared.data_ptr<float>(), pipeline.values()));
        io::save_safetensors(io_file, {.tensors = {{"images", images}, {"features", net->forward(images)}, {"prepared", prepared}}});
        script += weights::python_network(encoder) + weights::python_load(file.string()) + weights::python_prepare(pipeline) +
                  "io = safetensors.torch.load_file(" + weights::python_text(io_file.string()) +
                  ")\nwith torch.no_grad(): compare(\"net\", net(io[\"images\"]), io[\"features\"], 1e-5)\nnet = torch.jit.load(" +
                  weights::python_text(scripted.string()) + ")\nwith torch.no_grad(): compare(\"script\", net(io[\"images\"]), io[\"features\"], 1e-5)\n";
        if (channels == 3)  // Pillow rounds the resized image as doppel does: at most a level of 255 apart
            script += "compare(\"prepare\", prepare(Image.open(" + weights::python_text((folder / "photo.png").string()) + ")), io[\"prepared\"], 0.02)\n";
    };
    at::manual_seed(1);
    const auto view = [](int size, image::Filter filter, int channels = 3) {
        return views::eval_pipeline({.size = size, .filter = filter, .normalize = views::normalize_for(channels, augment::imagenet_normalize), .channels = channels});
    };
    using enum image::Filter;
    add(encoders::ResNet{.depth = 18}, view(64, bilinear));
    add(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, view(32, bicubic));
    add(encoders::ResNet{.depth = 34, .stem = Stem::strided, .width = 0.25, .channels = 1}, view(32, bilinear, 1));
    add(encoders::ResNet{.depth = 50, .width = 0.5}, view(64, bicubic));
    add(encoders::from_name("vit_ti4d3", 32), view(32, bilinear));
    add(encoders::Vit{.kind = VitKind::s, .patch = 8, .image_size = 32, .channels = 1, .depth = 2, .heads = 12, .positions = VitPositions::sin_cos,
                      .pool = VitPool::avg, .mask_token = true}, view(32, bicubic, 1));
    std::ofstream(folder / "check.py") << script;
    const auto [status, text] = run_python(*python, "-W ignore " + (folder / "check.py").string());
    INFO(text);
    CHECK(status == 0);
}

TEST_CASE("the Python lines for ONNX write a network with the same features, for any number of images", "[data]") {
    const auto python = python_with({"torch", "torchvision", "safetensors", "onnx", "onnxscript", "onnxruntime"});
    if (!python || run_python(*python, "-c 'import onnx, onnxscript, onnxruntime'").first != 0)
        SKIP("needs a Python with torch, torchvision, safetensors, onnx, onnxscript and onnxruntime");
    const TemporaryFolder folder;
    const encoders::ByName spec = encoders::ResNet{.depth = 18, .stem = Stem::cifar, .width = 0.125};
    const auto net = spec.build();
    const at::NoGradGuard no_grad;
    tensors_of(*net);
    net->eval();
    const auto file = (folder / "a.safetensors").string(), out = (folder / "a.onnx").string(), io_file = (folder / "io").string();
    weights::save_encoder(file, *net, views::eval_pipeline({.size = 32}));
    const Tensor images = at::randn({5, 3, 32, 32});
    io::save_safetensors(io_file, {.tensors = {{"images", images}, {"features", net->forward(images)}}});
    std::ofstream(folder / "check.py") << weights::python_network(spec) << weights::python_load(file) << weights::python_onnx(out, 3, 32)
                                       << "import onnxruntime\nio = safetensors.torch.load_file(" << weights::python_text(io_file)
                                       << ")\ngot = onnxruntime.InferenceSession(" << weights::python_text(out)
                                       << ").run(None, {\"images\": io[\"images\"].numpy()})[0]\n"
                                          "error = abs(got - io[\"features\"].numpy()).max() / abs(got).max()\nassert error < 1e-5, error\n";
    const auto [status, text] = run_python(*python, "-W ignore " + (folder / "check.py").string());
    INFO(text);
    CHECK(status == 0);
}
