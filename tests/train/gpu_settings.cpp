// SPDX-License-Identifier: Apache-2.0
#include <doppel/train/gpu_settings.hpp>

#include "support/support.hpp"

using namespace doppel;

TEST_CASE("GPU settings hold for a scope and go back") {
    auto& context = at::globalContext();
    const bool tuned = context.benchmarkCuDNN(), tf32 = context.allowTF32CuBLAS();
    {
        const train::GpuSettings settings(/*tune=*/true, /*tf32=*/true, /*deterministic=*/false);
        CHECK(context.benchmarkCuDNN());
        CHECK(context.allowTF32CuBLAS());
        CHECK(!context.deterministicAlgorithms());
    }
    {
        const train::GpuSettings settings(true, false, true);
        CHECK(!context.benchmarkCuDNN());  // tuning picks by time, which is not the same each time
        CHECK(context.deterministicCuDNN());
        CHECK(context.deterministicAlgorithms());
    }
    CHECK(context.benchmarkCuDNN() == tuned);
    CHECK(context.allowTF32CuBLAS() == tf32);
    CHECK(!context.deterministicAlgorithms());
    CHECK(!context.deterministicCuDNN());
}
