// SPDX-License-Identifier: Apache-2.0
// Shows what a method sees of an image: a page of its views, with what each operation drew.
//
//     views photo.jpg --method byol                 views.html
//     views photo.jpg --method dino --size 96 --draws 6 --out dino.html
#include <doppel/cli/views.hpp>
#include <doppel/methods/registry.hpp>

int main(int argc, char** argv) { return doppel::cli::views(argc, argv, doppel::methods::all()); }
