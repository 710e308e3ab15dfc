// SPDX-License-Identifier: Apache-2.0
// Resizes interleaved pixels to planes: the same bits as image::resize, several times faster.
#pragma once

#include <doppel/image/detail/aligned.hpp>
#include <doppel/image/detail/transpose.hpp>
#include <doppel/image/detail/vectors.hpp>
#include <doppel/image/planes.hpp>
#include <doppel/image/resize.hpp>
#include <doppel/image/simd.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

namespace doppel::image {

namespace detail {

/// Weights of two neighboring inputs, split in upper and lower bits, for multiply_pairs(): w = high · 2^11 + low.
struct WeightPair {
    std::uint32_t high, low;
};
inline constexpr int low_bits = 11;

/// Weights of four neighboring inputs as signed bytes, for add_fours(): w = high · 2^16 + middle · 2^8 + low.
struct WeightFour {
    std::uint32_t high = 0, middle = 0, low = 0;

    void set(int place, std::int32_t weight) {
        const auto digit = [&] {
            const auto low_byte = static_cast<std::int8_t>(weight & 0xFF);
            weight = (weight - low_byte) >> 8;
            return static_cast<std::uint32_t>(static_cast<std::uint8_t>(low_byte)) << 8 * place;
        };
        low |= digit();
        middle |= digit();
        high |= digit();
    }
};

/// The taps of an axis in groups of two or four; the last group of a span is filled up with weights of 0.
struct GroupedTaps {
    Taps taps;
    std::vector<WeightPair> pairs;  // [positions, pair_stride]
    std::vector<WeightFour> fours;  // [positions, four_stride]
    int pair_stride = 0, four_stride = 0;

    void set_fours() {
        four_stride = (taps.stride + 3) / 4;
        fours.assign(taps.spans.size() * static_cast<std::size_t>(four_stride), {});
        WeightFour* out = fours.data();
        const std::int32_t* weights = taps.weights.data();
        for (const auto span : taps.spans) {
            for (int i = 0; i < span.count; ++i) out[i / 4].set(i % 4, weights[i]);
            out += four_stride;
            weights += taps.stride;
        }
    }

    void set_pairs() {
        pair_stride = (taps.stride + 1) / 2;
        pairs.resize(taps.spans.size() * static_cast<std::size_t>(pair_stride));
        WeightPair* out = pairs.data();
        const std::int32_t* weights = taps.weights.data();
        for (const auto span : taps.spans) {
            for (int i = 0; i < span.count; i += 2) {
                const std::int32_t a = weights[i], b = i + 1 < span.count ? weights[i + 1] : 0;
                const auto joined = [](std::int32_t one, std::int32_t other) {
                    return (static_cast<std::uint32_t>(one) & 0xFFFF) | static_cast<std::uint32_t>(other) << 16;
                };
                constexpr std::int32_t low = (1 << low_bits) - 1;
                out[i / 2] = {joined(a >> low_bits, b >> low_bits), joined(a & low, b & low)};
            }
            out += pair_stride;
            weights += taps.stride;
        }
    }
};

}  // namespace detail

/// Memory of a planar resize, reused from image to image.
struct ResizeBuffers {
    detail::GroupedTaps across, down;
    detail::AlignedVector<std::uint8_t> columns;  // some rows of the source, transposed [bytes of a row, rows]
    detail::AlignedVector<std::uint8_t> resized;  // the same rows, resized along x [width rounded up, channels, rows]
    detail::AlignedVector<std::uint8_t> between;  // all rows, resized along x [channels, rows, width rounded up]
};

namespace detail {

/// out[lane] = Σ_i weight[i] · in[i · step + lane] for N lanes, as bytes. Reads whole groups of inputs.
template <int N>
[[gnu::always_inline]] inline void weigh(const std::uint8_t* in, std::ptrdiff_t step, const WeightFour* fours, int count,
                                         std::uint8_t* out) {
    using V = Wide<N>;
    typename V::Ints high[4] = {}, middle[4] = {}, low[4];
    for (auto& sum : low) sum = typename V::Ints{} + (1 << (weight_bits - 1));
    for (int i = 0; i < count; i += 4, ++fours, in += 4 * step) {
        typename V::Bytes rows[4], pairs[4];
        typename V::Words mixed[4];
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) load(rows[k], in + k * step);
        interleave<false>(rows[0], rows[1], pairs[0]);
        interleave<true>(rows[0], rows[1], pairs[1]);
        interleave<false>(rows[2], rows[3], pairs[2]);
        interleave<true>(rows[2], rows[3], pairs[3]);
#pragma GCC unroll 2
        for (int k = 0; k < 2; ++k) {
            const auto first = reinterpret_cast<typename V::Words>(pairs[k]), second = reinterpret_cast<typename V::Words>(pairs[k + 2]);
            interleave<false>(first, second, mixed[2 * k]);
            interleave<true>(first, second, mixed[2 * k + 1]);
        }
        const typename V::Ints h = typename V::Ints{} + static_cast<std::int32_t>(fours->high),
                               m = typename V::Ints{} + static_cast<std::int32_t>(fours->middle),
                               l = typename V::Ints{} + static_cast<std::int32_t>(fours->low);
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) {
            const auto bytes = reinterpret_cast<typename V::Bytes>(mixed[k]);
            add_fours<N>(bytes, h, high[k]);
            add_fours<N>(bytes, m, middle[k]);
            add_fours<N>(bytes, l, low[k]);
        }
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) high[k] = ((high[k] << 16) + (middle[k] << 8) + low[k]) >> weight_bits;
    store_bytes<N>(high, out);
}

