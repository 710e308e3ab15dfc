// SPDX-License-Identifier: Apache-2.0
// Pictures of patch features: what a network sees alike has one color.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/eval/pca.hpp>
#include <doppel/image/image.hpp>

#include <ATen/ops/full_like.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <tuple>
#include <vector>

namespace doppel::eval {

/// Pictures of several images whose colors mean the same in all of them.
struct FeaturePictures {
    std::vector<Image> images{};  ///< one per image, RGB
    double share = 0;             ///< share of the features' variance that the three components hold, 0 to 1
};

/// Returns pictures of the patch features of images: their first three principal components as red, green and blue.
///
/// The components are those of all patches of all images, so that a color means the same in each picture. Each component
/// runs from 0 at its 1st percentile to 255 at its 99th; one without variance is 128. A patch is a rectangle of one
/// color: nothing is interpolated.
/// Shapes: patches [n, rows, columns, F], any floating type and device; n · rows · columns and F at least 3. A
/// convolutional network's map [n, F, rows, columns] comes by permute({0, 2, 3, 1}).
/// Throws Error for other shapes and types, NaN, infinity, and pictures smaller than the grid.
/// Source: Oquab et al., "DINOv2", 2023, arXiv:2304.07193, section 7.7, without its separation of the background.
///
///     auto pictures = eval::feature_pictures(patches, 224, 224);
inline FeaturePictures feature_pictures(const Tensor& patches, int height, int width) {
    const at::NoGradGuard no_grad;
    require(patches.defined() && patches.dim() == 4 && patches.numel() > 0,
            "feature_pictures: patches must be [n, rows, columns, features] and not empty, got ",
            patches.defined() ? patches.sizes() : at::IntArrayRef{});
    const std::int64_t rows = patches.size(1), columns = patches.size(2);
    require(height >= rows && width >= columns, "feature_pictures: pictures must have at least a pixel per patch, ", columns, " x ",
            rows, ", got ", width, " x ", height);
    const Tensor flat = patches.flatten(0, 2);  // [n · rows · columns, F]
    require(flat.size(0) >= 3 && flat.size(1) >= 3, "feature_pictures: needs at least 3 patches of 3 features, got ", flat.size(0),
            " of ", flat.size(1));
    const Pca pca = fit_pca(flat, 3);
    const Tensor values = pca.project(flat).cpu();  // [n · rows · columns, 3]
    const Tensor sorted = std::get<0>(values.sort(0));
    const auto percentile = [&](double share) { return sorted.select(0, std::llround(share * static_cast<double>(values.size(0) - 1))); };
    const Tensor low = percentile(0.01), range = percentile(0.99) - low;  // [3]
    const Tensor color = at::where(range > 0, (values - low) / range, at::full_like(values, 0.5));
    const Tensor bytes = (color.clamp(0, 1) * 255).round().to(at::kByte).view({patches.size(0), rows, columns, 3}).contiguous();

    FeaturePictures result{.images = {}, .share = pca.share()};
    for (std::int64_t i = 0; i < patches.size(0); ++i) {
        const auto* grid = bytes[i].const_data_ptr<std::uint8_t>();
        auto& image = result.images.emplace_back(width, height, 3);
        for (int y = 0; y < height; ++y)
            for (int x = 0; x < width; ++x) std::copy_n(grid + (y * rows / height * columns + x * columns / width) * 3, 3, image.at(x, y));
    }
    return result;
}

}  // namespace doppel::eval
