// SPDX-License-Identifier: Apache-2.0
// iBOT: DINO whose online network must also say what stands in patches that are hidden from it; with KoLeo if wanted.
#pragma once

#include <doppel/losses/ibot.hpp>
#include <doppel/losses/koleo.hpp>
#include <doppel/losses/weighted_sum.hpp>
#include <doppel/methods/dino.hpp>

#include <cstdint>
#include <utility>

namespace doppel::methods {

/// What iBOT leaves open beyond DINO. ibot_options() gives the paper's values.
struct IbotOptions : DinoOptions {
    double patch_weight = 1;        ///< weight of the patches' loss beside the class tokens'
    double mask_probability = 0.5;  ///< share of the global views of which patches are hidden
    double mask_low = 0.1;          ///< smallest and
    double mask_high = 0.5;         ///< largest share of such a view's patches
    double koleo = 0;              ///< weight of KoLeo, which spreads the features (DINOv2: 0.1)
};

/// The paper's values for a ViT-S/16.
inline IbotOptions ibot_options() {
    IbotOptions o;
    o.epochs = 800;
    o.batch_size = 1024;
    o.target_temperature = 0.07;
    o.temperature_epochs = 30;
    o.locals = 10;
    o.out = 8192;
    return o;
}
/// The variant for images of about 32 px.
inline IbotOptions ibot_small() { return {dino_vit_small()}; }

template <class Field>
void describe(IbotOptions& o, Field&& field) {
    field("patch-weight", o.patch_weight, "weight of the hidden patches' loss", Limits{0, 1000});
    field("mask-probability", o.mask_probability, "share of the global views of which patches are hidden", Limits{0, 1});
    field("mask-low", o.mask_low, "smallest share of such a view's patches that is hidden", Limits{0, 1, true});
    field("mask-high", o.mask_high, "largest share", Limits{0, 1, true});
    field("koleo", o.koleo, "weight of KoLeo, which spreads the features", Limits{0, 1000});
    describe(static_cast<DinoOptions&>(o), field);
}

/// iBOT with `encoder`, a Vision Transformer, or one by name. One head for class tokens and patches.
/// Source: Zhou, Wei, Wang, Shen, Xie, Yuille, Kong, "iBOT: Image BERT Pre-Training with Online Tokenizer", 2021,
/// arXiv:2111.07832; KoLeo beside it: Oquab et al., "DINOv2", 2023, arXiv:2304.07193.
///
///     auto preset = methods::ibot(encoders::Vit{.kind = VitKind::s}, methods::ibot_options());
template <class Encoder>
auto ibot(Encoder encoder, const IbotOptions& o = ibot_options()) {
    encoders::adjust(encoder, [](auto& net) {
        if constexpr (requires { net.mask_token; }) net.mask_token = true;
    });
    const auto base = dino(std::move(encoder), o);
    using losses::Weighted;
    const losses::Ibot patches{.temperature = o.temperature,
                               .target_temperature = base.recipe.loss.target_temperature,
                               .center_momentum = o.center_momentum,
                               .centering = base.recipe.loss.centering,
                               .blocks = {.probability = o.mask_probability, .ratio = {o.mask_low, o.mask_high}}};
    return with_recipe(base, "ibot",
                       with_loss(base.recipe, losses::Sum{Weighted{1.0, base.recipe.loss}, Weighted{o.patch_weight, patches},
                                                          Weighted{o.koleo, losses::Koleo{.weight = 1}}}));
}

}  // namespace doppel::methods
