// SPDX-License-Identifier: Apache-2.0
// What torch lets a program choose about its GPU's arithmetic.
#pragma once

#include <ATen/Context.h>

#include <cstdlib>
#include <string>

namespace doppel::train {

/// torch's switches for a scope; they go back to where they were.
class GpuSettings {
public:
    /// `tune`: cuDNN tries its algorithms for each new shape and keeps the quickest. `tf32`: float32 matrix products may round
    /// their inputs to 10 bits. `deterministic`: only algorithms that give the same bits each time, and no tuning; an operation
    /// that has none throws.
    GpuSettings(bool tune, bool tf32, bool deterministic) {
        auto& context = at::globalContext();
        context.setBenchmarkCuDNN(tune && !deterministic);
        if (tf32) context.setAllowTF32CuBLAS(true);
        if (!deterministic) return;
        ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);  // before cuBLAS is used first
        context.setDeterministicCuDNN(true);
        context.setDeterministicAlgorithms(true, /*warn_only=*/false);
    }
    ~GpuSettings() {
        auto& context = at::globalContext();
        context.setBenchmarkCuDNN(tuned_);
        context.setAllowTF32CuBLAS(tf32_);
        context.setDeterministicCuDNN(deterministic_cudnn_);
        context.setDeterministicAlgorithms(deterministic_, warn_only_);
    }
    GpuSettings(const GpuSettings&) = delete;
    GpuSettings& operator=(const GpuSettings&) = delete;

private:
    bool tuned_ = at::globalContext().benchmarkCuDNN(), tf32_ = at::globalContext().allowTF32CuBLAS(),
         deterministic_cudnn_ = at::globalContext().deterministicCuDNN(), deterministic_ = at::globalContext().deterministicAlgorithms(),
         warn_only_ = at::globalContext().deterministicAlgorithmsWarnOnly();
};

}  // namespace doppel::train
