// SPDX-License-Identifier: Apache-2.0
// Learning rates that fall from the classifier to the images, for fine-tuning.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/optim/groups.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace doppel::optim {

namespace detail {

/// Returns the number in a parameter's path, counted from 1: 4 of "blocks.3.attn.proj.weight" and of
/// "encoder.layers.encoder_layer_3.ln_1.weight", 3 of "layer3.0.conv1.weight"; nothing where there is none.
inline std::optional<std::int64_t> layer_number(std::string_view name) {
    for (std::size_t at = 0; at < name.size();) {
        const auto end = std::min(name.find('.', at), name.size());
        auto part = name.substr(at, end - at);
        at = end + 1;
        std::int64_t first = 1;
        if (part.starts_with("encoder_layer_"))
            part.remove_prefix(14);
        else if (part.starts_with("layer"))
            part.remove_prefix(5), first = 0;
        std::int64_t number = 0;
        const auto [stop, error] = std::from_chars(part.data(), part.data() + part.size(), number);
        if (error == std::errc{} && stop == part.data() + part.size() && number >= 0) return number + first;
    }
    return std::nullopt;
}

}  // namespace detail

/// Returns the layer of each parameter of an encoder, by its name: 0 for what stands before the numbered layers (stem, patch
/// projection, class token, positions), 1, 2, … for the blocks of a Vision Transformer or the stages of a ResNet, and one
/// more than the last of these for what follows (the last LayerNorm). All 0 where no name has a number.
inline std::vector<std::int64_t> layers_of(const NamedParameters& encoder) {
    std::vector<std::int64_t> layers;
    std::int64_t most = 0;
    for (const auto& [name, parameter] : encoder)
        if (const auto number = detail::layer_number(name)) most = std::max(most, *number);
    std::int64_t seen = 0;
    for (const auto& [name, parameter] : encoder) {
        const auto number = detail::layer_number(name);
        seen = std::max(seen, number.value_or(0));
        layers.push_back(number.value_or(seen == 0 ? 0 : most + 1));
    }
    return layers;
}

/// Groups an encoder's and a classifier's parameters for fine-tuning. With n numbered layers, the learning rate of layer l
/// is multiplied by decay^(n + 1 − l), the classifier's by 1. Biases and normalization parameters do not decay.
/// Throws Error for a decay outside (0, 1], and for one below 1 where no parameter's name tells its layer.
/// Source: Bao et al., "BEiT", 2021, arXiv:2106.08254, and the fine-tuning of MAE (He et al., 2021, arXiv:2111.06377), for
/// Vision Transformers; stages of a ResNet in place of blocks are doppel's.
///
///     auto optimizer = optim::AdamW{}.build_groups(optim::layer_decay(encoder, classifier, 0.75, 0.05));
inline Groups layer_decay(const NamedParameters& encoder, const NamedParameters& classifier, double decay,
                          double weight_decay) {
    require(decay > 0 && decay <= 1, "layer_decay: the decay must be above 0 and at most 1, got ", decay);
    const auto layers = layers_of(encoder);
    std::int64_t numbered = 0;
    for (const auto& [name, parameter] : encoder) numbered = std::max(numbered, detail::layer_number(name).value_or(0));
    require(decay == 1 || numbered > 0,
            "layer_decay: no parameter's name tells its layer, as blocks.3.… or layer2.… do (the first is '",
            encoder.empty() ? "" : encoder.front().first, "'); give a decay of 1 for such an encoder");
    Groups groups;
    const auto add = [&](const std::pair<std::string, Tensor>& item, double scale) {
        const double own = is_norm_or_bias(item.second) ? 0 : weight_decay;
        auto same = std::find_if(groups.begin(), groups.end(), [&](const Group& group) {
            return group.lr_scale == scale && group.weight_decay == own;
        });
        if (same == groups.end())
            same = groups.insert(same, Group{.parameters = {}, .weight_decay = own, .lr_scale = scale});
        same->parameters.push_back(item);
    };
    for (std::size_t i = 0; i < encoder.size(); ++i)
        add(encoder[i], std::pow(decay, static_cast<double>(numbered + 1 - layers[i])));
    for (const auto& item : classifier) add(item, 1);
    return groups;
}

}  // namespace doppel::optim
