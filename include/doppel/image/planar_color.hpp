// SPDX-License-Identifier: Apache-2.0
// Color adjustments of planes: the same bits as those of image/color.hpp, several times faster.
#pragma once

#include <doppel/image/color.hpp>
#include <doppel/image/detail/vectors.hpp>
#include <doppel/image/planes.hpp>
#include <doppel/image/simd.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace doppel::image {

namespace detail {

inline constexpr std::size_t color_lanes = 64;

/// Calls change(bytes) for blocks of 64 bytes; the last one is a copy, padded with zeros.
template <class Change>
[[gnu::always_inline]] inline void each_block(std::uint8_t* bytes, std::size_t n, const Change& change) {
    for (; n >= color_lanes; n -= color_lanes, bytes += color_lanes) change(bytes);
    if (n == 0) return;
    std::uint8_t rest[color_lanes] = {};
    std::memcpy(rest, bytes, n);
    change(rest);
    std::memcpy(bytes, rest, n);
}

/// Calls change(red, green, blue) for blocks of 64 pixels in the same way.
template <class Change>
[[gnu::always_inline]] inline void each_color_block(const Planes& image, const Change& change) {
    std::uint8_t *r = image.plane(0), *g = image.plane(1), *b = image.plane(2);
    std::size_t n = image.area();
    for (; n >= color_lanes; n -= color_lanes, r += color_lanes, g += color_lanes, b += color_lanes) change(r, g, b);
    if (n == 0) return;
    std::uint8_t rest[3][color_lanes] = {};
    std::memcpy(rest[0], r, n), std::memcpy(rest[1], g, n), std::memcpy(rest[2], b, n);
    change(rest[0], rest[1], rest[2]);
    std::memcpy(r, rest[0], n), std::memcpy(g, rest[1], n), std::memcpy(b, rest[2], n);
}

[[gnu::always_inline]] inline std::int32_t luma_of(std::int32_t r, std::int32_t g, std::int32_t b) {
    return (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
}

/// blend() for a factor of at most 10^6, with what a vector unit has: the bound is taken of integers, and a zero that the
/// compiler cannot see keeps it from fusing product and sum.
[[gnu::always_inline]] inline std::uint8_t blended(std::int32_t degenerate, std::int32_t value, float factor, std::int32_t zero) {
    const float product = factor * static_cast<float>(value - degenerate);
    const float kept = std::bit_cast<float>(std::bit_cast<std::int32_t>(product) ^ zero);
    const std::int32_t mixed = static_cast<std::int32_t>(static_cast<float>(degenerate) + kept);
    return static_cast<std::uint8_t>(mixed < 0 ? 0 : mixed > 255 ? 255 : mixed);
}
[[gnu::always_inline]] inline std::int32_t hidden_zero() {
    std::int32_t zero = 0;
    asm("" : "+r"(zero));
    return zero;
}
inline float bounded_factor(double factor) { return static_cast<float>(std::min(factor, 1e6)); }

[[gnu::always_inline]] inline void blend_kernel(std::uint8_t* bytes, std::size_t n, int degenerate, float factor) {
    const std::int32_t zero = hidden_zero();
    each_block(bytes, n, [=](std::uint8_t* __restrict block) __attribute__((always_inline)) {
        for (std::size_t i = 0; i < color_lanes; ++i) block[i] = blended(degenerate, block[i], factor, zero);
    });
}

/// The same; by a table where the processor looks up 64 bytes at a time.
template <int N>
[[gnu::always_inline]] inline void blend_by(std::uint8_t* bytes, std::size_t n, int degenerate, float factor) {
    if constexpr (N < 64 || !by_name) {
        blend_kernel(bytes, n, degenerate, factor);
    } else {
        std::uint8_t table[256];
        for (int value = 0; value < 256; ++value) table[value] = blend(degenerate, value, factor);
        each_block(bytes, n, [&](std::uint8_t* __restrict block) __attribute__((always_inline)) { look_up<N>(table, block); });
    }
}

/// blend() of all bytes with one degenerate value.
inline void blend_all(const Planes& image, int degenerate, double factor, Simd level) {
    run_on<blend_by<16>, blend_by<32>, blend_by<64>>(level, image.data, image.size(), degenerate, bounded_factor(factor));
}

[[gnu::always_inline]] inline void solarize_kernel(std::uint8_t* bytes, std::size_t n, int threshold) {
    each_block(bytes, n, [=](std::uint8_t* __restrict block) __attribute__((always_inline)) {
        for (std::size_t i = 0; i < color_lanes; ++i)
            block[i] = static_cast<std::uint8_t>(block[i] >= threshold ? 255 - block[i] : block[i]);
    });
}

[[gnu::always_inline]] inline void gray_kernel(Planes image) {
    each_color_block(image, [](std::uint8_t* __restrict r, std::uint8_t* __restrict g, std::uint8_t* __restrict b) __attribute__((always_inline)) {
        for (std::size_t i = 0; i < color_lanes; ++i)
            r[i] = g[i] = b[i] = static_cast<std::uint8_t>(luma_of(r[i], g[i], b[i]));
    });
}

[[gnu::always_inline]] inline void saturation_kernel(Planes image, float factor) {
    const std::int32_t zero = hidden_zero();
    each_color_block(image, [=](std::uint8_t* __restrict r, std::uint8_t* __restrict g, std::uint8_t* __restrict b) __attribute__((always_inline)) {
        for (std::size_t i = 0; i < color_lanes; ++i) {
            const std::int32_t gray = luma_of(r[i], g[i], b[i]);
            r[i] = blended(gray, r[i], factor, zero);
            g[i] = blended(gray, g[i], factor, zero);
            b[i] = blended(gray, b[i], factor, zero);
        }
    });
}

/// Adds up the luma of RGB, or all bytes of other images.
[[gnu::always_inline]] inline void sum_kernel(Planes image, std::uint64_t* sum) {
    std::uint64_t total = 0;
    const std::size_t n = image.size();
    const auto add = [&](const std::uint8_t* r, const std::uint8_t* g, const std::uint8_t* b) __attribute__((always_inline)) {
        std::uint32_t part = 0;
        for (std::size_t i = 0; i < color_lanes; ++i) part += static_cast<std::uint32_t>(luma_of(r[i], g[i], b[i]));
        total += part;
    };
    if (image.channels == 3) {
        each_color_block(image, add);
    } else {
        for (std::size_t i = 0; i < n; ++i) total += image.data[i];
    }
    *sum = total;
}

/// Where the exact hue is an integer, Pillow's float arithmetic falls just below some of them: 1 there. What it does
/// depends on the hue alone, not on the color that has it.
struct HueShortfall {
    std::int32_t at[256];
    std::uint32_t bits[8];
    constexpr std::int32_t operator[](std::int32_t hue) const { return at[hue]; }
};
inline constexpr HueShortfall hue_shortfall = [] {
    HueShortfall shortfall{};
    for (int hue = 0; hue < 255; ++hue) {  // a color of chroma 85 with this hue: 2 · hue of 6 · 85 steps
        const int sector = 2 * hue / 85, part = 2 * hue % 85, up = part, down = 85 - part;
        const int r = sector == 0 || sector == 5 ? 85 : sector == 1 ? down : sector == 4 ? up : 0;
        const int g = sector == 1 || sector == 2 ? 85 : sector == 3 ? down : sector == 0 ? up : 0;
        const int b = sector == 3 || sector == 4 ? 85 : sector == 5 ? down : sector == 2 ? up : 0;
        shortfall.at[hue] = hue - integer_hue(r, g, b, 85, 85);
        if (shortfall[hue] != 0) shortfall.bits[hue / 32] |= 1U << hue % 32;
    }
    return shortfall;
}();

/// How far a channel is below the value at hue `steps` of 1530, for a channel whose own hue is at `own`; in 1/255.
[[gnu::always_inline]] inline std::int32_t fade_of(std::int32_t steps, std::int32_t own) {
    const std::int32_t apart = steps > own ? steps - own : own - steps;
    const std::int32_t distance = (apart < 1530 - apart ? apart : 1530 - apart) - 255;
    return distance < 0 ? 0 : distance > 255 ? 255 : distance;
}

/// Returns `one` if the condition holds, else `other`, without a branch.
[[gnu::always_inline]] inline std::int32_t pick(bool condition, std::int32_t one, std::int32_t other) {
    return other ^ ((one ^ other) & -static_cast<std::int32_t>(condition));
}

/// turn_hue() without branches.
[[gnu::always_inline]] inline void hue_kernel(Planes image, std::int32_t turn) {
    each_color_block(image, [=](std::uint8_t* __restrict reds, std::uint8_t* __restrict greens, std::uint8_t* __restrict blues) __attribute__((always_inline)) {
        for (std::size_t i = 0; i < color_lanes; ++i) {
            const std::int32_t r = reds[i], g = greens[i], b = blues[i];
            const std::int32_t high = r > g ? r : g, low = r < g ? r : g;
            const std::int32_t value = high > b ? high : b, chroma = value - (low < b ? low : b);
            std::int32_t sector = pick(r == value, g - b, pick(g == value, 2 * chroma + b - r, 4 * chroma + r - g));
            sector += 6 * chroma & sector >> 31;
            // The quotients are exact before they are rounded down: the float nearest to n / d, n < 2^24, d < 2^11, is on
            // the right side of each integer.
            const std::int32_t divisor = 6 * (chroma > 1 ? chroma : 1), dividend = 255 * sector;
            std::int32_t hue = static_cast<std::int32_t>(static_cast<float>(dividend) / static_cast<float>(divisor));
            hue -= hue_shortfall[hue] & -static_cast<std::int32_t>(hue * divisor == dividend);
            const std::int32_t saturation = static_cast<std::int32_t>(static_cast<float>(255 * chroma) /
                                                                      static_cast<float>(value > 1 ? value : 1));
            const std::int32_t steps = ((hue + turn) & 255) * 6;
            const auto depth = static_cast<std::uint32_t>(value * saturation);  // 0 for gray, which has no hue
            // One channel fades by 0, one by 255, and one by what is between: one long division for three.
            const std::int32_t red = fade_of(steps, 0), green = fade_of(steps, 510), blue = fade_of(steps, 1020);
            const auto between = static_cast<std::uint32_t>(red + green + blue - 255);
            const std::int32_t most = value - static_cast<std::int32_t>(((depth + 127) * 257 + 257) >> 16);
            const std::int32_t middle = value - static_cast<std::int32_t>((depth * between + 32512) / 65025);
            const auto faded = [=](std::int32_t fade) __attribute__((always_inline)) {
                return static_cast<std::uint8_t>(pick(fade == 0, value, pick(fade == 255, most, middle)));
            };
            reds[i] = faded(red);
            greens[i] = faded(green);
            blues[i] = faded(blue);
        }
    });
}

/// The same for the integers of N bytes of each channel.
template <int N>
[[gnu::always_inline]] inline void turn_hues(typename Wide<N>::Ints& r, typename Wide<N>::Ints& g, typename Wide<N>::Ints& b,
                                             std::int32_t turn) {
    using Ints = typename Wide<N>::Ints;
    using Floats = typename Wide<N>::Floats;
    const Ints none = {}, one = none + 1, full = none + 255;
    const Ints high = r > g ? r : g, low = r < g ? r : g, value = high > b ? high : b, chroma = value - (low < b ? low : b);
    const Ints red_or_not = r - g + 4 * chroma, green_or_not = g == value ? b - r + 2 * chroma : red_or_not;
    Ints sector = r == value ? g - b : green_or_not;
    sector += (sector >> 31) & (6 * chroma);
    const Ints divisor = 6 * (chroma > one ? chroma : one), dividend = 255 * sector, filled = value > one ? value : one;
    Ints hue, saturation, left, unused, short_by;
    divide<N>(dividend, divisor, hue, left);
    divide<N>(255 * chroma, filled, saturation, unused);
    bit_of<N>(hue_shortfall.bits, hue, short_by);
    hue -= left == none ? short_by : none;
    const Ints steps = ((hue + turn) & 255) * 6, depth = value * saturation;
    const auto fade = [&](std::int32_t own, Ints& out) __attribute__((always_inline)) {
        const Ints away = steps - own, apart = away < none ? -away : away, other = 1530 - apart;
        const Ints distance = (apart < other ? apart : other) - 255, above = distance < none ? none : distance;
        out = above > full ? full : above;
    };
    Ints red, green, blue;
    fade(0, red);
    fade(510, green);
    fade(1020, blue);
    const Ints most = value - (((depth + 127) * 257 + 257) >> 16);
    const Ints exact = depth * (red + green + blue - 255) + 32512;  // to be divided by 255²
    Ints quotient = __builtin_convertvector(__builtin_convertvector(exact, Floats) * (0.999999F / 65025), Ints);  // or 1 less
    quotient -= exact - quotient * 65025 >= none + 65025;
    const Ints middle = value - quotient;
    const auto faded = [&](const Ints& by, Ints& out) __attribute__((always_inline)) {
        const Ints some = by == full ? most : middle;
        out = by == none ? value : some;
    };
    faded(red, r);
    faded(green, g);
    faded(blue, b);
}

template <int N>
[[gnu::always_inline]] inline void wide_hue_kernel(Planes image, std::int32_t turn) {
    static_assert(N <= color_lanes);
    each_color_block(image, [=](std::uint8_t* __restrict reds, std::uint8_t* __restrict greens,
                                std::uint8_t* __restrict blues) __attribute__((always_inline)) {
        for (std::size_t at = 0; at < color_lanes; at += N) {
            typename Wide<N>::Bytes bytes[3];
            typename Wide<N>::Ints r[4], g[4], b[4];
            load(bytes[0], reds + at);
            load(bytes[1], greens + at);
            load(bytes[2], blues + at);
            widen<N>(bytes[0], r);
            widen<N>(bytes[1], g);
            widen<N>(bytes[2], b);
#pragma GCC unroll 4
            for (int k = 0; k < 4; ++k) turn_hues<N>(r[k], g[k], b[k], turn);
            store_bytes<N>(r, reds + at);
            store_bytes<N>(g, greens + at);
            store_bytes<N>(b, blues + at);
        }
    });
}

}  // namespace detail

using detail::hue_shortfall;  // for hues of whole batches

/// image::brightness() of planes.
inline void brightness(const Planes& image, double factor, Simd level) {
    detail::blend_all(image, 0, factor, level);
}
/// image::contrast() of planes.
inline void contrast(const Planes& image, double factor, Simd level) {
    if (image.size() == 0) return;
    std::uint64_t sum = 0;
    detail::run_on<detail::sum_kernel>(level, image, &sum);
    const std::size_t values = image.channels == 3 ? image.area() : image.size();
    const int mean = static_cast<int>(static_cast<double>(sum) / static_cast<double>(values) + 0.5);
    detail::blend_all(image, mean, factor, level);
}
/// image::saturation() of planes.
inline void saturation(const Planes& image, double factor, Simd level) {
    if (image.channels == 3) detail::run_on<detail::saturation_kernel>(level, image, detail::bounded_factor(factor));
}
/// image::hue() of planes.
inline void hue(const Planes& image, double turns, Simd level) {
    require(turns >= -0.5 && turns <= 0.5, "hue: turns must be in [-0.5, 0.5], got ", turns);
    if (image.channels != 3) return;
    const auto turn = static_cast<std::int32_t>(turns * 255);
    if (level == Simd::baseline || !detail::by_name) return detail::run_on<detail::hue_kernel>(level, image, turn);
    detail::run_on<detail::hue_kernel, detail::wide_hue_kernel<32>, detail::wide_hue_kernel<64>>(level, image, turn);
}
/// image::grayscale() of planes.
inline void grayscale(const Planes& image, Simd level) {
    if (image.channels == 3) detail::run_on<detail::gray_kernel>(level, image);
}
/// image::solarize() of planes.
inline void solarize(const Planes& image, int threshold, Simd level) {
    detail::run_on<detail::solarize_kernel>(level, image.data, image.size(), threshold);
}

}  // namespace doppel::image
