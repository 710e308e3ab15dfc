// SPDX-License-Identifier: Apache-2.0
// Shows a step of a run again: its images, views, outputs and loss.
//
//     replay runs/mine --step 1200                     runs/mine/replay-1200.html
//     replay runs/mine --step 1200 --views-only --out views.html
//     replay runs/mine --step 1200 --tensors step.safetensors
#include <doppel/cli/replay.hpp>
#include <doppel/methods/registry.hpp>

int main(int argc, char** argv) { return doppel::cli::replay(argc, argv, doppel::methods::all()); }
