// SPDX-License-Identifier: Apache-2.0
// Gaussian blur of planes: the same bits as image::gaussian_blur, several times faster.
#pragma once

#include <doppel/image/blur.hpp>
#include <doppel/image/detail/aligned.hpp>
#include <doppel/image/detail/transpose.hpp>
#include <doppel/image/detail/vectors.hpp>
#include <doppel/image/planes.hpp>
#include <doppel/image/simd.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace doppel::image {

/// Memory of a planar blur, reused from image to image.
struct BlurBuffers {
    std::vector<std::int16_t> weights;        // [taps]
    std::vector<std::uint32_t> pairs;         // two neighboring weights each [(taps + 1) / 2]
    std::vector<std::uint8_t> row;            // a row with reflected ends
    detail::AlignedVector<std::int16_t> between;        // a plane after the pass along x [height, width rounded up], 8.7 bits
    std::vector<const std::int16_t*> rows;    // the rows of `between` under the weights
    detail::AlignedVector<std::uint8_t> even, odd;      // a plane between the passes of a box blur
};

namespace detail {

inline constexpr int blur_lanes = 32;

/// out[lane] = (Σ_t weight[t] · in[lane + t]) / 2^7 for N lanes, rounded, as words in the order of narrow().
template <int N, int Widest>
[[gnu::always_inline]] inline void blur_bytes(const std::uint8_t* in, const std::uint32_t* pairs, int taps, std::int16_t* out) {
    using V = Wide<N>;
    typename V::Ints sums[4] = {};
    for (int t = 0; t < taps; t += 2, ++pairs) {
        typename V::Bytes a, b;
        typename V::Words wide[4];
        load(a, in + t);
        load(b, in + t + 1);
        widen_pairs<N>(a, b, wide);
        const auto weights = reinterpret_cast<typename V::Words>(typename V::Ints{} + static_cast<std::int32_t>(*pairs));
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k)
            add_pairs<N, Widest>(wide[k], weights, sums[k]);
    }
    constexpr int shift = gaussian_bits - 7;
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
        typename V::Words words;
        narrow<N>((sums[2 * half] + (1 << (shift - 1))) >> shift, (sums[2 * half + 1] + (1 << (shift - 1))) >> shift, words);
        store(words, out + half * N / 2);
    }
}

/// out[lane] = (Σ_t weight[t] · rows[t][x + lane]) / 2^21 for N lanes, rounded, as bytes.
template <int N, int Widest>
[[gnu::always_inline]] inline void blur_words(const std::int16_t* const* rows, int x, const std::uint32_t* pairs, int taps,
                                              std::uint8_t* out) {
    using V = Wide<N>;
    typename V::Ints sums[4] = {};
    for (int t = 0; t < taps; t += 2, ++pairs) {
        const auto weights = reinterpret_cast<typename V::Words>(typename V::Ints{} + static_cast<std::int32_t>(*pairs));
#pragma GCC unroll 2
        for (int half = 0; half < 2; ++half) {
            typename V::Words a, b, mixed[2];
            load(a, rows[t] + x + half * N / 2);
            load(b, rows[t + 1] + x + half * N / 2);
            interleave<false>(a, b, mixed[0]);
            interleave<true>(a, b, mixed[1]);
#pragma GCC unroll 2
            for (int k = 0; k < 2; ++k)
                add_pairs<N, Widest>(mixed[k], weights, sums[2 * half + k]);
        }
    }
    constexpr int shift = gaussian_bits + 7;
    typename V::Words words[2];
    typename V::Bytes bytes;
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half)
        narrow<N>((sums[2 * half] + (1 << (shift - 1))) >> shift, (sums[2 * half + 1] + (1 << (shift - 1))) >> shift,
                  words[half]);
    narrow<N>(words[0], words[1], bytes);
    store(bytes, out);
}

template <int Widest>
[[gnu::always_inline]] inline void gaussian_kernel(Planes image, BlurBuffers* use) {
    constexpr int narrower = Widest < 32 ? Widest : 32;
    const int width = image.width, height = image.height, stride = rounded_up(width, narrower);
    const int taps = static_cast<int>(use->weights.size()), radius = taps / 2;
    const std::uint32_t* const pairs = use->pairs.data();
    std::uint8_t* const row = use->row.data();
    const std::int16_t** const rows = use->rows.data();
    for (int c = 0; c < image.channels; ++c) {
        for (int y = 0; y < height; ++y) {
            const std::uint8_t* const in = image.row(c, y);
            std::memcpy(row + radius, in, static_cast<std::size_t>(width));
            for (int x = 1; x <= radius; ++x) {
                row[radius - x] = in[reflected(-x, width)];
                row[radius + width - 1 + x] = in[reflected(width - 1 + x, width)];
            }
            std::int16_t* const out = use->between.data() + std::ptrdiff_t{y} * stride;
            int x = 0;
            for (; x + Widest <= width; x += Widest) blur_bytes<Widest, Widest>(row + x, pairs, taps, out + x);
            for (; x < width; x += narrower) blur_bytes<narrower, Widest>(row + x, pairs, taps, out + x);
        }
        for (int y = 0; y < height; ++y) {
            for (int t = 0; t < taps; ++t)
                rows[t] = use->between.data() + std::ptrdiff_t{reflected(y + t - radius, height)} * stride;
            rows[taps] = rows[taps - 1];  // with the weight 0
            std::uint8_t* const out = image.row(c, y);
            int x = 0;
            for (; x + Widest <= width; x += Widest) blur_words<Widest, Widest>(rows, x, pairs, taps, out + x);
            for (; x < width; x += narrower) {
                std::uint8_t done[widest];
                blur_words<narrower, Widest>(rows, x, pairs, taps, done);
                std::memcpy(out + x, done, static_cast<std::size_t>(width - x < narrower ? width - x : narrower));
            }
        }
    }
}

