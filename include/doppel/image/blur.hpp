// SPDX-License-Identifier: Apache-2.0
// Gaussian blur of 8-bit images: a sampled Gaussian, or Pillow's three box filters.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace doppel::image {

/// The implementation of a blur with standard deviation σ in pixels.
///
/// gaussian: weights exp(−x²/2σ²) at integer x, |x| ≤ ⌈4σ⌉, sum 1; edges reflected without repeating the edge pixel.
///           torchvision's gaussian_blur with kernel_size 2⌈4σ⌉ + 1. Variance σ² (less for σ < 0.6, where the samples
///           miss most of the bell).
/// boxes:    Pillow's GaussianBlur(radius = σ): three boxes of fractional width, 8-bit intermediate results, the edge
///           pixel repeated. Variance σ² for every σ.
enum class Blur { gaussian, boxes };

inline const char* name_of(Blur kind) { return kind == Blur::gaussian ? "gaussian" : "boxes"; }

namespace detail {

/// Reflects position i into 0 … n − 1 without repeating the edges.
inline int reflected(int i, int n) {
    if (n == 1) return 0;
    const int period = 2 * (n - 1);
    i = (i % period + period) % period;
    return i < n ? i : period - i;
}

inline constexpr int gaussian_bits = 14;  // fixed-point weights; 8.7-bit sums between the two passes: all in 16 bits

/// Sets the symmetric weights of Blur::gaussian, [2⌈4σ⌉ + 1], sum exactly 2^14.
inline void set_gaussian_weights(std::vector<std::int16_t>& weights, double sigma) {
    const int radius = static_cast<int>(std::ceil(4 * sigma));
    const auto bell = [=](int x) { return std::exp(-0.5 * (x / sigma) * (x / sigma)); };
    double sum = 0;
    for (int x = -radius; x <= radius; ++x) sum += bell(x);
    weights.clear();
    int rest = 1 << gaussian_bits;
    for (int x = -radius; x <= radius; ++x)
        rest -= weights.emplace_back(static_cast<std::int16_t>(std::lround(bell(x) / sum * (1 << gaussian_bits))));
    auto& middle = weights[static_cast<std::size_t>(radius)];
    middle = static_cast<std::int16_t>(middle + rest);
}

/// out[x] = (Σ_t weights[t] · lines(t)[x]) / 2^shift, rounded, for x < n; blocks of constant width are vectorized.
template <class Out, class Lines>
void weigh(const std::vector<std::int16_t>& weights, Lines lines, int n, int shift, Out* out) {
    const auto at = [&]<std::size_t Width>(int x) {
        Out* target = out + x;
        std::int32_t sums[Width];
        for (auto& sum : sums) sum = 1 << (shift - 1);
        for (std::size_t t = 0; t < weights.size(); ++t) {
            const auto* in = lines(t) + x;
            const std::int16_t w = weights[t];
            for (std::size_t lane = 0; lane < Width; ++lane) sums[lane] += in[lane] * w;
        }
        for (std::size_t lane = 0; lane < Width; ++lane) target[lane] = static_cast<Out>(sums[lane] >> shift);
    };
    constexpr int block = 16;
    int x = 0;
    for (; x + block <= n; x += block) at.template operator()<block>(x);
    for (; x < n; ++x) at.template operator()<1>(x);
}

inline void blur_gaussian(Image& image, double sigma) {
    std::vector<std::int16_t> weights;
    set_gaussian_weights(weights, sigma);
    const int taps = static_cast<int>(weights.size()), radius = taps / 2;
    const int channels = image.channels, bytes = image.width * channels;
    std::vector<std::uint8_t> row(static_cast<std::size_t>((image.width + 2 * radius) * channels));
    std::vector<std::int16_t> between(image.pixels.size());  // 8.7 bits
    for (int y = 0; y < image.height; ++y) {
        std::uint8_t* padded = row.data();
        for (int x = -radius; x < 0; ++x)
            padded = std::copy_n(image.at(reflected(x, image.width), y), channels, padded);
        padded = std::copy_n(image.at(0, y), bytes, padded);
        for (int x = 0; x < radius; ++x)
            padded = std::copy_n(image.at(reflected(image.width + x, image.width), y), channels, padded);
        weigh(weights, [&](std::size_t t) { return row.data() + t * static_cast<std::size_t>(channels); }, bytes,
              gaussian_bits - 7, between.data() + std::ptrdiff_t{y} * bytes);
    }
    std::vector<const std::int16_t*> rows(static_cast<std::size_t>(taps));
    for (int y = 0; y < image.height; ++y) {
        for (int t = 0; t < taps; ++t)
            rows[static_cast<std::size_t>(t)] =
                between.data() + std::ptrdiff_t{reflected(y + t - radius, image.height)} * bytes;
        weigh(weights, [&](std::size_t t) { return rows[t]; }, bytes, gaussian_bits + 7, image.at(0, y));
    }
}

/// A box filter of width 2·radius + 1 plus two partial pixels; weights in 24-bit fixed point: `center` of the inner
/// pixels, `edge` of the partial ones.
struct FractionalBox {
    int radius;
    std::uint32_t center, edge;

