// SPDX-License-Identifier: Apache-2.0
// Writes a trained encoder for other programs.
//
//     export runs/photos photos.safetensors          names of torchvision, for a ViT timm's
//     export runs/photos photos.pt                   TorchScript
//     export moco_v2.safetensors moco.pt             weights of other libraries, converted by convert.py
#include <doppel/cli/export.hpp>

int main(int argc, char** argv) { return doppel::cli::export_weights(argc, argv); }
