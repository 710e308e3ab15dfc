// SPDX-License-Identifier: Apache-2.0
// Operations that change pixel values: color jitter, grayscale, blur, solarize.
#pragma once

#include <doppel/augment/operation.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/random.hpp>
#include <doppel/image/blur.hpp>
#include <doppel/image/color.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

namespace doppel::augment {

/// One of the four parts of a color jitter.
enum class Jitter { brightness, contrast, saturation, hue };

/// What a ColorJitter does to one image: each part's factor (hue: turns; nothing: not changed), in this order.
struct JitterParameters {
    std::array<Jitter, 4> order{Jitter::brightness, Jitter::contrast, Jitter::saturation, Jitter::hue};
    std::optional<double> brightness{}, contrast{}, saturation{}, hue{};
};

/// Brightness, contrast and saturation by factors U[max(0, 1 − x), 1 + x], hue turned by U[−h, h] of the circle,
/// the four in random order; with probability p all, else none. torchvision's ColorJitter on Pillow images.
/// An option of 0 leaves its part out. One-channel images: saturation and hue change nothing.
struct ColorJitter {
    /// Half-width of the brightness factor, ≥ 0; 0.4 in the papers at ImageNet size (SimCLR 0.8).
    double brightness = 0.4;
    /// Half-width of the contrast factor, ≥ 0.
    double contrast = 0.4;
    /// Half-width of the saturation factor, ≥ 0.
    double saturation = 0.4;
    /// Largest turn of the hue, 0 … 0.5 of the circle.
    double hue = 0.1;
    /// Probability of the whole, 0 … 1.
    double p = 0.8;

    void check() const {
        detail::require_probability("ColorJitter", p);
        require(brightness >= 0 && contrast >= 0 && saturation >= 0,
                "ColorJitter: brightness, contrast and saturation must be >= 0, got ", brightness, ", ", contrast, ", ",
                saturation);
        require(hue >= 0 && hue <= 0.5, "ColorJitter: hue must be in [0, 0.5], got ", hue);
    }

    /// Nothing with probability 1 − p.
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

/// Every channel becomes the ITU-R 601 luma; the number of channels stays.
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

/// Gaussian blur with σ ~ U(sigma).
struct GaussianBlur {
    /// Probability, 0 … 1; the papers' 0.5 at ImageNet size, 0 at 32 px.
    double p = 0.5;
    /// Standard deviation in pixels, 0 ≤ low ≤ high ≤ 1000.
    Range sigma{0.1, 2.0};
    /// The sampled Gaussian, or Pillow's approximation of it by boxes (what the papers' torch code runs).
    image::Blur kind = image::Blur::gaussian;

    void check() const {
        detail::require_probability("GaussianBlur", p);
        require(sigma.low >= 0 && sigma.low <= sigma.high && sigma.high <= 1000,
                "GaussianBlur: sigma must be 0 <= low <= high <= 1000 pixels, got [", sigma.low, ", ", sigma.high, "]");
    }
    /// σ, or nothing with probability 1 − p.
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

/// Inverts the pixels at or above the threshold.
struct Solarize {
    /// Probability, 0 … 1; BYOL's second view 0.2.
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

static_assert(Operation<ColorJitter> && Operation<Grayscale> && Operation<GaussianBlur> && Operation<Solarize>);

}  // namespace doppel::augment
