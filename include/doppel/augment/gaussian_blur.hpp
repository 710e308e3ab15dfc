// SPDX-License-Identifier: Apache-2.0
// Random Gaussian blur.
#pragma once

#include <doppel/augment/operation.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/random.hpp>
#include <doppel/image/blur.hpp>
#include <doppel/image/image.hpp>

#include <optional>
#include <string>
#include <utility>

namespace doppel::augment {

/// Gaussian blur with σ ~ U(sigma).
struct GaussianBlur {
    /// Probability, 0 … 1; the papers' 0.5 at ImageNet size, 0 at 32 px.
    double p = 0.5;
    /// Standard deviation in pixels, 0 ≤ low ≤ high ≤ 1000.
    Range sigma{0.1, 2.0};
    /// A sampled Gaussian, or Pillow's approximation by box filters (used by the papers' torch code).
    image::Blur kind = image::Blur::gaussian;

    void check() const {
        detail::require_probability("GaussianBlur", p);
        require(sigma.low >= 0 && sigma.low <= sigma.high && sigma.high <= 1000,
                "GaussianBlur: sigma must be 0 <= low <= high <= 1000 pixels, got [", sigma.low, ", ", sigma.high, "]");
    }
    /// Draws σ; nothing with probability 1 − p.
    std::optional<double> draw(random::Stream& stream) const {
        return stream.chance(p) ? std::optional(stream.uniform(sigma.low, sigma.high)) : std::nullopt;
    }
    void apply(Image& image, std::optional<double> drawn) const {
        if (drawn) image::gaussian_blur(image, *drawn, kind);
    }
    void operator()(Image& image, random::Stream& stream) const { apply(image, draw(stream)); }
    std::string describe() const {
        return detail::called("gaussian_blur", std::pair("p", p), std::pair("sigma", sigma),
                              std::pair("kind", name_of(kind)));
    }
};

static_assert(Operation<GaussianBlur>);

}  // namespace doppel::augment
