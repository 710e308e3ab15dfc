// SPDX-License-Identifier: Apache-2.0
// Lesson 3: a custom encoder.
//
// Slots hold specs, not modules: a callable that makes the module. A method builds it under its own seed, and an EMA
// target builds a second one, so weights are never shared by accident. The encoder slot takes
//
//     encoders::custom([] { return torch::nn::Sequential(…); })   any module: images [B, C, H, W] → features [B, F]
//     [] { return MyNet(); }                                      a module that has feature_dim(), too
//     encoders::TorchScript{"net.pt"}                             a network from Python, with its weights
//
// custom() finds F by passing two black images through the module; give the size of your smallest view if it accepts
// no other, custom(make, {.image_size = 32}), or F itself, custom(make, 256). A network from Python is saved by
//
//     torch.jit.script(net).save("net.pt")     # not torch.jit.trace: BatchNorm would stay in the mode it was traced in
//
// and trains on from the weights in the file. Its header stands apart, because it costs compile time.
//
//     ./run example 03 [EPOCHS [NET.pt]]
//
// Next: a pretrained torchvision network in NET.pt (net.fc = torch.nn.Identity() first), and a lower preset.lr.
#include <doppel/data/embedded.hpp>
#include <doppel/encoders/custom.hpp>
#include <doppel/encoders/torch_script.hpp>
#include <doppel/methods/simclr.hpp>
#include <doppel/run/run.hpp>

#include <torch/nn/modules/pooling.h>  // doppel includes the layers that it uses, not all of torch
#include <cstdint>
#include <cstdlib>
using namespace doppel;

/// Four convolutions that halve the image, then the mean over all places: 256 features.
torch::nn::Sequential four_layers() {
    namespace nn = torch::nn;
    nn::Sequential net;
    for (std::int64_t in = 3, out = 32; out <= 256; in = out, out *= 2) {
        net->push_back(nn::Conv2d(nn::Conv2dOptions(in, out, 3).stride(2).padding(1).bias(false)));
        net->push_back(nn::BatchNorm2d(out));
        net->push_back(nn::ReLU());
    }
    net->push_back(nn::AdaptiveAvgPool2d(1));
    net->push_back(nn::Flatten());
    return net;
}

int main(int argc, char** argv) {
    const auto train = [&](auto encoder) {
        auto preset = methods::simclr(encoder, methods::simclr_small);
        preset.epochs = argc > 1 ? std::atoll(argv[1]) : 20;
        const run::Data images{.train = data::Embedded({.count = 1000}),
                               .validation = data::Embedded({.count = 250, .first = 1000})};
        return run::run(preset, images, {.train = {.seed = 1}}).status();
    };
    return argc > 2 ? train(encoders::TorchScript{argv[2]}) : train(encoders::custom(four_layers));
}
