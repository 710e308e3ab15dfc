// SPDX-License-Identifier: Apache-2.0
// The vector instructions of the processor, chosen when the program runs.
#pragma once

#include <array>
#include <string_view>

namespace doppel::image {

/// The instructions that a kernel is compiled for. `baseline` is what the compiler was told to use: SSE2 on x86-64, NEON
/// on 64-bit ARM. `avx512` is that of Ice Lake, Zen 4 and later, with VBMI and VNNI. All give the same bits.
enum class Simd { baseline, avx2, avx512 };

inline constexpr std::array<Simd, 3> all_simd{Simd::baseline, Simd::avx2, Simd::avx512};
inline constexpr std::string_view name_of(Simd level) {
    return level == Simd::baseline ? "baseline" : level == Simd::avx2 ? "avx2" : "avx512";
}

/// Returns whether this processor has the instructions.
inline bool has_simd(Simd level) {
#if defined(__x86_64__)
    if (level == Simd::avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni");
    if (level == Simd::avx2) return __builtin_cpu_supports("avx2");
#endif
    return level == Simd::baseline;
}

/// Returns the best that this processor has.
inline Simd best_simd() {
    static const Simd best = has_simd(Simd::avx512) ? Simd::avx512 : has_simd(Simd::avx2) ? Simd::avx2 : Simd::baseline;
    return best;
}

namespace detail {

#if defined(__x86_64__)
template <auto kernel, class... Arguments>
__attribute__((target("avx2"))) void run_avx2(Arguments... arguments) {
    kernel(arguments...);
}
template <auto kernel, class... Arguments>
#if defined(__clang__)
__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vnni"), min_vector_width(512)))
#else
__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vnni,prefer-vector-width=512")))
#endif
void run_avx512(Arguments... arguments) {
    kernel(arguments...);
}
#endif

/// Calls the kernel for vectors of 16, 32 or 64 bytes, compiled for `level`, which the processor must have. A kernel is a
/// function of plain loops over a constant number of lanes, which the compiler turns into vector instructions; it must be
/// always_inline, to be compiled for its caller's instructions.
template <auto kernel16, auto kernel32, auto kernel64, class... Arguments>
void run_on([[maybe_unused]] Simd level, Arguments... arguments) {
#if defined(__x86_64__)
    if (level == Simd::avx512) return run_avx512<kernel64>(arguments...);
    if (level == Simd::avx2) return run_avx2<kernel32>(arguments...);
#endif
    kernel16(arguments...);
}
/// The same for a kernel that leaves the width to the compiler.
template <auto kernel, class... Arguments>
void run_on(Simd level, Arguments... arguments) {
    run_on<kernel, kernel, kernel>(level, arguments...);
}

}  // namespace detail

}  // namespace doppel::image
