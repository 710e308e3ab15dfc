// SPDX-License-Identifier: Apache-2.0
// InstDisc: every image is a class of its own, its row in a memory bank the class's weight.
//
// Shown here: a method of one view, and a queue that is a bank (queues/memory_bank.hpp). The preset is methods/inst_disc.hpp.
#include <doppel/cli.hpp>
#include <doppel/methods/inst_disc.hpp>

int main(int argc, char** argv) {
    using namespace doppel;
    return cli::run(
        argc, argv,
        {.name = "inst_disc",
         .title = "InstDisc",
         .text = "learns features from images without labels: every image is a class of its own."},
        [](int size) { return size < 64 ? methods::inst_disc_small() : methods::InstDiscOptions{}; },
        [](auto encoder, const auto& options) { return methods::inst_disc(encoder, options); });
}
