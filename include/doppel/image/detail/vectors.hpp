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

}  // namespace doppel::image::detail
