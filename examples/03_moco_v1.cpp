// SPDX-License-Identifier: Apache-2.0
// MoCo v1: a query must find its key among a queue of keys that a slowly moving copy of the network has made.
//
// Shown here: an EMA target (targets/target.hpp), a queue (queues/fifo.hpp), BatchNorm in shuffled groups (Passes in
// recipe/recipe.hpp). The preset is methods/moco.hpp.
#include <doppel/cli.hpp>
#include <doppel/methods/moco.hpp>

int main(int argc, char** argv) {
    using namespace doppel;
    return cli::run(
        argc, argv,
        {.name = "moco_v1",
         .title = "MoCo v1",
         .text = "learns features from images without labels: a query finds its key among a queue of keys, made by a slowly moving copy."},
        [](int size) { return size < 64 ? methods::moco_v1_small() : methods::moco_v1_options(); },
        [](auto encoder, const auto& options) { return methods::moco_v1(encoder, options); });
}
