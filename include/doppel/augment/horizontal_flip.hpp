// SPDX-License-Identifier: Apache-2.0
// Random horizontal flip.
#pragma once

#include <doppel/augment/operation.hpp>
#include <doppel/core/random.hpp>
#include <doppel/image/flip.hpp>
#include <doppel/image/image.hpp>

#include <string>
#include <utility>

namespace doppel::augment {

/// Mirrors the image left to right.
struct HorizontalFlip {
    /// Probability, 0 … 1.
    double p = 0.5;

    void check() const { detail::require_probability("HorizontalFlip", p); }
    bool draw(random::Stream& stream) const { return stream.chance(p); }
    void apply(Image& image, bool flipped) const {
        if (flipped) image::flip(image);
    }
    void operator()(Image& image, random::Stream& stream) const { apply(image, draw(stream)); }
    std::string describe() const { return detail::called("horizontal_flip", std::pair("p", p)); }
};

static_assert(Operation<HorizontalFlip>);

}  // namespace doppel::augment
