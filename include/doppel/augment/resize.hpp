// SPDX-License-Identifier: Apache-2.0
// Resize to a given short side.
#pragma once

#include <doppel/augment/operation.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/random.hpp>
#include <doppel/image/image.hpp>
#include <doppel/image/resize.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

namespace doppel::augment {

/// Resizes so that the short side has `size` pixels; keeps the aspect ratio (the long side is rounded down).
struct Resize {
    /// Short side of the result in pixels, ≥ 1.
    int size = 256;
    /// Kernel of the resize.
    image::Filter filter = image::Filter::bilinear;

    void check() const { detail::require_size("Resize", size); }
    /// Returns the size of the result.
    std::pair<int, int> result_of(const Image& source) const {
        const int shorter = std::min(source.width, source.height), longer = std::max(source.width, source.height);
        require(shorter > 0, "Resize: the image has no pixels");
        const int other = static_cast<int>(static_cast<double>(std::int64_t{size} * longer) / shorter);
        return source.width <= source.height ? std::pair(size, other) : std::pair(other, size);
    }
    Image apply(const Image& source) const {
        const auto [width, height] = result_of(source);
        return image::resize(source, width, height, filter);
    }
    Image made_from(const Image& source, random::Stream&) const { return apply(source); }
    void operator()(Image& image, random::Stream&) const { image = apply(image); }
    std::string describe() const {
        return detail::called("resize", std::pair("size", size), std::pair("filter", name_of(filter)));
    }
};

static_assert(Operation<Resize>);

}  // namespace doppel::augment
