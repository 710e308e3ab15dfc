// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/simd.hpp>

#include "support/support.hpp"

using namespace doppel;

namespace {

template <int N>
[[gnu::always_inline]] inline void told(int* out) {
    *out = N;
}

}  // namespace

TEST_CASE("every processor has the baseline, and the best that it has is one that it has") {
    CHECK(image::has_simd(image::Simd::baseline));
    CHECK(image::has_simd(image::best_simd()));
    for (const auto simd : image::all_simd)
        if (image::has_simd(simd)) CHECK(simd <= image::best_simd());
    CHECK(image::name_of(image::Simd::avx512) == "avx512");
}

TEST_CASE("run_on calls the kernel of the level that it is given") {
    const auto width = [](image::Simd level) {
        int out = 0;
        image::detail::run_on<told<16>, told<32>, told<64>>(level, &out);
        return out;
    };
    CHECK(width(image::Simd::baseline) == 16);
    if (image::has_simd(image::Simd::avx2)) CHECK(width(image::Simd::avx2) == 32);
    if (image::has_simd(image::Simd::avx512)) CHECK(width(image::Simd::avx512) == 64);
}
