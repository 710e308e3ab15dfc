// SPDX-License-Identifier: Apache-2.0
// Random resized crop.
#pragma once

#include <doppel/augment/operation.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/random.hpp>
#include <doppel/image/crop.hpp>
#include <doppel/image/image.hpp>
#include <doppel/image/resize.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>

namespace doppel::augment {

/// Crops a random part of the image and resizes it to size × size: area U(scale) of the image's, width / height
/// log-uniform in `ratio`; after 10 tries that do not fit, the largest centered part with a ratio in range. As in
/// torchvision.
/// Source: Szegedy et al., "Going deeper with convolutions", 2014 (arXiv:1409.4842), section 6.
struct RandomResizedCrop {
    /// Side of the result in pixels, ≥ 1.
    int size = 224;
    /// Part of the image's area, 0 < low ≤ high; SimCLR 0.08 … 1, MoCo 0.2 … 1.
    Range scale{0.08, 1};
    /// Width over height, 0 < low ≤ high.
    Range ratio{3 / 4., 4 / 3.};
    /// Kernel of the resize.
    image::Filter filter = image::Filter::bilinear;

    void check() const {
        detail::require_size("RandomResizedCrop", size);
        require(scale.low > 0 && scale.low <= scale.high, "RandomResizedCrop: scale must be 0 < low <= high, got [",
                scale.low, ", ", scale.high, "]");
        require(ratio.low > 0 && ratio.low <= ratio.high, "RandomResizedCrop: ratio must be 0 < low <= high, got [",
                ratio.low, ", ", ratio.high, "]");
    }

    /// Draws the part of a width × height image.
    image::Rect draw(random::Stream& stream, int width, int height) const {
        const double area = static_cast<double>(width) * height;
        const double low = std::log(ratio.low), high = std::log(ratio.high);
        for (int attempt = 0; attempt < 10; ++attempt) {
            const double target = area * stream.uniform(scale.low, scale.high);
            const double aspect = std::exp(stream.uniform(low, high));
            const double w = std::nearbyint(std::sqrt(target * aspect)), h = std::nearbyint(std::sqrt(target / aspect));
            if (w < 1 || h < 1 || w > width || h > height) continue;
            const auto upto = [&](double n) {
                return static_cast<int>(stream.below(static_cast<std::uint64_t>(n) + 1));
            };
            const int top = upto(height - h), left = upto(width - w);
            return {left, top, static_cast<int>(w), static_cast<int>(h)};
        }
        const double aspect = static_cast<double>(width) / height;
        int w = width, h = height;
        if (aspect < ratio.low) h = std::clamp(static_cast<int>(std::nearbyint(w / ratio.low)), 1, height);
        if (aspect > ratio.high) w = std::clamp(static_cast<int>(std::nearbyint(h * ratio.high)), 1, width);
        return {(width - w) / 2, (height - h) / 2, w, h};
    }

    Image apply(const Image& source, const image::Rect& part) const {
        return image::resized_crop(source, part, size, size, filter);
    }
    Image made_from(const Image& source, random::Stream& stream) const {
        return apply(source, draw(stream, source.width, source.height));
    }
    void operator()(Image& image, random::Stream& stream) const { image = made_from(image, stream); }
    std::string describe() const {
        return detail::called("random_resized_crop", std::pair("size", size), std::pair("scale", scale),
                              std::pair("ratio", ratio), std::pair("filter", name_of(filter)));
    }
};

static_assert(Operation<RandomResizedCrop>);

}  // namespace doppel::augment
