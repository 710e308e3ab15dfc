// SPDX-License-Identifier: Apache-2.0
// Center crop.
#pragma once

#include <doppel/augment/operation.hpp>
#include <doppel/core/random.hpp>
#include <doppel/image/crop.hpp>
#include <doppel/image/image.hpp>

#include <string>
#include <utility>

namespace doppel::augment {

/// Crops the central size × size pixels, padded with black if the image is smaller.
struct CenterCrop {
    /// Side of the result in pixels, ≥ 1.
    int size = 224;

    void check() const { detail::require_size("CenterCrop", size); }
    Image apply(const Image& source) const { return image::center_crop(source, size, size); }
    Image made_from(const Image& source, random::Stream&) const { return apply(source); }
    void operator()(Image& image, random::Stream&) const { image = apply(image); }
    std::string describe() const { return detail::called("center_crop", std::pair("size", size)); }
};

static_assert(Operation<CenterCrop>);

}  // namespace doppel::augment
