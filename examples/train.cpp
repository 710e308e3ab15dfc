// SPDX-License-Identifier: Apache-2.0
// The training program: every shipped method on any images, from the command line to a report.
//
//     train                                        list of the methods
//     train simclr                                 the embedded images
//     train byol --data photos --size 128          class folders, or a flat folder, of images
//     train byol --help                            its options, with the defaults for small images
#include <doppel/cli.hpp>
#include <doppel/methods/registry.hpp>

int main(int argc, char** argv) { return doppel::cli::train(argc, argv, doppel::methods::all()); }
