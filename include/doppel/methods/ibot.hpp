// SPDX-License-Identifier: Apache-2.0
// iBOT: DINO whose online network must also predict the target's output at patches that are masked from it; KoLeo on request.
#pragma once

#include <doppel/losses/ibot.hpp>
#include <doppel/losses/koleo.hpp>
#include <doppel/losses/weighted_sum.hpp>
#include <doppel/methods/dino.hpp>

namespace doppel::methods {

struct IbotDefaults : DinoDefaults {
    static constexpr std::int64_t epochs = 800, batch_size = 1024, out = 8192, temperature_epochs = 30;
    static constexpr double target_temperature = 0.07, min_scale = 0.25, local_max_scale = 0.25;
    static constexpr int locals = 10;
    static constexpr bool trained_gain = true;
};

/// Options of iBOT: DINO's, with the authors' values for a ViT-S/16 and 800 epochs, and those of the masks.
struct IbotOptions {
    DinoOptionsOf<IbotDefaults> dino{};
    double patch_weight = 1;
    double mask_probability = 0.5;
    double mask_low = 0.1;
    double mask_high = 0.5;
    std::int64_t smallest_block = 0;
    double koleo = 0;               ///< DINOv2: 0.1

    static constexpr auto fields() {
        using O = IbotOptions;
        using options::between;
        using options::field;
        return std::tuple(
            options::group(&O::dino), field(&O::patch_weight, "patch-weight", "weight of the masked patches' loss", between(0, 1000)),
            field(&O::mask_probability, "mask-probability", "share of the global views with masked patches", options::fraction),
            field(&O::mask_low, "mask-low", "smallest share of such a view's patches that is masked", options::fraction),
            field(&O::mask_high, "mask-high", "largest share of such a view's patches that is masked", options::fraction),
            field(&O::smallest_block, "smallest-block",
                  "patches of the smallest masked block; 0: the square of a third of the grid's shorter side", between(0, 1e6)),
            field(&O::koleo, "koleo", "weight of KoLeo, which spreads the features", between(0, 1000)));
    }
};

/// For images of about 32 px.
inline constexpr IbotOptions ibot_small{.dino = dino_vit_small_values<DinoOptionsOf<IbotDefaults>>(), .smallest_block = 4};

/// iBOT with `encoder`, a Vision Transformer, or one by name. One head for class tokens and patches.
/// Source: Zhou, Wei, Wang, Shen, Xie, Yuille, Kong, "iBOT: Image BERT Pre-Training with Online Tokenizer", 2021,
/// arXiv:2111.07832, and the authors' code and its README; KoLeo beside it: Oquab et al., "DINOv2", 2023, arXiv:2304.07193.
///
///     auto preset = methods::ibot(encoders::Vit{.kind = VitKind::s});
template <class Encoder>
auto ibot(Encoder encoder, const IbotOptions& o = {}) {
    encoders::adjust(encoder, [](auto& net) {
        if constexpr (requires { net.mask_token; }) net.mask_token = true;
    });
    const auto base = dino(std::move(encoder), o.dino);
    using losses::Weighted;
    const losses::Ibot patches{.temperature = o.dino.temperature,
                               .target_temperature = base.recipe.loss.target_temperature,
                               .center_momentum = o.dino.center_momentum,
                               .centering = base.recipe.loss.centering,
                               .blocks = {.probability = o.mask_probability,
                                          .ratio = {o.mask_low, o.mask_high},
                                          .smallest = o.smallest_block}};
    auto preset = base.with_loss("ibot", losses::Sum{Weighted{1.0, base.recipe.loss}, Weighted{o.patch_weight, patches},
                                                     Weighted{o.koleo, losses::Koleo{.weight = 1}}});
    preset.options = options::to_json(o);
    return preset;
}

}  // namespace doppel::methods
