// SPDX-License-Identifier: Apache-2.0
// Lesson 10: the features in your own program.
//
// What training is for: an encoder that turns an image into a vector in which similar images are neighbors. A run
// leaves it as encoder.safetensors, with the names of torchvision (ResNet) or timm (ViT); projector and loss are gone.
//
//     weights::save_encoder(file, module, eval_pipeline, metadata)   what a run does at its end
//     weights::load_into(file, module)                               names and shapes must match; reports what it did
//     weights::open_encoder(file)                                    builds the encoder too, also of other libraries' files
//     eval::features(encoder, images, eval_pipeline)                 rows [N, F] in evaluation mode, without gradients
//     eval::nearest, eval::knn                                       neighbors by cosine similarity, and their vote
//
// Images must be prepared as in training: by views.eval of the preset. The metadata describe it for other programs
// (image_size, mean, std, resize, crop, interpolation).
//
//     ./run example 10 [EPOCHS]         trains, saves, loads, and searches similar images
//
// Next: give a file of a longer run (./run train), and a classifier on rows and labels in place of k-NN.
#include <doppel/data/embedded.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/eval/knn.hpp>
#include <doppel/methods/simclr.hpp>
#include <doppel/train/train.hpp>
#include <doppel/weights/encoder_file.hpp>
#include <doppel/weights/load.hpp>

#include <cstdlib>
#include <iostream>
using namespace doppel;

const encoders::ResNet architecture{.depth = 18, .stem = Stem::strided, .width = 0.25};

/// Trains an encoder and saves it.
void make_encoder(const std::string& file, std::int64_t epochs) {
    auto preset = methods::simclr(architecture, methods::simclr_small);
    preset.epochs = epochs;
    const auto result = train::train(preset, data::Embedded({.count = 1000}), {.seed = 1});
    weights::save_encoder(file, *result.method.encoder(Network::online), preset.views.eval, {{"method", preset.name}});
}

int main(int argc, char** argv) {
    make_encoder("encoder.safetensors", argc > 1 ? std::atoll(argv[1]) : 20);

    auto encoder = architecture.build();  // another program begins here
    const auto metadata = weights::load_into("encoder.safetensors", *encoder).metadata;
    std::cout << "method " << metadata.at("method") << ", " << metadata.at("preprocessing") << '\n';

    const data::Dataset known = data::Embedded({.count = 1000}), fresh = data::Embedded({.count = 250, .first = 1000});
    const augment::Pipeline pipeline = views::simclr_small().eval;
    const eval::Features bank = eval::features(encoder, known, pipeline);
    const eval::Features queries = eval::features(encoder, fresh, pipeline);
    const auto result = eval::knn(queries.rows, bank.rows, bank.labels, queries.labels, 10, {.k = 20});
    std::cout << "k-NN: " << 100 * result.top1 << " % of the new images\n";
    for (std::int64_t i = 0; i < 3; ++i)
        std::cout << "image " << i << " is most like image " << result.neighbors.indices[i][0].item<std::int64_t>()
                  << ", cosine " << result.neighbors.similarities[i][0].item<float>() << '\n';
    return 0;
}
