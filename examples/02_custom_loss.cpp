// SPDX-License-Identifier: Apache-2.0
// Lesson 2: a custom loss.
//
// The loss slot takes anything that can be called in one of three ways; a lambda will do:
//
//     loss(online, target)            two tensors [N, D], for each pair of views
//     loss(online, target, memory)    the same with a queue's rows [K, D]
//     loss(const Outputs&)            once per batch, with the outputs of all views, labels, image indices, the step
//
// It returns a scalar. The network's outputs arrive as float32, not normalized, also under bf16 autocast. A struct may
// have more: parameters or state in the checkpoint, a pairing of its own, figures for the log (as metrics() below).
// contracts/loss.hpp has the table.
//
// Here: alignment and uniformity. Views of one image should lie close together, all images spread over the sphere.
// Source: Wang, Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
// Hypersphere", 2020, arXiv:2005.10242.
//
//     ./run example 02 [EPOCHS]
//
// Next: add the loss to another one with losses::Sum{losses::Weighted{1.0, …}, …}; give it a weight of 0 and see the
// run warn of collapse.
#include <doppel/data/embedded.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/methods/simclr.hpp>
#include <doppel/run/run.hpp>

#include <cstdlib>
using namespace doppel;

/// L = mean ‖x_i − y_i‖² + w/2 · Σ_{z ∈ {x, y}} log mean_{i<j} exp(−2 ‖z_i − z_j‖²) for unit rows x_i, y_i
struct AlignUniform {
    double weight = 1;                 ///< w of the uniformity
    Tensor alignment{}, uniformity{};  ///< of the last batch

    Tensor operator()(const Tensor& online, const Tensor& target) {
        const auto unit = [](const Tensor& z) { return z / z.norm(2, 1, true).clamp_min(1e-12); };
        const auto spread = [](const Tensor& z) { return at::pdist(z).square().mul(-2).exp().mean().log(); };
        const Tensor x = unit(online), y = unit(target);                     // [N, D]
        const Tensor close = (x - y).square().sum(1).mean(), apart = (spread(x) + spread(y)) / 2;
        alignment = close.detach();
        uniformity = apart.detach();
        return close + weight * apart;
    }
    contracts::Metrics metrics() const { return {{"alignment", alignment}, {"uniformity", uniformity}}; }
};

int main(int argc, char** argv) {
    const encoders::ResNet encoder{.depth = 18, .stem = Stem::strided, .width = 0.25};
    auto preset = methods::simclr(encoder, methods::simclr_small).with_loss("align_uniform", AlignUniform{});
    preset.epochs = argc > 1 ? std::atoll(argv[1]) : 20;

    const run::Data images{.train = data::Embedded({.count = 1000}),
                           .validation = data::Embedded({.count = 250, .first = 1000})};
    return run::run(preset, images, {.train = {.seed = 1, .log_every = 5}}).status();  // runs/align_uniform-DATE-TIME
}
