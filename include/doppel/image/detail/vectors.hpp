// SPDX-License-Identifier: Apache-2.0
// Vectors of 16, 32 or 64 bytes, and the few operations on them that the compiler does not find by itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

namespace doppel::image::detail {

/// Vectors of N bytes. Wider ones than the target's registers must not be used: the compiler takes them apart.
template <int N>
struct Wide {
    using Bytes __attribute__((vector_size(N))) = std::uint8_t;
    using Words __attribute__((vector_size(N))) = std::int16_t;
    using Floats __attribute__((vector_size(N))) = float;
    using Naturals __attribute__((vector_size(N))) = std::uint32_t;
    using Ints __attribute__((vector_size(N))) = std::int32_t;
};

inline constexpr int widest = 64;  // bytes of the widest vector

inline constexpr int rounded_up(int n, int multiple) { return (n + multiple - 1) / multiple * multiple; }

template <class Vector>
[[gnu::always_inline]] inline void load(Vector& into, const void* from) {
    std::memcpy(&into, from, sizeof into);
}
template <class Vector>
[[gnu::always_inline]] inline void store(const Vector& from, void* into) {
    std::memcpy(into, &from, sizeof from);
}

/// Interleaves two vectors within each 16 bytes, as the unpack instructions do: the lower halves, or the upper ones.
template <bool Upper, class Vector>
[[gnu::always_inline]] inline void interleave(const Vector& a, const Vector& b, Vector& out) {
    constexpr int all = static_cast<int>(sizeof(Vector) / sizeof(a[0])), part = 16 / static_cast<int>(sizeof(a[0]));
    const auto with = [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
        out = __builtin_shufflevector(a, b, (i / part * part + (Upper ? part / 2 : 0) + i % part / 2 + i % 2 * all)...);
    };
    with(std::make_integer_sequence<int, all>());
}

/// Narrows a and b, bounded by [least, most], and joins them in the order that interleave() took them apart.
template <class Narrower, class Wider>
[[gnu::always_inline]] inline void narrowed_in_order(const Wider& a, const Wider& b, std::int16_t least, std::int16_t most,
                                                     Narrower& out) {
    const Wider bottom = Wider{} + least, top = Wider{} + most;
    const Wider low_a = a < bottom ? bottom : a, low_b = b < bottom ? bottom : b;
    const auto lower = reinterpret_cast<Narrower>(low_a > top ? top : low_a), upper = reinterpret_cast<Narrower>(low_b > top ? top : low_b);
    constexpr int all = static_cast<int>(sizeof(Narrower) / sizeof(out[0])), part = 16 / static_cast<int>(sizeof(out[0]));
    const auto join = [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
        out = __builtin_shufflevector(
            lower, upper, (i / part * part + i % (part / 2) * 2 + (i % part < part / 2 ? 0 : all))...);  // little-endian
    };
    join(std::make_integer_sequence<int, all>());
}

// GCC makes none of the following instructions from such code, and their intrinsics cannot stand in a function that is
// compiled for several targets; hence by name. Clang makes them, and takes no names of instructions that the target lacks.
#if defined(__x86_64__) && !defined(__clang__)
inline constexpr bool by_name = true;
#else
inline constexpr bool by_name = false;
#endif
#if defined(__AVX__)
inline constexpr bool three_operands = true;
#else
inline constexpr bool three_operands = false;
#endif

/// out[i] = a[2i] · b[2i] + a[2i + 1] · b[2i + 1].
template <int N>
[[gnu::always_inline]] inline void multiply_pairs(const typename Wide<N>::Words& a, const typename Wide<N>::Words& b,
                                                  typename Wide<N>::Ints& out) {
    if constexpr (!by_name) {
        const auto pairs_a = reinterpret_cast<typename Wide<N>::Ints>(a), pairs_b = reinterpret_cast<typename Wide<N>::Ints>(b);
        out = ((pairs_a << 16) >> 16) * ((pairs_b << 16) >> 16) + (pairs_a >> 16) * (pairs_b >> 16);  // little-endian
    }
#if defined(__x86_64__) && !defined(__clang__)
    else if constexpr (N > 16 || three_operands)
        asm("vpmaddwd %2, %1, %0" : "=v"(out) : "v"(a), "vm"(b));
    else
        asm("pmaddwd %2, %0" : "=x"(out) : "0"(a), "x"(b));
#endif
}

/// sums[i] += a[2i] · b[2i] + a[2i + 1] · b[2i + 1]; with VNNI, which kernels of up to 64 bytes have, in one instruction.
template <int N, int Widest>
[[gnu::always_inline]] inline void add_pairs(const typename Wide<N>::Words& a, const typename Wide<N>::Words& b,
                                             typename Wide<N>::Ints& sums) {
    if constexpr (Widest < 64 || !by_name) {
        typename Wide<N>::Ints product;
        multiply_pairs<N>(a, b, product);
        sums += product;
    }
#if defined(__x86_64__) && !defined(__clang__)
    else
        asm("vpdpwssd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
#endif
}

/// sums[i] += Σ_j a[4i + j] · weights[4i + j] over j < 4, a unsigned, weights signed. Only with VNNI: kernels of 64 bytes, where instructions
/// go by name.
template <int N>
[[gnu::always_inline]] inline void add_fours([[maybe_unused]] const typename Wide<N>::Bytes& a,
                                             [[maybe_unused]] const typename Wide<N>::Ints& weights,
                                             [[maybe_unused]] typename Wide<N>::Ints& sums) {
#if defined(__x86_64__) && !defined(__clang__)
    asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(weights));
#endif
}

/// out[i] = table[in[i]] of 256 bytes. Only with VBMI: 64 bytes, where instructions go by
/// name.
template <int N>
[[gnu::always_inline]] inline void look_up([[maybe_unused]] const std::uint8_t* table, [[maybe_unused]] std::uint8_t* bytes) {
#if defined(__x86_64__) && !defined(__clang__)
    using Lanes = typename Wide<N>::Bytes;
    Lanes part[4], lower, upper, index;
    for (int k = 0; k < 4; ++k) load(part[k], table + 64 * k);
    load(index, bytes);
    lower = upper = index;
    asm("vpermi2b %2, %1, %0" : "+v"(lower) : "v"(part[0]), "v"(part[1]));  // by the lower seven bits
    asm("vpermi2b %2, %1, %0" : "+v"(upper) : "v"(part[2]), "v"(part[3]));
    const Lanes chosen = index > 127 ? upper : lower;
    store(chosen, bytes);
#endif
}

/// Widens bytes to integers, in the order that narrow() joins them.
template <int N>
[[gnu::always_inline]] inline void widen(const typename Wide<N>::Bytes& from, typename Wide<N>::Ints (&out)[4]) {
    using V = Wide<N>;
    const typename V::Bytes zero = {};
    typename V::Bytes half[2];
    interleave<false>(from, zero, half[0]);
    interleave<true>(from, zero, half[1]);
#pragma GCC unroll 2
    for (int k = 0; k < 2; ++k) {
        typename V::Words lower, upper;
        interleave<false>(reinterpret_cast<typename V::Words>(half[k]), reinterpret_cast<typename V::Words>(zero), lower);
        interleave<true>(reinterpret_cast<typename V::Words>(half[k]), reinterpret_cast<typename V::Words>(zero), upper);
        out[2 * k] = reinterpret_cast<typename V::Ints>(lower);
        out[2 * k + 1] = reinterpret_cast<typename V::Ints>(upper);
    }
}

/// out[i] ≈ 1 / x[i], to about 2^-11. Only with AVX2.
template <int N>
[[gnu::always_inline]] inline void reciprocal(const typename Wide<N>::Floats& x, typename Wide<N>::Floats& out) {
#if defined(__x86_64__) && !defined(__clang__)
    if constexpr (N == 64)
        asm("vrcp14ps %1, %0" : "=v"(out) : "v"(x));
    else
        asm("vrcpps %1, %0" : "=x"(out) : "x"(x));
#else
    out = 1 / x;
#endif
}

/// out[i] = ⌊n[i] / d[i]⌋ for 0 ≤ n ≤ 255 d, 1 ≤ d < 2^11, and `left` what the division leaves. Only with AVX2.
template <int N>
[[gnu::always_inline]] inline void divide(const typename Wide<N>::Ints& n, const typename Wide<N>::Ints& d, typename Wide<N>::Ints& out,
                                          typename Wide<N>::Ints& left) {
    using Ints = typename Wide<N>::Ints;
    using Floats = typename Wide<N>::Floats;
    Floats inverse;
    reciprocal<N>(__builtin_convertvector(d, Floats), inverse);
    const Ints about = __builtin_convertvector(__builtin_convertvector(n, Floats) * inverse, Ints);  // or 1 more or less
    const Ints rest = n - about * d, less = rest < Ints{} ? Ints{} - 1 : Ints{}, more = rest >= d ? Ints{} + 1 : Ints{};
    out = about + less + more;
    left = rest + ((less & d) - (d & -more));
}

/// Returns whether bit index[i] of 256 is set. Only with AVX2.
template <int N>
[[gnu::always_inline]] inline void bit_of([[maybe_unused]] const std::uint32_t (&bits)[8],
                                          [[maybe_unused]] const typename Wide<N>::Ints& index, typename Wide<N>::Ints& out) {
#if defined(__x86_64__) && !defined(__clang__)
    using V = Wide<N>;
    typename V::Naturals table, word;
    for (int i = 0; i < N / 4; i += 8) std::memcpy(reinterpret_cast<char*>(&table) + 4 * i, bits, sizeof bits);
    asm("vpermd %2, %1, %0" : "=v"(word) : "v"(index >> 5), "v"(table));
    out = reinterpret_cast<typename V::Ints>(word >> reinterpret_cast<typename V::Naturals>(index & 31)) & 1;
#else
    for (int i = 0; i < N / 4; ++i) out[i] = static_cast<std::int32_t>(bits[index[i] / 32] >> index[i] % 32 & 1);
#endif
}

/// Narrows two vectors to one of elements half as wide, bounded by those, in the order that interleave() took them apart.
template <int N>
[[gnu::always_inline]] inline void narrow(const typename Wide<N>::Ints& a, const typename Wide<N>::Ints& b,
                                          typename Wide<N>::Words& out) {
    if constexpr (!by_name) narrowed_in_order(a, b, -32768, 32767, out);
#if defined(__x86_64__) && !defined(__clang__)
    else if constexpr (N > 16 || three_operands)
        asm("vpackssdw %2, %1, %0" : "=v"(out) : "v"(a), "vm"(b));
    else
        asm("packssdw %2, %0" : "=x"(out) : "0"(a), "x"(b));
#endif
}
template <int N>
[[gnu::always_inline]] inline void narrow(const typename Wide<N>::Words& a, const typename Wide<N>::Words& b,
                                          typename Wide<N>::Bytes& out) {
    if constexpr (!by_name) narrowed_in_order(a, b, 0, 255, out);
#if defined(__x86_64__) && !defined(__clang__)
    else if constexpr (N > 16 || three_operands)
        asm("vpackuswb %2, %1, %0" : "=v"(out) : "v"(a), "vm"(b));
    else
        asm("packuswb %2, %0" : "=x"(out) : "0"(a), "x"(b));
#endif
}

/// The bytes of a and b as words, alternating, for multiply_pairs().
template <int N>
[[gnu::always_inline]] inline void widen_pairs(const typename Wide<N>::Bytes& a, const typename Wide<N>::Bytes& b,
                                               typename Wide<N>::Words (&out)[4]) {
    const typename Wide<N>::Bytes zero = {};
    typename Wide<N>::Bytes mixed[2], wide[4];
    interleave<false>(a, b, mixed[0]);
    interleave<true>(a, b, mixed[1]);
#pragma GCC unroll 2
    for (int k = 0; k < 2; ++k) {
        interleave<false>(mixed[k], zero, wide[2 * k]);
        interleave<true>(mixed[k], zero, wide[2 * k + 1]);
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) out[k] = reinterpret_cast<typename Wide<N>::Words>(wide[k]);
}

/// Narrows integers to bytes, in the order in which widen() or widen_pairs() took them apart, and writes them.
template <int N>
[[gnu::always_inline]] inline void store_bytes(const typename Wide<N>::Ints (&ints)[4], std::uint8_t* out) {
    typename Wide<N>::Words words[2];
    typename Wide<N>::Bytes bytes;
    narrow<N>(ints[0], ints[1], words[0]);
    narrow<N>(ints[2], ints[3], words[1]);
    narrow<N>(words[0], words[1], bytes);
    store(bytes, out);
}

}  // namespace doppel::image::detail
