// SPDX-License-Identifier: Apache-2.0
// Judges an encoder: k-NN, linear probe, measures without labels; a table, evaluation.json and a report.
//
//     evaluate runs/photos                                        a run, on its own images
//     evaluate resnet50.safetensors --data photos                 weights from elsewhere
//     evaluate runs/photos --labels 0.01,0.1,1 --k 20,200
#include <doppel/cli/evaluate.hpp>

int main(int argc, char** argv) { return doppel::cli::evaluate(argc, argv); }
