// SPDX-License-Identifier: Apache-2.0
// SwAV: views are assigned to prototypes, evenly, and each view must say to which the image's other views are assigned.
//
// Shown here: views of two sizes (--locals, --local-size), a loss with trained parts of its own (--prototypes), a queue
// for small batches (--queue). The preset is methods/swav.hpp.
#include <doppel/cli.hpp>
#include <doppel/methods/swav.hpp>

int main(int argc, char** argv) {
    using namespace doppel;
    return cli::run(
        argc, argv,
        {.name = "swav",
         .title = "SwAV",
         .text = "learns features from images without labels: all views of an image must go to the same prototypes."},
        [](int size) { return size < 64 ? methods::swav_small() : methods::SwavOptions{}; },
        [](auto encoder, const auto& options) { return methods::swav(encoder, options); });
}
