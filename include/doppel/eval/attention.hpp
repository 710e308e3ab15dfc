// SPDX-License-Identifier: Apache-2.0
// Attention maps of Vision Transformers.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/random.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/encoders/vit.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace doppel::eval {

/// Returns whether the encoder is a Vision Transformer, so that attention() may be called.
inline bool has_attention(const torch::nn::Module& encoder) { return dynamic_cast<const encoders::VitModuleImpl*>(&encoder) != nullptr; }

/// Returns the attention of the class token over the patches in the last block, for the un-augmented images at `which`:
/// [n, heads, rows, columns], float32 on the CPU, each map divided by its sum. Evaluation mode, no gradient, no change
/// to the encoder.
/// Throws Error if the encoder is not a Vision Transformer.
/// Source: Caron et al., DINO, 2021, arXiv:2104.14294, section 4.2.2.
///
///     Tensor maps = eval::attention(*method.encoder(Network::target), images, views.eval, {0, 1, 2});
inline Tensor attention(torch::nn::Module& encoder, const data::Dataset& images, const augment::Pipeline& eval_view,
                        const std::vector<std::int64_t>& which) {
    auto* vit = dynamic_cast<encoders::VitModuleImpl*>(&encoder);
    require(vit != nullptr, "attention: the encoder is not a Vision Transformer, which attention maps need");
    require(!which.empty(), "attention: needs at least one image");
    const at::NoGradGuard no_grad;
    const EvaluationMode scope(*vit);
    const at::Device device = vit->parameters().front().device();
    const Autocast float32(device.type(), Precision::fp32);
    const auto grid = vit->grid(eval_view.size(), eval_view.size());
    std::vector<Tensor> parts;
    constexpr std::size_t at_once = 64;
    for (std::size_t from = 0; from < which.size(); from += at_once) {
        const std::size_t count = std::min(at_once, which.size() - from);
        const Tensor batch =
            at::empty({static_cast<std::int64_t>(count), eval_view.channels(), eval_view.size(), eval_view.size()});
        for (std::size_t i = 0; i < count; ++i)
            eval_view(images.image(which[from + i]), random::Stream({}),
                  std::span<float>(batch.mutable_data_ptr<float>() + i * eval_view.values(), eval_view.values()));
        const Tensor maps = vit->attention(batch.to(device)).to(at::kFloat).cpu();  // [n, heads, N]
        parts.push_back((maps / maps.sum(2, true).clamp_min(1e-12)).unflatten(2, {grid.rows, grid.columns}));
    }
    return at::cat(parts);
}

/// Returns the share of each patch that objects cover: [n, rows, columns], 0 to 1, for a data set with masks.
inline Tensor patch_masks(const data::Dataset& images, const augment::Pipeline& eval_view,
                          const std::vector<std::int64_t>& which, std::int64_t rows, std::int64_t columns) {
    const std::int64_t size = eval_view.size();
    require(rows >= 1 && columns >= 1 && size % rows == 0 && size % columns == 0, "patch_masks: ", rows, " x ", columns,
            " patches must divide views of ", size, " px evenly");
    std::vector<Tensor> parts;
    for (const std::int64_t i : which) {
        const Image seen = eval_view.render(images.mask(i), random::Stream({}));
        const Tensor pixels = at::empty({size, size});
        for (std::size_t p = 0; p < static_cast<std::size_t>(size * size); ++p)
            pixels.mutable_data_ptr<float>()[p] =
                static_cast<float>(seen.pixels[p * static_cast<std::size_t>(seen.channels)]) / 255.0f;
        parts.push_back(pixels.view({rows, size / rows, columns, size / columns}).mean({1, 3}));
    }
    return at::stack(parts);
}

/// Returns the share of attention on objects: Σ map · mask over the patches, mean over the images, for the best head.
/// Uniform attention yields the share of the images that objects cover.
/// maps: [n, heads, rows, columns], each with sum 1; masks: [n, rows, columns].
inline double attention_on_objects(const Tensor& maps, const Tensor& masks) {
    require(maps.dim() == 4 && masks.dim() == 3 && masks.size(0) == maps.size(0) && masks.size(1) == maps.size(2) &&
                masks.size(2) == maps.size(3),
            "attention_on_objects: maps must be [n, heads, rows, columns] and masks [n, rows, columns], got ",
            maps.sizes(), " and ", masks.sizes());
    return (maps * masks.unsqueeze(1)).sum({2, 3}).mean(0).max().item<double>();
}

}  // namespace doppel::eval
