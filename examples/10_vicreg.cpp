// SPDX-License-Identifier: Apache-2.0
// VICReg: views agree, every dimension of the embedding varies over the batch, no two dimensions vary together.
//
// Shown here: a loss of three terms with weights of their own (--invariance, --variance, --covariance). The preset is
// methods/vicreg.hpp.
#include <doppel/cli.hpp>
#include <doppel/methods/vicreg.hpp>

int main(int argc, char** argv) {
    using namespace doppel;
    return cli::run(
        argc, argv,
        {.name = "vicreg",
         .title = "VICReg",
         .text = "learns features from images without labels and without negatives: "
                 "views agree, and dimensions vary, each by itself."},
        [](int size) { return size < 64 ? methods::vicreg_small() : methods::VicregOptions{}; },
        [](auto encoder, const auto& options) { return methods::vicreg(encoder, options); });
}
