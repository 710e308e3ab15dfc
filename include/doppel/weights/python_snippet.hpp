// SPDX-License-Identifier: Apache-2.0
// How to build in Python the network that encoder.safetensors fits.
#pragma once

#include <doppel/augment/center_crop.hpp>
#include <doppel/augment/pipeline.hpp>
#include <doppel/augment/resize.hpp>
#include <doppel/encoders/by_name.hpp>
#include <doppel/weights/preprocessing.hpp>

#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <variant>

namespace doppel::weights {

namespace detail {

/// torchvision's ResNet, with what differs from it replaced.
inline std::string python_of(const encoders::ResNet& net) {
    const auto blocks = net.blocks();
    const std::int64_t base = net.base(), kernel = net.stem == Stem::imagenet ? 7 : 3, stride = net.stem == Stem::cifar ? 1 : 2;
    std::ostringstream text;
    text << "import torch, torchvision\nnet = torchvision.models.resnet" << net.depth << "()\n";
    if (base != 64) {
        text << "block, net.inplanes = torchvision.models.resnet." << (net.has_bottlenecks() ? "Bottleneck" : "BasicBlock") << ", " << base
             << "\nnet.bn1 = torch.nn.BatchNorm2d(" << base << ")\n";
        for (std::size_t stage = 0; stage < 4; ++stage)
            text << "net.layer" << stage + 1 << " = net._make_layer(block, " << (base << stage) << ", " << blocks[stage]
                 << (stage > 0 ? ", 2)\n" : ")\n");
    }
    if (base != 64 || net.stem != Stem::imagenet || net.channels != 3)
        text << "net.conv1 = torch.nn.Conv2d(" << net.channels << ", " << base << ", " << kernel << ", " << stride << ", " << kernel / 2
             << ", bias=False)\n";
    if (net.stem != Stem::imagenet) text << "net.maxpool = torch.nn.Identity()\n";
    text << "net.fc = torch.nn.Identity()\n";
    return text.str();
}

/// timm's Vision Transformer.
inline std::string python_of(const encoders::Vit& options) {
    const encoders::Vit net = options.resolved();
    std::ostringstream text;
    text << "import functools, torch, timm\nnet = timm.models.VisionTransformer(img_size=" << net.image_size << ", patch_size=" << net.patch
         << ", in_chans=" << net.channels << ", embed_dim=" << net.dim << ", depth=" << net.depth << ", num_heads=" << net.heads
         << ", mlp_ratio=" << net.mlp_ratio << ", qkv_bias=" << (net.qkv_bias ? "True" : "False") << ", num_classes=0, global_pool='"
         << (net.pool == VitPool::token ? "token" : "avg") << "', norm_layer=functools.partial(torch.nn.LayerNorm, eps=" << net.eps << "))\n";
    return text.str();
}

}  // namespace detail

/// Returns Python lines that build `net`, a network with the encoder's tensors under the same names and the same features:
/// torchvision's for a ResNet, timm's for a Vision Transformer. They need torch and that package.
inline std::string python_network(const encoders::ByName& encoder) {
    return std::visit([](const auto& net) { return detail::python_of(net); }, encoder.spec);
}

/// Returns a text as a Python literal.
inline std::string python_text(const std::string& text) {
    std::string quoted = "\"";
    for (const char c : text) quoted += (c == '\\' || c == '"') ? std::string("\\") + c : std::string(1, c);
    return quoted + '"';
}

/// Returns Python lines that load a file of weights into the `net` of python_network().
inline std::string python_load(const std::string& file) {
    return "import safetensors.torch\nweights = safetensors.torch.load_file(" + python_text(file) +
           ")\nweights.pop(\"mask_token\", None)\nnet.load_state_dict(weights)\nnet.eval()\n";
}

/// Returns Python lines for `prepare`, which makes the network's input of a Pillow image as the evaluation pipeline does (by
/// torchvision), and for the features of a photograph. Empty for a pipeline with other operations, or of bands.
inline std::string python_prepare(const augment::Pipeline& pipeline) {
    const auto normalize = pipeline.normalize();
    const int channels = pipeline.channels();
    if (channels != 1 && channels != 3) return {};
    std::string steps = channels == 1 ? "transforms.Grayscale(), " : "";
    for (const auto& operation : pipeline.operations()) {
        if (const auto* resize = operation.as<augment::Resize>())
            steps += "transforms.Resize(" + std::to_string(resize->size) + ", transforms.InterpolationMode." +
                     (resize->filter == image::Filter::bicubic ? "BICUBIC" : "BILINEAR") + "), ";
        else if (const auto* crop = operation.as<augment::CenterCrop>())
            steps += "transforms.CenterCrop(" + std::to_string(crop->size) + "), ";
        else
            return {};
    }
    const auto list = [&](const auto& values) { return "[" + detail::listed(values, channels) + "]"; };
    return "from torchvision import transforms\nprepare = transforms.Compose([" + steps + "transforms.ToTensor(), transforms.Normalize(" +
           list(normalize.mean) + ", " + list(normalize.std) + ")])\n# from PIL import Image; features = net(prepare(Image.open(\"photo.jpg\")" +
           (channels == 3 ? ".convert(\"RGB\")" : "") + ")[None])\n";
}

/// Returns Python lines that write `net` as an ONNX file for images of that many channels and pixels, any number at once. They
/// need the packages onnx and onnxscript.
inline std::string python_onnx(const std::string& file, int channels, int size) {
    std::ostringstream text;
    text << "torch.onnx.export(net, (torch.zeros(2, " << channels << ", " << size << ", " << size << "),), " << python_text(file)
         << ", input_names=[\"images\"], output_names=[\"features\"],\n                  dynamic_shapes=({0: torch.export.Dim(\"batch\")},))\n";
    return text.str();
}

}  // namespace doppel::weights
