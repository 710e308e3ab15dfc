// SPDX-License-Identifier: Apache-2.0
// BYOL: predict what a slowly moving copy of the network says of another view of the image.
//
// Shown here: a predictor, an EMA target that follows after the step, LARS. The preset is methods/byol.hpp.
#include <doppel/cli.hpp>
#include <doppel/methods/byol.hpp>

int main(int argc, char** argv) {
    using namespace doppel;
    return cli::run(
        argc, argv,
        {.name = "byol",
         .title = "BYOL",
         .text = "learns features from images without labels and without negatives: predict what a slowly moving copy says of another view."},
        [](int size) { return size < 64 ? methods::byol_small() : methods::ByolOptions{}; },
        [](auto encoder, const auto& options) { return methods::byol(encoder, options); });
}
