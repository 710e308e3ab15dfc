// SPDX-License-Identifier: Apache-2.0
// Which output of an encoder is the feature of an image.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/encoders/module.hpp>

#include <ATen/ops/cat.h>

#include <charconv>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace doppel::eval {

/// The output of an encoder that is evaluated or written.
///
/// | kind | rows | encoders |
/// |---|---|---|
/// | `output` | [N, F], what the encoder returns | all |
/// | `class_tokens` | [N, blocks · D], the class tokens after each of the last `blocks` blocks, the earliest first | Vit |
/// | the same with `mean_patches` | [N, (blocks + 1) · D], then the mean of the patch tokens after the last block | Vit |
/// | `patches` | [N, P, F], the patch tokens after the last block, or the last feature map, row by row | Vit, ResNet |
///
/// All tokens are taken after the last LayerNorm. DINO evaluates 4 blocks (ViT-S), or 1 with the mean (ViT-B, where its code
/// interleaves the two), DINOv2 1 or 4, with and without the mean.
/// Source: Caron et al., DINO, 2021, arXiv:2104.14294, appendix F.2; Oquab et al., DINOv2, 2023, arXiv:2304.07193, section 7.1.
///
///     auto rows = eval::features(net, photos, pipeline, {.feature = eval::Feature::named("cls4")}).rows;
struct Feature {
    enum class Kind { output, class_tokens, patches };

    Kind kind = Kind::output;   ///< what the rows hold
    std::int64_t blocks = 1;    ///< class_tokens: last blocks whose class tokens are joined, ≥ 1
    bool mean_patches = false;  ///< class_tokens: append the mean of the patch tokens

    /// Returns the feature of a name: output, patches, cls1, cls4, cls4+mean, … (the number is that of the blocks).
    /// Throws Error for other names.
    static Feature named(std::string_view name) {
        if (name == "output") return {};
        if (name == "patches") return {.kind = Kind::patches};
        Feature feature{.kind = Kind::class_tokens};
        std::string_view rest = name;
        constexpr std::string_view mean = "+mean";
        if (rest.ends_with(mean)) {
            feature.mean_patches = true;
            rest.remove_suffix(mean.size());
        }
        const bool is_class = rest.starts_with("cls");
        if (is_class) rest.remove_prefix(3);
        const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), feature.blocks);
        require(is_class && error == std::errc{} && end == rest.data() + rest.size() && feature.blocks >= 1,
                "the feature must be output, patches, or the class tokens of the last blocks as cls1, cls4 or cls4+mean, got '",
                name, "'");
        return feature;
    }

    /// Returns the name that named() accepts.
    std::string name() const {
        if (kind == Kind::output) return "output";
        if (kind == Kind::patches) return "patches";
        return "cls" + std::to_string(blocks) + (mean_patches ? "+mean" : "");
    }

    /// Returns words for a report: "class tokens of the last 4 blocks and mean patch token".
    std::string title() const {
        if (kind == Kind::output) return "encoder output";
        if (kind == Kind::patches) return "patch features";
        return (blocks == 1 ? "class token of the last block" : "class tokens of the last " + std::to_string(blocks) + " blocks") +
               (mean_patches ? std::string(" and mean patch token") : "");
    }

    friend bool operator==(const Feature&, const Feature&) = default;
};

/// Returns a feature of images, in the encoder's mode. `forward` gives the encoder's output.
/// Throws Error if the encoder does not have the feature.
inline Tensor feature_of(torch::nn::Module& encoder, const std::function<Tensor(const Tensor&)>& forward,
                         const Tensor& images, const Feature& feature) {
    if (feature.kind == Feature::Kind::output) return forward(images);
    auto* shipped = dynamic_cast<encoders::Module*>(&encoder);
    require(shipped != nullptr, "features: a custom encoder has no feature '", feature.name(),
            "' unless it derives from encoders::Module; use 'output'");
    if (feature.kind == Feature::Kind::patches) return shipped->with_patches(images, {}).patches;
    const auto tokens = shipped->last_tokens(images, feature.blocks);
    std::vector<Tensor> parts;
    for (const Tensor& all : tokens) parts.push_back(all.select(1, 0));
    if (feature.mean_patches) parts.push_back(tokens.back().slice(1, 1).mean(1));
    return at::cat(parts, 1);
}

}  // namespace doppel::eval
