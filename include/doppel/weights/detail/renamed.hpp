// SPDX-License-Identifier: Apache-2.0
// Names of encoders' tensors in other libraries, and what they are called here.
#pragma once

#include <doppel/core/tensor.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::weights::detail {

/// Who names an encoder's tensors.
enum class Naming {
    resnet,           ///< torchvision: conv1, bn1, layer1 …; lightly's ResNet too, whose downsample is called shortcut
    sequential,       ///< the children of such a network by number: 0, 1, 4.0.conv1 …
    timm,             ///< Vision Transformers of timm, DINO, DINOv2, MoCo v3
    torchvision_vit,  ///< conv_proj, encoder.layers.encoder_layer_0 …
};

struct Anchor {
    Naming naming = Naming::resnet;
    std::string prefix{};
};

using Tensors = std::map<std::string, Tensor>;

inline bool is_number(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

/// The part before the first dot.
inline std::string_view head_of(std::string_view name) { return name.substr(0, name.find('.')); }

/// The numbers of a Sequential's four stages, in order; empty for another module.
inline std::vector<std::string> stages_of(const Tensors& tensors, const std::string& prefix) {
    std::set<std::pair<std::size_t, std::string>> numbers;  // by length, then by digits
    for (auto at = tensors.lower_bound(prefix); at != tensors.end() && at->first.starts_with(prefix); ++at) {
        const std::string_view rest = std::string_view(at->first).substr(prefix.size());
        const auto number = head_of(rest);
        if (is_number(number) && rest.substr(number.size()) == ".0.conv1.weight") numbers.emplace(number.size(), number);
    }
    std::vector<std::string> stages;
    for (const auto& [size, number] : numbers) stages.push_back(number);
    return stages.size() == 4 ? stages : std::vector<std::string>();
}

/// The encoder whose first tensor `name` is, if it is one's.
inline std::optional<Anchor> anchor(const Tensors& tensors, const std::string& name) {
    const auto prefix = [&](std::string_view first) -> std::optional<std::string> {
        if (!name.ends_with(first)) return std::nullopt;
        auto rest = name.substr(0, name.size() - first.size());
        return rest.empty() || rest.ends_with('.') ? std::optional(rest) : std::nullopt;
    };
    const bool image_filter = tensors.at(name).dim() == 4;
    if (const auto p = prefix("conv1.weight"); p && image_filter && tensors.contains(*p + "bn1.weight") && tensors.contains(*p + "layer1.0.conv1.weight"))
        return Anchor{Naming::resnet, *p};
    if (const auto p = prefix("0.weight"); p && image_filter && tensors.contains(*p + "1.running_mean") && !stages_of(tensors, *p).empty())
        return Anchor{Naming::sequential, *p};
    if (const auto p = prefix("patch_embed.proj.weight");
        p && (tensors.contains(*p + "blocks.0.norm1.weight") || tensors.contains(*p + "blocks.0.0.norm1.weight")))
        return Anchor{Naming::timm, *p};
    if (const auto p = prefix("conv_proj.weight"); p && tensors.contains(*p + "encoder.layers.encoder_layer_0.ln_1.weight"))
        return Anchor{Naming::torchvision_vit, *p};
    return std::nullopt;
}

inline void replace(std::string& text, std::string_view from, std::string_view to) {
    if (const auto at = text.find(from); at != std::string::npos) text.replace(at, from.size(), to);
}

/// A name behind the prefix as it is called here; empty for a tensor that is no part of the encoder.
inline std::string renamed(Naming naming, std::string name, const std::vector<std::string>& stages) {
    const auto starts_with_any = [&](const auto& starts) {
        return std::any_of(starts.begin(), starts.end(), [&](std::string_view start) { return name.starts_with(start); });
    };
    if (naming == Naming::sequential) {
        const std::string number(head_of(name));
        const auto rest = name.substr(number.size());
        if (number == "0") return "conv1" + rest;
        if (number == "1") return "bn1" + rest;
        const auto stage = std::find(stages.begin(), stages.end(), number);
        if (stage == stages.end()) return {};
        name = "layer" + std::to_string(stage - stages.begin() + 1) + rest;
        naming = Naming::resnet;
    }
    if (naming == Naming::resnet) {
        static constexpr std::array<std::string_view, 6> parts{"conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4."};
        if (!starts_with_any(parts)) return {};
        replace(name, ".shortcut.", ".downsample.");
        return name;
    }
    if (naming == Naming::timm) {
        static constexpr std::array<std::string_view, 12> parts{"cls_token", "pos_embed", "mask_token", "patch_embed.", "blocks.", "norm.",
                                                                "fc_norm.", "reg_token", "register_tokens", "dist_token", "norm_pre.", "rel_pos"};
        if (!starts_with_any(parts)) return {};
        if (name.starts_with("blocks.")) {  // DINOv2 trains with blocks in chunks: blocks.CHUNK.BLOCK
            const std::string_view rest = std::string_view(name).substr(7), chunk = head_of(rest);
            const std::string_view behind = rest.size() > chunk.size() ? rest.substr(chunk.size() + 1) : "";
            if (is_number(head_of(behind))) name = "blocks." + std::string(behind);
        }
        return name;
    }
    static constexpr std::array<std::string_view, 3> parts{"class_token", "conv_proj.", "encoder."};
    if (!starts_with_any(parts)) return {};
    if (name == "class_token") return "cls_token";
    for (const auto& [from, to] : {std::pair("encoder.pos_embedding", "pos_embed"), {"conv_proj.", "patch_embed.proj."}, {"encoder.ln.", "norm."},
                                   {"encoder.layers.encoder_layer_", "blocks."}, {".ln_1.", ".norm1."}, {".ln_2.", ".norm2."},
                                   {".self_attention.in_proj_", ".attn.qkv."}, {".self_attention.out_proj.", ".attn.proj."},
                                   {".mlp.0.", ".mlp.fc1."}, {".mlp.3.", ".mlp.fc2."}, {".mlp.linear_1.", ".mlp.fc1."}, {".mlp.linear_2.", ".mlp.fc2."}})
        replace(name, from, to);
    return name;
}

/// Multiplies the learned scale of a block's branches (LayerScale) into the layers before it, which is the same function.
inline void fold_layer_scale(Tensors& tensors, std::vector<std::string>& notes) {
    bool folded = false;
    for (const auto& [scale, layer] : {std::pair("ls1.gamma", "attn.proj."), {"ls2.gamma", "mlp.fc2."}}) {
        const std::string end = std::string(".") + scale;
        for (auto at = tensors.begin(); at != tensors.end();) {
            if (!at->first.ends_with(end)) {
                ++at;
                continue;
            }
            const auto block = at->first.substr(0, at->first.size() - end.size() + 1);
            const auto weight = tensors.find(block + layer + "weight"), bias = tensors.find(block + layer + "bias");
            const Tensor gamma = at->second.to(at::kFloat);
            if (weight == tensors.end() || weight->second.dim() != 2 || weight->second.size(0) != gamma.numel()) {
                ++at;  // told as a tensor without a place
                continue;
            }
            weight->second = weight->second.to(at::kFloat) * gamma.reshape({-1, 1});
            if (bias != tensors.end()) bias->second = bias->second.to(at::kFloat) * gamma.reshape({-1});
            at = tensors.erase(at);
            folded = true;
        }
    }
    if (folded) notes.push_back("the learned scale of each branch (LayerScale) is multiplied into the weights of its last layer, which gives the same features");
}

/// The tensors of the encoder behind a prefix under their names here; the names of all others go to `left_aside`.
inline Tensors renamed(const Tensors& tensors, const Anchor& from, std::vector<std::string>& left_aside, std::vector<std::string>& notes) {
    const auto stages = from.naming == Naming::sequential ? stages_of(tensors, from.prefix) : std::vector<std::string>();
    Tensors result;
    for (const auto& [name, tensor] : tensors) {
        const auto own = name.starts_with(from.prefix) ? renamed(from.naming, name.substr(from.prefix.size()), stages) : std::string();
        if (own.empty())
            left_aside.push_back(name);
        else
            result[own] = tensor;
    }
    if (from.naming == Naming::timm) fold_layer_scale(result, notes);
    if (const auto token = result.find("mask_token"); token != result.end()) token->second = token->second.reshape({1, -1});
    return result;
}

}  // namespace doppel::weights::detail