/// The same with pairs of weights.
template <int N>
[[gnu::always_inline]] inline void weigh(const std::uint8_t* in, std::ptrdiff_t step, const WeightPair* pairs, int count,
                                         std::uint8_t* out) {
    using V = Wide<N>;
    typename V::Ints high[4] = {}, low[4] = {};
    for (int i = 0; i < count; i += 2, ++pairs, in += 2 * step) {
        typename V::Bytes a, b;
        typename V::Words wide[4];
        load(a, in);
        load(b, in + step);
        widen_pairs<N>(a, b, wide);
        const auto upper = reinterpret_cast<typename V::Words>(typename V::Ints{} + static_cast<std::int32_t>(pairs->high));
        const auto lower = reinterpret_cast<typename V::Words>(typename V::Ints{} + static_cast<std::int32_t>(pairs->low));
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) {
            typename V::Ints product;
            multiply_pairs<N>(wide[k], upper, product);
            high[k] += product;
            multiply_pairs<N>(wide[k], lower, product);
            low[k] += product;
        }
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) high[k] = ((high[k] << low_bits) + low[k] + (1 << (weight_bits - 1))) >> weight_bits;
    store_bytes<N>(high, out);
}

/// The groups of weights that kernels of up to `Widest` bytes take, and their number for each position.
template <int Widest>
[[gnu::always_inline]] inline auto groups_of(const GroupedTaps& taps) {
    if constexpr (Widest == 64 && by_name)
        return std::pair(taps.fours.data(), taps.four_stride);
    else
        return std::pair(taps.pairs.data(), taps.pair_stride);
}

/// Columns of N rows → resized columns, for each channel.
template <int N, int Widest>
[[gnu::always_inline]] inline void resize_columns(const GroupedTaps* by, int channels, const std::uint8_t* in, std::uint8_t* out) {
    const std::ptrdiff_t step = std::ptrdiff_t{channels} * N;
    auto [groups, stride] = groups_of<Widest>(*by);
    for (const auto span : by->taps.spans) {
        const std::uint8_t* from = in + span.first * step;
        for (int c = 0; c < channels; ++c, from += N, out += N) weigh<N>(from, step, groups, span.count, out);
        groups += stride;
    }
}

/// Rows [y, y + N) of the source, at most `rows` of them there → columns.
template <int N>
[[gnu::always_inline]] inline void take_rows(const Pixels* source, int first, int y, int rows, std::uint8_t* columns) {
    const int bytes = source->width * source->channels;
    for (int part = 0; part < N; part += tile) {
        const std::uint8_t* in[tile];
        for (int i = 0; i < tile; ++i) in[i] = source->data + (first + std::min(y + part + i, rows - 1)) * source->stride;
        if (bytes < tile)
            for (int x = 0; x < bytes; ++x)
                for (int i = 0; i < tile; ++i) columns[x * N + part + i] = in[i][x];
        else
            for (int x = 0; x < bytes; x += tile) {
                const int from = std::min(x, bytes - tile);  // the last tile overlaps the one before
                transpose_tile(in, from, columns + std::ptrdiff_t{from} * N + part, N);
            }
    }
}

/// Resized columns → rows [y, y + N) of `between`.
template <int N>
[[gnu::always_inline]] inline void give_rows(int channels, int y, int rows, int width, ResizeBuffers* use) {
    const int stride = rounded_up(width, widest);
    for (int c = 0; c < channels; ++c)
        for (int part = 0; part < N && y + part < rows; part += tile) {
            std::uint8_t* const plane = use->between.data() + (std::ptrdiff_t{c} * rounded_up(rows, widest) + y + part) * stride;
            for (int x = 0; x < width; x += tile) {
                const std::uint8_t* turned[tile];
                for (int i = 0; i < tile; ++i)
                    turned[i] = use->resized.data() + (std::ptrdiff_t{x + i} * channels + c) * N + part;
                transpose_tile(turned, 0, plane + x, stride);
            }
        }
}

