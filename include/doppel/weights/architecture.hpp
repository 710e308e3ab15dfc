// SPDX-License-Identifier: Apache-2.0
// An encoder's architecture from the shapes of its tensors.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/encoders/by_name.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/encoders/vit.hpp>
#include <doppel/weights/names.hpp>
#include <doppel/weights/preprocessing.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace doppel::weights {

namespace detail {

/// How many of PREFIX0., PREFIX1., … there are.
inline std::int64_t count_of(const Tensors& tensors, const std::string& prefix) {
    for (std::int64_t i = 0;; ++i) {
        const auto name = prefix + std::to_string(i) + '.';
        const auto at = tensors.lower_bound(name);
        if (at == tensors.end() || !at->first.starts_with(name)) return i;
    }
}

/// A tensor with as many dimensions. Throws Error without it.
inline const Tensor& tensor_of(const Tensors& tensors, const std::string& name, std::int64_t dimensions, const std::string& who) {
    const auto found = tensors.find(name);
    require(found != tensors.end(), who, ": has no tensor ", name, ", which the encoder needs");
    require(found->second.dim() == dimensions, who, ": ", name, " has the shape ", found->second.sizes(), ", expected ", dimensions, " dimensions");
    return found->second;
}

inline encoders::ResNet resnet_of(NamedEncoder& found, const Metadata& metadata, const std::string& who) {
    const auto& tensors = found.tensors;
    std::array<std::int64_t, 4> blocks{};
    std::string counts;
    for (std::size_t s = 0; s < 4; ++s) {
        blocks[s] = count_of(tensors, "layer" + std::to_string(s + 1) + '.');
        counts += (s ? ", " : "") + std::to_string(blocks[s]);
    }
    const Tensor& first = tensor_of(tensors, "conv1.weight", 4, who);
    const bool bottlenecks = tensors.contains("layer1.0.conv3.weight");
    encoders::ResNet net{.depth = 0, .channels = first.size(1)};
    for (const std::int64_t depth : {18, 34, 50, 101})
        if (const encoders::ResNet one{.depth = depth}; one.blocks() == blocks && one.has_bottlenecks() == bottlenecks) net.depth = depth;
    require(net.depth != 0, who, ": a ResNet with ", counts, bottlenecks ? " bottleneck blocks" : " blocks",
            " in its four stages; doppel has 18, 34, 50 and 101 layers");
    const std::int64_t base = first.size(0), inner = tensor_of(tensors, "layer1.0.conv2.weight", 4, who).size(0);
    const Tensor& grouped = tensor_of(tensors, "layer1.0.conv2.weight", 4, who);
    require(base % 8 == 0 && base >= 8 && inner == base && grouped.size(1) == base, who, ": its blocks have inner convolutions of ", inner, " channels (",
            grouped.size(1), " a group) behind a stem of ", base,
            "; doppel's ResNets have as many in every layer of the first stage, and no groups (ResNeXt and wide_resnet do)");
    net.width = static_cast<double>(base) / 64;
    const auto stem = metadata.find("stem");
    if (stem != metadata.end()) {
        const std::array all{Stem::imagenet, Stem::cifar, Stem::strided};
        const auto named = std::find_if(all.begin(), all.end(), [&](Stem one) { return name_of(one) == stem->second; });
        require(named != all.end(), who, ": the metadata entry stem is '", stem->second, "', expected imagenet, cifar or strided");
        net.stem = *named;
    } else if (first.size(2) == 3) {
        net.stem = Stem::cifar;
        found.notes.push_back("a first convolution of 3x3: taken as the cifar stem (stride 1, no pooling); the file does not tell its stride");
    }
    return net;
}

/// The side of the grid of position embeddings [1, 1 + side², D]; 0 for others.
inline std::int64_t grid_side(const Tensor& positions) {
    if (positions.dim() != 3 || positions.size(0) != 1 || positions.size(1) < 2) return 0;
    const auto side = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(positions.size(1) - 1))));
    return side * side == positions.size(1) - 1 ? side : 0;
}

inline encoders::Vit vit_of(const NamedEncoder& found, const Metadata& metadata, const std::string& who) {
    const auto& tensors = found.tensors;
    const Tensor& patches = tensor_of(tensors, "patch_embed.proj.weight", 4, who);
    const Tensor& positions = tensor_of(tensors, "pos_embed", 3, who);
    const std::int64_t side = grid_side(positions);
    require(side > 0, who, ": pos_embed has the shape ", positions.sizes(), ", expected [1, 1 + side², D]: a class token and a square grid of patches");
    encoders::Vit net{.patch = patches.size(2), .image_size = side * patches.size(2), .channels = patches.size(1)};
    net.dim = patches.size(0);
    net.depth = count_of(tensors, "blocks.");
    for (const VitKind kind : {VitKind::ti, VitKind::s, VitKind::b, VitKind::l})
        if (encoders::Vit{.kind = kind}.feature_dim() == net.dim) net.kind = kind;
    const Tensor& hidden = tensor_of(tensors, "blocks.0.mlp.fc1.weight", 2, who);
    net.mlp_ratio = static_cast<double>(hidden.size(0)) / static_cast<double>(net.dim);
    net.qkv_bias = tensors.contains("blocks.0.attn.qkv.bias");
    net.pool = tensors.contains("fc_norm.weight") && !tensors.contains("norm.weight") ? VitPool::avg : VitPool::token;
    net.mask_token = tensors.contains("mask_token");
    if (const auto heads = metadata.find("heads"); heads != metadata.end())
        net.heads = number_of<std::int64_t>(heads->second, who, "heads");
    else if (net.dim == 384 && found.origin.starts_with("MoCo v3"))
        net.heads = 12;
    else
        net.heads = net.dim == 1280 || net.dim == 1408 ? 16 : std::max<std::int64_t>(1, net.dim / 64);
    return net;
}

}  // namespace detail

/// Returns the architecture of a file's encoder: a ResNet's depth, width, stem and channels; a Vision Transformer's dimension,
/// depth, patch, grid, biases and pooling. What shapes do not tell comes from doppel's metadata (a 3×3 stem's stride, heads);
/// without them heads have 64 dimensions, as in timm (MoCo v3's small ones 32). Notes say what was assumed.
/// Throws Error for an architecture that doppel does not have, with what differs.
inline encoders::ByName architecture_of(NamedEncoder& found, const Metadata& metadata, const std::string& who) {
    if (found.is_vit()) {
        const auto net = detail::vit_of(found, metadata, who);
        net.resolved();
        return net;
    }
    return detail::resnet_of(found, metadata, who);
}

}  // namespace doppel::weights
