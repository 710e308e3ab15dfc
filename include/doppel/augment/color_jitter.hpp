// SPDX-License-Identifier: Apache-2.0
// Color jitter: brightness, contrast, saturation, hue.
#pragma once

#include <doppel/augment/operation.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/random.hpp>
#include <doppel/image/color.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

namespace doppel::augment {

/// The four adjustments of a color jitter.
enum class Jitter { brightness, contrast, saturation, hue };

/// The adjustments of one image: a factor each (hue: turns; empty: unchanged), applied in `order`.
struct JitterParameters {
    std::array<Jitter, 4> order{Jitter::brightness, Jitter::contrast, Jitter::saturation, Jitter::hue};
    std::optional<double> brightness{}, contrast{}, saturation{}, hue{};
};

/// Random brightness, contrast and saturation with factors U[max(0, 1 − x), 1 + x], and hue rotated by U[−h, h] of the
/// circle, in random order; with probability p all four, else none. As torchvision's ColorJitter on Pillow images.
/// An option of 0 disables its adjustment. Saturation and hue do not change one-channel images.
struct ColorJitter {
    /// Half-width of the brightness factor, ≥ 0; 0.4 in the papers at ImageNet size (SimCLR 0.8).
    double brightness = 0.4;
    /// Half-width of the contrast factor, ≥ 0.
    double contrast = 0.4;
    /// Half-width of the saturation factor, ≥ 0.
    double saturation = 0.4;
    /// Largest rotation of the hue, 0 … 0.5 of the circle.
    double hue = 0.1;
    /// Probability of the jitter, 0 … 1.
    double p = 0.8;

    void check() const {
        detail::require_probability("ColorJitter", p);
        require(brightness >= 0 && contrast >= 0 && saturation >= 0,
                "ColorJitter: brightness, contrast and saturation must be >= 0, got ", brightness, ", ", contrast, ", ",
                saturation);
        require(hue >= 0 && hue <= 0.5, "ColorJitter: hue must be in [0, 0.5], got ", hue);
    }

    /// Draws the adjustments; nothing with probability 1 − p.
    std::optional<JitterParameters> draw(random::Stream& stream) const {
        if (!stream.chance(p)) return std::nullopt;
        JitterParameters drawn;
        stream.shuffle(drawn.order);
        const auto factor = [&](double x) {
            return x > 0 ? std::optional(stream.uniform(std::max(0.0, 1 - x), 1 + x)) : std::nullopt;
        };
        drawn.brightness = factor(brightness);
        drawn.contrast = factor(contrast);
        drawn.saturation = factor(saturation);
        if (hue > 0) drawn.hue = stream.uniform(-hue, hue);
        return drawn;
    }

    void apply(Image& image, const std::optional<JitterParameters>& drawn) const {
        if (!drawn) return;
        for (const Jitter part : drawn->order) {
            if (part == Jitter::brightness && drawn->brightness) image::brightness(image, *drawn->brightness);
            if (part == Jitter::contrast && drawn->contrast) image::contrast(image, *drawn->contrast);
            if (part == Jitter::saturation && drawn->saturation) image::saturation(image, *drawn->saturation);
            if (part == Jitter::hue && drawn->hue) image::hue(image, *drawn->hue);
        }
    }
    void operator()(Image& image, random::Stream& stream) const { apply(image, draw(stream)); }
    std::string describe() const {
        return detail::called("color_jitter", std::pair("brightness", brightness), std::pair("contrast", contrast),
                              std::pair("saturation", saturation), std::pair("hue", hue), std::pair("p", p));
    }
};

static_assert(Operation<ColorJitter>);

}  // namespace doppel::augment
