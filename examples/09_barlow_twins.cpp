// SPDX-License-Identifier: Apache-2.0
// Barlow Twins: each dimension of the embedding agrees across two views of an image, and repeats no other dimension.
//
// Shown here: no negatives, no predictor and no second network, a learning rate of their own for biases and
// normalization. The preset is methods/barlow_twins.hpp.
#include <doppel/cli.hpp>
#include <doppel/methods/barlow_twins.hpp>

int main(int argc, char** argv) {
    using namespace doppel;
    return cli::run(
        argc, argv,
        {.name = "barlow_twins",
         .title = "Barlow Twins",
         .text = "learns features from images without labels and without negatives: "
                 "each dimension must agree across views and repeat no other."},
        [](int size) { return size < 64 ? methods::barlow_twins_small() : methods::BarlowTwinsOptions{}; },
        [](auto encoder, const auto& options) { return methods::barlow_twins(encoder, options); });
}
