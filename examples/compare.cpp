// SPDX-License-Identifier: Apache-2.0
// Puts runs side by side: figures, options that differ, and curves.
//
//     compare runs/a runs/b                 comparison.html
//     compare runs/* --out seeds.html
#include <doppel/cli/compare.hpp>

int main(int argc, char** argv) { return doppel::cli::compare(argc, argv); }
