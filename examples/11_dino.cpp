// SPDX-License-Identifier: Apache-2.0
// DINO: all views must name the same class as a slow copy of the network names from the large views; classes are invented
// by the way. For Vision Transformers and ResNets.
//
// Shown here: views of two sizes, a schedule of weight decay, gradients clipped one by one, and pictures of where the
// network looks: attention.png in the run folder, and in the report. Try
//
//     11_dino                                               a small ViT on the embedded images
//     11_dino --data photos --size 96 --arch vit_ti8        your own photographs
//     11_dino --arch resnet18x0.25 --stem strided           a ResNet
//
// The preset is methods/dino.hpp, the maps are eval/attention.hpp.
#include <doppel/cli.hpp>
#include <doppel/methods/dino.hpp>

int main(int argc, char** argv) {
    using namespace doppel;
    return cli::run(
        argc, argv,
        {.name = "dino",
         .title = "DINO",
         .text = "learns features from images without labels: all views name the class that a slow copy of the network names.",
         .arch = "vit_ti8d4"},
        [](int size, const std::string& arch) {
            const bool vit = arch.starts_with("vit");
            if (size < 64) return vit ? methods::dino_vit_small() : methods::dino_small();
            return vit ? methods::DinoOptions{} : methods::dino_resnet();
        },
        [](auto encoder, const auto& options) { return methods::dino(encoder, options); });
}
