// SPDX-License-Identifier: Apache-2.0
// Writes the features of images by any encoder, and finds the images that are most like a given one.
//
//     embed runs/photos --data photos --out photos.npy
//     embed vit_small.safetensors --data photos --nearest cat.jpg
#include <doppel/cli/embed.hpp>

int main(int argc, char** argv) { return doppel::cli::embed(argc, argv); }
