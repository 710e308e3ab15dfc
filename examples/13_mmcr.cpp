// SPDX-License-Identifier: Apache-2.0
// MMCR: mean embeddings of many views must fill as many dimensions as they can.
//
// Shown here: any number of views (--views), a loss on all of them at once. The preset is methods/mmcr.hpp, which also
// has the variant with an EMA target, mmcr_momentum.
#include <doppel/cli.hpp>
#include <doppel/methods/mmcr.hpp>

int main(int argc, char** argv) {
    using namespace doppel;
    return cli::run(
        argc, argv,
        {.name = "mmcr",
         .title = "MMCR",
         .text = "learns features from images without labels: the images' mean embeddings must fill the space."},
        [](int size) { return size < 64 ? methods::mmcr_small() : methods::MmcrOptions{}; },
        [](auto encoder, const auto& options) { return methods::mmcr(encoder, options); });
}
