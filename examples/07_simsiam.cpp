// SPDX-License-Identifier: Apache-2.0
// SimSiam: one network, a predictor and a stop-gradient.
//
// Shown here: a predictor with a learning rate of its own (optim::Rule), a target that is the network itself without
// gradient. The preset is methods/simsiam.hpp.
#include <doppel/cli.hpp>
#include <doppel/methods/simsiam.hpp>

int main(int argc, char** argv) {
    using namespace doppel;
    return cli::run(
        argc, argv,
        {.name = "simsiam",
         .title = "SimSiam",
         .text = "learns features from images without labels, negatives and momentum encoder: predict one view of an image from another."},
        [](int size) { return size < 64 ? methods::simsiam_small() : methods::SimsiamOptions{}; },
        [](auto encoder, const auto& options) { return methods::simsiam(encoder, options); });
}
