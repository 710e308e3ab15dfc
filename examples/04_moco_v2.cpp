// SPDX-License-Identifier: Apache-2.0
// MoCo v2: MoCo with an MLP, more augmentation and a cosine schedule; asymmetric as in the paper, or --symmetric.
//
// Shown here: one recipe's projector, views and schedule changed. The preset is methods/moco.hpp.
#include <doppel/cli.hpp>
#include <doppel/methods/moco.hpp>

int main(int argc, char** argv) {
    using namespace doppel;
    return cli::run(
        argc, argv,
        {.name = "moco_v2",
         .title = "MoCo v2",
         .text = "learns features from images without labels: a query finds its key among a queue of keys, made by a slowly moving copy."},
        [](int size) { return size < 64 ? methods::moco_small() : methods::MocoOptions{}; },
        [](auto encoder, const auto& options) { return methods::moco_v2(encoder, options); });
}
