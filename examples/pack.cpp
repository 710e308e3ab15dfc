// SPDX-License-Identifier: Apache-2.0
// Packs a data set into one file, which is quick to read from any disk and to decode.
//
//     pack photos photos.dop                        the same pixels
//     pack photos photos.dop --largest-side 512     smaller photographs
//     train simclr --data photos.dop
#include <doppel/cli/pack.hpp>

int main(int argc, char** argv) { return doppel::cli::pack(argc, argv); }
