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

// The compiler makes none of these instructions from plain code, and their intrinsics cannot stand in a function that is
// compiled for several targets; hence by name.
#if defined(__AVX__)
inline constexpr bool three_operands = true;
#else
inline constexpr bool three_operands = false;
#endif

/// out[i] = a[2i] · b[2i] + a[2i + 1] · b[2i + 1].
template <int N>
[[gnu::always_inline]] inline void multiply_pairs(const typename Wide<N>::Words& a, const typename Wide<N>::Words& b,
                                                  typename Wide<N>::Ints& out) {
#if defined(__x86_64__)
    if constexpr (N > 16 || three_operands)
        asm("vpmaddwd %2, %1, %0" : "=v"(out) : "v"(a), "vm"(b));
    else
        asm("pmaddwd %2, %0" : "=x"(out) : "0"(a), "x"(b));
#else
    for (int i = 0; i < N / 4; ++i) out[i] = a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1];
#endif
}

/// Narrows two vectors to one of half as wide elements, bounded by those, in the order that interleave() took them apart.
template <int N>
[[gnu::always_inline]] inline void narrow(const typename Wide<N>::Ints& a, const typename Wide<N>::Ints& b,
                                          typename Wide<N>::Words& out) {
#if defined(__x86_64__)
    if constexpr (N > 16 || three_operands)
        asm("vpackssdw %2, %1, %0" : "=v"(out) : "v"(a), "vm"(b));
    else
        asm("packssdw %2, %0" : "=x"(out) : "0"(a), "x"(b));
#else
    for (int i = 0; i < N / 2; ++i) {
        const std::int32_t value = i % 8 < 4 ? a[i / 8 * 4 + i % 4] : b[i / 8 * 4 + i % 4];
        out[i] = static_cast<std::int16_t>(value < -32768 ? -32768 : value > 32767 ? 32767 : value);
    }
#endif
}
template <int N>
[[gnu::always_inline]] inline void narrow(const typename Wide<N>::Words& a, const typename Wide<N>::Words& b,
                                          typename Wide<N>::Bytes& out) {
#if defined(__x86_64__)
    if constexpr (N > 16 || three_operands)
        asm("vpackuswb %2, %1, %0" : "=v"(out) : "v"(a), "vm"(b));
    else
        asm("packuswb %2, %0" : "=x"(out) : "0"(a), "x"(b));
#else
    for (int i = 0; i < N; ++i) {
        const std::int16_t value = i % 16 < 8 ? a[i / 16 * 8 + i % 8] : b[i / 16 * 8 + i % 8];
        out[i] = static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
    }
#endif
}

}  // namespace doppel::image::detail
