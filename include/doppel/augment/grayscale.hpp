// SPDX-License-Identifier: Apache-2.0
// Random grayscale.
#pragma once

#include <doppel/augment/operation.hpp>
#include <doppel/core/random.hpp>
#include <doppel/image/color.hpp>
#include <doppel/image/image.hpp>

#include <string>
#include <utility>

namespace doppel::augment {

/// Sets every channel to the ITU-R 601 luma; keeps the number of channels.
struct Grayscale {
    /// Probability, 0 … 1; the papers' 0.2.
    double p = 0.2;

    void check() const { detail::require_probability("Grayscale", p); }
    bool draw(random::Stream& stream) const { return stream.chance(p); }
    void apply(Image& image, bool gray) const {
        if (gray) image::grayscale(image);
    }
    void operator()(Image& image, random::Stream& stream) const { apply(image, draw(stream)); }
    std::string describe() const { return detail::called("grayscale", std::pair("p", p)); }
};

static_assert(Operation<Grayscale>);

}  // namespace doppel::augment