/// A box filter down the columns of [n, stride], with running sums.
[[gnu::always_inline]] inline void box_kernel(FractionalBox box, const std::uint8_t* in, std::uint8_t* out, int n, int stride) {
    for (int x = 0; x < stride; x += blur_lanes) {
        const auto at = [=](int i) __attribute__((always_inline)) {
            return in + std::ptrdiff_t{i < 0 ? 0 : i > n - 1 ? n - 1 : i} * stride + x;
        };
        std::uint32_t sums[blur_lanes] = {};
        for (int i = -1 - box.radius; i < box.radius; ++i) {
            const std::uint8_t* const enters = at(i);
            for (int lane = 0; lane < blur_lanes; ++lane) sums[lane] += enters[lane];
        }
        for (int i = 0; i < n; ++i) {
            const std::uint8_t *left = at(i - box.radius - 1), *enters = at(i + box.radius), *right = at(i + box.radius + 1);
            std::uint8_t* const target = out + std::ptrdiff_t{i} * stride + x;
            std::uint8_t done[blur_lanes];  // no alias of what is read
            for (int lane = 0; lane < blur_lanes; ++lane) {
                sums[lane] += static_cast<std::uint32_t>(enters[lane] - left[lane]);
                const auto edges = static_cast<std::uint32_t>(left[lane] + right[lane]);
                done[lane] = static_cast<std::uint8_t>((sums[lane] * box.center + edges * box.edge + (1U << 23)) >> 24);
            }
            std::memcpy(target, done, blur_lanes);
        }
    }
}

/// out[x][y] = in[y][x] for `rows` × `columns`; both have room for whole tiles.
[[gnu::always_inline]] inline void transpose_kernel(const std::uint8_t* in, int in_stride, std::uint8_t* out, int out_stride,
                                                    int rows, int columns) {
    for (int y = 0; y < rows; y += tile)
        for (int x = 0; x < columns; x += tile) {
            const std::uint8_t* lines[tile];
            for (int i = 0; i < tile; ++i) lines[i] = in + std::ptrdiff_t{y + i} * in_stride;
            transpose_tile(lines, x, out + std::ptrdiff_t{x} * out_stride + y, out_stride);
        }
}

/// Three boxes along x, which is down the columns of the transposed plane, then three along y.
inline void blur_boxes(const Planes& image, double sigma, BlurBuffers& use, Simd level) {
    const auto box = FractionalBox::for_sigma(static_cast<float>(sigma));
    const auto up = [](int n) { return (n + blur_lanes - 1) / blur_lanes * blur_lanes; };
    const int width = up(image.width), height = up(image.height);
    const std::size_t room = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
    use.even.resize(room);
    use.odd.resize(room);
    std::uint8_t *from = use.even.data(), *to = use.odd.data();
    const auto three = [&](int n, int stride) {
        for (int pass = 0; pass < 3; ++pass, std::swap(from, to))
            run_on<box_kernel>(level, box, static_cast<const std::uint8_t*>(from), to, n, stride);
    };
    for (int c = 0; c < image.channels; ++c) {
        for (int y = 0; y < image.height; ++y)
            std::copy_n(image.row(c, y), image.width, from + std::ptrdiff_t{y} * width);
        run_on<transpose_kernel>(level, static_cast<const std::uint8_t*>(from), width, to, height, image.height, image.width);
        std::swap(from, to);
        three(image.width, height);
        run_on<transpose_kernel>(level, static_cast<const std::uint8_t*>(from), height, to, width, image.width, image.height);
        std::swap(from, to);
        three(image.height, width);
        for (int y = 0; y < image.height; ++y)
            std::copy_n(from + std::ptrdiff_t{y} * width, image.width, image.row(c, y));
    }
}

inline void blur_gaussian(const Planes& image, double sigma, BlurBuffers& use, Simd level) {
    set_gaussian_weights(use.weights, sigma);
    const std::size_t taps = use.weights.size(), width = static_cast<std::size_t>(rounded_up(image.width, widest));
    use.pairs.clear();
    for (std::size_t t = 0; t < taps; t += 2)
        use.pairs.push_back(static_cast<std::uint32_t>(use.weights[t]) |
                            (t + 1 < taps ? static_cast<std::uint32_t>(use.weights[t + 1]) << 16 : 0));
    use.row.resize(std::max(use.row.size(), width + taps + 1));
    use.between.resize(std::max(use.between.size(), width * static_cast<std::size_t>(image.height)));
    use.rows.resize(taps + 1);
    run_on<gaussian_kernel<16>, gaussian_kernel<32>, gaussian_kernel<64>>(level, image, &use);
}

}  // namespace detail

/// image::gaussian_blur() of planes.
inline void gaussian_blur(const Planes& image, double sigma, Blur kind, BlurBuffers& use, Simd level) {
    require(sigma >= 0 && sigma <= 1000, "gaussian_blur: sigma must be in [0, 1000] pixels, got ", sigma);
    if (sigma == 0 || image.size() == 0) return;
    kind == Blur::gaussian ? detail::blur_gaussian(image, sigma, use, level) : detail::blur_boxes(image, sigma, use, level);
}

}  // namespace doppel::image
