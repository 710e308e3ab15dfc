// SPDX-License-Identifier: Apache-2.0
// Random solarization.
#pragma once

#include <doppel/augment/operation.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/random.hpp>
#include <doppel/image/color.hpp>
#include <doppel/image/image.hpp>

#include <string>
#include <utility>

namespace doppel::augment {

/// Inverts the pixels at or above the threshold.
struct Solarize {
    /// Probability, 0 … 1; 0.2 in BYOL's second view.
    double p = 0.2;
    /// Level, 0 … 256 (256 inverts nothing).
    int threshold = 128;

    void check() const {
        detail::require_probability("Solarize", p);
        require(threshold >= 0 && threshold <= 256, "Solarize: threshold must be in [0, 256], got ", threshold);
    }
    bool draw(random::Stream& stream) const { return stream.chance(p); }
    void apply(Image& image, bool inverted) const {
        if (inverted) image::solarize(image, threshold);
    }
    void operator()(Image& image, random::Stream& stream) const { apply(image, draw(stream)); }
    std::string describe() const {
        return detail::called("solarize", std::pair("p", p), std::pair("threshold", threshold));
    }
};

static_assert(Operation<Solarize>);

}  // namespace doppel::augment