    /// Returns the box of which three in a row have variance σ². Gwosdek, Grewenig, Bruhn, Weickert, "Theoretical
    /// foundations of Gaussian convolution by extended box filtering", SSVM 2011, eqs. 7, 11, 14.
    static FractionalBox for_sigma(float sigma) {
        const float variance = sigma * sigma / 3;
        const float length = static_cast<float>(std::sqrt(12.0 * variance + 1.0));
        const float inner = static_cast<float>(std::floor((length - 1.0) / 2.0));
        const float part = (2 * inner + 1) * (inner * (inner + 1) - 3 * variance) /
                           (6 * (variance - (inner + 1) * (inner + 1)));
        const float radius = inner + part;
        const int full = static_cast<int>(radius);
        const auto center = static_cast<std::uint32_t>(16777216.0F / (radius * 2 + 1));
        return {full, center, (16777216 - static_cast<std::uint32_t>(full * 2 + 1) * center) / 2};
    }
};

/// Applies the box to `n` positions `step` bytes apart, `Lanes` neighboring bytes at a time, with running sums.
template <std::size_t Lanes>
void box_pass(const FractionalBox& box, const std::uint8_t* in, std::uint8_t* out, int n, std::ptrdiff_t step) {
    const auto at = [&](int i) { return in + std::clamp(i, 0, n - 1) * step; };
    std::uint32_t sums[Lanes] = {};
    for (int i = -1 - box.radius; i < box.radius; ++i)
        for (std::size_t lane = 0; lane < Lanes; ++lane) sums[lane] += at(i)[lane];
    for (int i = 0; i < n; ++i, out += step) {
        const std::uint8_t *left = at(i - box.radius - 1), *enters = at(i + box.radius);
        const std::uint8_t* right = at(i + box.radius + 1);
        for (std::size_t lane = 0; lane < Lanes; ++lane) {
            sums[lane] += static_cast<std::uint32_t>(enters[lane] - left[lane]);
            const auto edges = static_cast<std::uint32_t>(left[lane] + right[lane]);
            out[lane] = static_cast<std::uint8_t>((sums[lane] * box.center + edges * box.edge + (1U << 23)) >> 24);
        }
    }
}

inline void blur_boxes(Image& image, double sigma) {
    const auto box = FractionalBox::for_sigma(static_cast<float>(sigma));
    const int bytes = image.width * image.channels;
    Image other(image.width, image.height, image.channels);
    for (int pass = 0; pass < 3; ++pass, std::swap(image.pixels, other.pixels))
        for (int y = 0; y < image.height; ++y)
            if (image.channels == 3)
                box_pass<3>(box, image.at(0, y), other.at(0, y), image.width, 3);
            else
                for (int c = 0; c < image.channels; ++c)
                    box_pass<1>(box, image.at(0, y) + c, other.at(0, y) + c, image.width, image.channels);
    constexpr int block = 16;
    for (int pass = 0; pass < 3; ++pass, std::swap(image.pixels, other.pixels)) {
        int x = 0;
        for (; x + block <= bytes; x += block)
            box_pass<block>(box, image.pixels.data() + x, other.pixels.data() + x, image.height, bytes);
        for (; x < bytes; ++x)
            box_pass<1>(box, image.pixels.data() + x, other.pixels.data() + x, image.height, bytes);
    }
}

}  // namespace detail

using detail::FractionalBox, detail::gaussian_bits, detail::reflected;  // for blurs of whole batches

/// Blurs with standard deviation σ pixels along both axes; σ = 0 changes nothing. Blur::gaussian is within 1 level of
/// torchvision with the same kernel, Blur::boxes equals Pillow.
/// Throws Error for σ outside [0, 1000].
///
///     image::gaussian_blur(photo, 1.5);
inline void gaussian_blur(Image& image, double sigma, Blur kind = Blur::gaussian) {
    require(sigma >= 0 && sigma <= 1000, "gaussian_blur: sigma must be in [0, 1000] pixels, got ", sigma);
    if (sigma == 0 || image.pixels.empty()) return;
    kind == Blur::gaussian ? detail::blur_gaussian(image, sigma) : detail::blur_boxes(image, sigma);
}

}  // namespace doppel::image
