// SPDX-License-Identifier: Apache-2.0
// SimCLR, from images to a report.
//
// Shown here: a preset (methods/simclr.hpp: recipe, views, optimizer, schedule) and the common command line
// (cli/run.hpp: data, training, k-NN, report). Try
//
//     01_simclr                                   the embedded images
//     01_simclr --data photos --size 128          class folders, or a flat folder, of JPEG, PNG or WebP files
//     01_simclr --help
//
// The recipe itself is three slots: encoder, projector, loss.
#include <doppel/cli.hpp>
#include <doppel/doppel.hpp>

int main(int argc, char** argv) {
    using namespace doppel;
    return cli::run(
        argc, argv,
        {.name = "simclr",
         .title = "SimCLR",
         .text = "learns features from images without labels: two views of an image must find each other among all views of a batch."},
        [](int size) { return size < 64 ? methods::simclr_small() : methods::SimclrOptions{}; },
        [](auto encoder, const auto& options) { return methods::simclr(encoder, options); });
}
