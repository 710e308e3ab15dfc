// SPDX-License-Identifier: Apache-2.0
// Where a Vision Transformer looks: attention maps as numbers and as pictures.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/random.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/encoders/vit.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/image/image.hpp>
#include <doppel/recipe/any_method.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace doppel::eval {

/// True when the encoder is a Vision Transformer, so that attention() can be asked.
inline bool has_attention(const AnyMethod& method, Network network = Network::online) {
    return std::dynamic_pointer_cast<encoders::VitModuleImpl>(method.encoder(network)) != nullptr;
}

/// What the class token of the last block takes from each patch of some un-augmented images: [n, heads, rows, columns],
/// float32 on the CPU, each map divided by its sum. Evaluation mode, no gradient, no change to the method.
/// Throws Error for an encoder that is no Vision Transformer.
/// Source: Caron et al., DINO, 2021, arXiv:2104.14294, section 4.2.2.
///
///     Tensor maps = eval::attention(method, images, views.plain, {0, 1, 2}, Network::target);
inline Tensor attention(const AnyMethod& method, const data::Dataset& images, const augment::Pipeline& plain,
                        const std::vector<std::int64_t>& which, Network network = Network::online) {
    const auto vit = std::dynamic_pointer_cast<encoders::VitModuleImpl>(method.encoder(network));
    require(vit != nullptr, "attention: the encoder is no Vision Transformer; only those have attention maps");
    require(!which.empty(), "attention: needs at least one image");
    const at::NoGradGuard no_grad;
    const EvaluationMode scope(*vit);
    const at::Device device = vit->parameters().front().device();
    const Autocast float32(device.type(), Precision::fp32);
    const auto grid = vit->grid(plain.size(), plain.size());
    std::vector<Tensor> parts;
    constexpr std::size_t at_once = 64;
    for (std::size_t from = 0; from < which.size(); from += at_once) {
        const std::size_t count = std::min(at_once, which.size() - from);
        const Tensor batch = at::empty({static_cast<std::int64_t>(count), plain.channels(), plain.size(), plain.size()});
        for (std::size_t i = 0; i < count; ++i)
            plain(images.image(which[from + i]), random::Stream({}),
                  std::span<float>(batch.mutable_data_ptr<float>() + i * plain.values(), plain.values()));
        const Tensor maps = vit->attention(batch.to(device)).to(at::kFloat).cpu();  // [n, heads, N]
        parts.push_back((maps / maps.sum(2, true).clamp_min(1e-12)).unflatten(2, {grid.rows, grid.columns}));
    }
    return at::cat(parts);
}

/// The objects' share of each patch: [n, rows, columns] between 0 and 1, of a data set that has masks.
inline Tensor patch_masks(const data::Dataset& images, const augment::Pipeline& plain, const std::vector<std::int64_t>& which,
                          std::int64_t rows, std::int64_t columns) {
    const std::int64_t size = plain.size();
    require(rows >= 1 && columns >= 1 && size % rows == 0 && size % columns == 0, "patch_masks: ", rows, " x ", columns,
            " patches must cut views of ", size, " px evenly");
    std::vector<Tensor> parts;
    for (const std::int64_t i : which) {
        const Image seen = plain.render(images.mask(i), random::Stream({}));
        const Tensor pixels = at::empty({size, size});
        for (std::size_t p = 0; p < static_cast<std::size_t>(size * size); ++p)
            pixels.mutable_data_ptr<float>()[p] =
                static_cast<float>(seen.pixels[p * static_cast<std::size_t>(seen.channels)]) / 255.0f;
        parts.push_back(pixels.view({rows, size / rows, columns, size / columns}).mean({1, 3}));
    }
    return at::stack(parts);
}

/// How much of the attention falls on the objects: Σ map · mask over the patches, mean over the images, of the head with
/// the most. Attention that is the same everywhere gives the objects' share of the images.
/// maps: [n, heads, rows, columns], each with sum 1; masks: [n, rows, columns].
inline double attention_on_objects(const Tensor& maps, const Tensor& masks) {
    require(maps.dim() == 4 && masks.dim() == 3 && masks.size(0) == maps.size(0) && masks.size(1) == maps.size(2) &&
                masks.size(2) == maps.size(3),
            "attention_on_objects: maps must be [n, heads, rows, columns] and masks [n, rows, columns], got ", maps.sizes(),
            " and ", masks.sizes());
    return (maps * masks.unsqueeze(1)).sum({2, 3}).mean(0).max().item<double>();
}

/// A map [rows, columns] over an image: the image in gray where little is taken, glowing where much is; brightest at the
/// map's largest value.
inline Image attention_picture(const Image& image, const Tensor& map) {
    require(map.dim() == 2 && map.numel() > 0, "attention_picture: the map must be [rows, columns], got ", map.sizes());
    const Tensor large = at::upsample_bilinear2d((map / map.max().clamp_min(1e-12)).to(at::kFloat).unsqueeze(0).unsqueeze(0),
                                                 {image.height, image.width}, /*align_corners=*/false)
                             .contiguous();
    const float* heat = large.const_data_ptr<float>();
    Image result(image.width, image.height, 3);
    for (int y = 0; y < image.height; ++y)
        for (int x = 0; x < image.width; ++x) {
            const auto* from = image.at(x, y);
            const float gray = image.channels == 1 ? static_cast<float>(from[0])
                                                   : static_cast<float>(from[0] * 299 + from[1] * 587 + from[2] * 114) / 1000;
            const float h = std::clamp(*heat++, 0.0f, 1.0f);
            auto* to = result.at(x, y);
            for (int c = 0; c < 3; ++c) {
                const float glow = 255 * std::clamp(3 * h - static_cast<float>(c), 0.0f, 1.0f);  // black, red, yellow, white
                to[c] = static_cast<std::uint8_t>(0.45f * gray + 0.55f * glow);
            }
        }
    return result;
}

/// Images in rows of one height, with `gap` white pixels between: what write_png() takes.
inline Image sheet(const std::vector<std::vector<Image>>& rows, int gap = 4) {
    require(!rows.empty() && !rows.front().empty(), "sheet: needs at least one image");
    const int w = rows.front().front().width, h = rows.front().front().height;
    std::size_t columns = 0;
    for (const auto& row : rows) columns = std::max(columns, row.size());
    Image all(static_cast<int>(columns) * (w + gap) - gap, static_cast<int>(rows.size()) * (h + gap) - gap, 3);
    std::fill(all.pixels.begin(), all.pixels.end(), std::uint8_t{255});
    for (std::size_t r = 0; r < rows.size(); ++r)
        for (std::size_t c = 0; c < rows[r].size(); ++c) {
            const Image& part = rows[r][c];
            require(part.width == w && part.height == h, "sheet: images must be ", w, " x ", h, ", got ", part.width, " x ",
                    part.height);
            for (int y = 0; y < h; ++y)
                for (int x = 0; x < w; ++x)
                    for (int k = 0; k < 3; ++k)
                        all.at(static_cast<int>(c) * (w + gap) + x, static_cast<int>(r) * (h + gap) + y)[k] =
                            part.at(x, y)[part.channels == 1 ? 0 : k];
        }
    return all;
}

}  // namespace doppel::eval