/// All rows → `between`, resized along x. Transposing gains nothing from more than 32 bytes: what a block of 32 rows takes
/// stays in the first cache.
inline void resize_across(const Pixels& source, int first, int rows, ResizeBuffers& use, Simd level) {
    const int width = static_cast<int>(use.across.taps.spans.size()), block = level == Simd::baseline ? 16 : 32;
    const Simd narrow = std::min(level, Simd::avx2);
    for (int y = 0; y < rows; y += block) {
        run_on<take_rows<16>, take_rows<32>, take_rows<32>>(narrow, &source, first, y, rows, use.columns.data());
        run_on<resize_columns<16, 16>, resize_columns<32, 32>, resize_columns<32, 64>>(
            level, static_cast<const GroupedTaps*>(&use.across), source.channels,
            static_cast<const std::uint8_t*>(use.columns.data()), use.resized.data());
        run_on<give_rows<16>, give_rows<32>, give_rows<32>>(narrow, source.channels, y, rows, width, &use);
    }
}

/// `between` → the planes, resized along y; row 0 of `between` is row `origin` of what the taps refer to.
template <int Widest>
[[gnu::always_inline]] inline void resize_down(const ResizeBuffers* use, int origin, int rows, Planes to) {
    constexpr int narrower = Widest < 32 ? Widest : 32;
    const std::ptrdiff_t stride = rounded_up(to.width, widest);
    for (int c = 0; c < to.channels; ++c) {
        const std::uint8_t* const plane = use->between.data() + std::ptrdiff_t{c} * rounded_up(rows, widest) * stride;
        auto [groups, group_stride] = groups_of<Widest>(use->down);
        for (int y = 0; y < to.height; ++y, groups += group_stride) {
            const auto span = use->down.taps.spans[static_cast<std::size_t>(y)];
            const std::uint8_t* in = plane + (span.first - origin) * stride;
            std::uint8_t* out = to.row(c, y);
            int x = 0;
            for (; x + Widest <= to.width; x += Widest) weigh<Widest>(in + x, stride, groups, span.count, out + x);
            for (; x + narrower <= to.width; x += narrower) weigh<narrower>(in + x, stride, groups, span.count, out + x);
            if (x < to.width) {
                std::uint8_t rest[widest];
                weigh<narrower>(in + x, stride, groups, span.count, rest);
                std::memcpy(out + x, rest, static_cast<std::size_t>(to.width - x));
            }
        }
    }
}

}  // namespace detail

/// The window of a resize that is wanted: columns [left, left + planes' width) and rows [top, …) of width × height.
struct Window {
    int width = 0, height = 0, left = 0, top = 0;
};

/// Resizes `part` of the image to window.width × window.height, mirrored left to right if `flipped`, and writes the window to
/// `to`, which has the image's channels. Reads no pixels outside `part`.
/// Throws Error for an empty image or size, and for a part that is not inside the image.
inline void resize_to_planes(const Image& image, const Rect& part, Filter filter, const Window& window, bool flipped,
                             const Planes& to, ResizeBuffers& use, Simd level) {
    detail::require_pixels("resize_to_planes", image);
    detail::require_inside("resize_to_planes", image, part);
    require(to.width > 0 && to.height > 0 && window.width >= window.left + to.width && window.height >= window.top + to.height &&
                to.channels == image.channels,
            "resize_to_planes: got ", to.width, "x", to.height, "x", to.channels, " planes for a window at (", window.left, ", ",
            window.top, ") of ", window.width, "x", window.height, "x", image.channels);
    const detail::Pixels source = detail::part_of(image, part);
    auto &across = use.across.taps, &down = use.down.taps;
    detail::set_taps(across, filter, source.width, 0, static_cast<float>(source.width), window.width,
             flipped ? window.width - window.left - to.width : window.left, to.width);
    detail::set_taps(down, filter, source.height, 0, static_cast<float>(source.height), window.height, window.top, to.height);
    if (flipped) {
        std::reverse(across.spans.begin(), across.spans.end());
        const auto step = static_cast<std::ptrdiff_t>(across.stride);
        for (std::ptrdiff_t a = 0, b = to.width - 1; a < b; ++a, --b)
            std::swap_ranges(across.weights.begin() + a * step, across.weights.begin() + (a + 1) * step,
                             across.weights.begin() + b * step);
    }
    for (auto* taps : {&use.across, &use.down}) level == Simd::avx512 && detail::by_name ? taps->set_fours() : taps->set_pairs();
    const int first = down.spans.front().first, rows = down.spans.back().first + down.spans.back().count - first;
    const auto room = [](auto& bytes, std::int64_t n) {
        if (bytes.size() < static_cast<std::size_t>(n)) bytes.resize(static_cast<std::size_t>(n));
    };
    const std::int64_t channels = to.channels, stride = detail::rounded_up(to.width, detail::widest);
    room(use.columns, (source.width + 3) * channels * detail::widest);
    room(use.resized, stride * channels * detail::widest);
    room(use.between, channels * detail::rounded_up(rows, detail::widest) * stride + 3 * stride);
    detail::resize_across(source, first, rows, use, level);
    detail::run_on<detail::resize_down<16>, detail::resize_down<32>, detail::resize_down<64>>(level, static_cast<const ResizeBuffers*>(&use), first, rows, to);
}

}  // namespace doppel::image
