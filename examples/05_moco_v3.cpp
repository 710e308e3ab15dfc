// SPDX-License-Identifier: Apache-2.0
// MoCo v3: a prediction must find its key among the keys of the batch; for ResNets and Vision Transformers.
//
// Shown here: a preset that fits heads, optimizer and initialization to the encoder. Try
//
//     05_moco_v3                                            a ResNet on the embedded images
//     05_moco_v3 --arch vit_ti4                             a small ViT, with AdamW and frozen patches
//
// The preset is methods/moco_v3.hpp.
#include <doppel/cli.hpp>
#include <doppel/methods/moco_v3.hpp>

int main(int argc, char** argv) {
    using namespace doppel;
    return cli::run(
        argc, argv,
        {.name = "moco_v3",
         .title = "MoCo v3",
         .text = "learns features from images without labels: predict the key of another view, among the keys of the batch."},
        [](int size, const std::string& arch) {
            const bool vit = arch.starts_with("vit");
            if (size < 64) return vit ? methods::moco_v3_vit_small() : methods::moco_v3_small();
            return vit ? methods::moco_v3_vit() : methods::MocoV3Options{};
        },
        [](auto encoder, const auto& options) { return methods::moco_v3(encoder, options); });
}
