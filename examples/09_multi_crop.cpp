// SPDX-License-Identifier: Apache-2.0
// Lesson 9: multi-crop.
//
// Local views, small parts of the image at low resolution, give a method more views for little more work. A batch may
// have any number of views of several sizes, the global ones first. views::multi_crop() makes such pipelines; .spec is
// what all of them share (jitter, blur, normalization …), here SimCLR's.
//
// How a loss meets the views: losses::NtXent takes any number of them in one pool of negatives. For a loss on pairs,
// name a pairing: preset.with_pairing("all_pairs", pairings::EachPairOnce{}). A pairing that leaves views unseen is an
// error.
//
// The encoder must accept several sizes: a ResNet does, a Vision Transformer interpolates its position embeddings.
//
//     ./run example 09 [EPOCHS]
//
// Next: more locals and fewer epochs at equal time; or methods::dino and swav, whose options have .locals.
#include <doppel/data/embedded.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/methods/simclr.hpp>
#include <doppel/run/run.hpp>
#include <doppel/views/multi_crop.hpp>

#include <cstdlib>
using namespace doppel;

int main(int argc, char** argv) {
    const encoders::ResNet encoder{.depth = 18, .stem = Stem::strided, .width = 0.25};
    auto preset = methods::simclr(encoder, methods::simclr_small);
    preset.epochs = argc > 1 ? std::atoll(argv[1]) : 20;

    const auto colors = views::simclr_spec(methods::simclr_pipeline(methods::simclr_small));
    preset.views = views::multi_crop({.global_size = 32, .local_size = 16, .locals = 4, .spec = colors});

    const run::Data images{.train = data::Embedded({.count = 1000}),
                           .validation = data::Embedded({.count = 250, .first = 1000})};
    return run::run(preset, images, {.train = {.seed = 1}}).status();
}
