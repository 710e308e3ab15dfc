// SPDX-License-Identifier: Apache-2.0
// The text of doppel's CUDA kernels, one program, and the types that host and kernels share.
#pragma once

namespace doppel::device {

// A file in kernels/ is the argument of DOPPEL_DEVICE_CODE, a macro that each includer defines: here a string, or the code
// itself for types of both sides; in tests, code that runs on the CPU. So no preprocessor line may be in it.
#define DOPPEL_DEVICE_CODE(...) __VA_ARGS__
#include <doppel/device/kernels/layout.cuh>
#undef DOPPEL_DEVICE_CODE

#define DOPPEL_DEVICE_CODE(...) #__VA_ARGS__ " "
inline constexpr char kernel_source[] =
#include <doppel/device/kernels/layout.cuh>
    //
#include <doppel/device/kernels/common.cuh>
    //
#include <doppel/device/kernels/ema.cuh>
    //
#include <doppel/device/kernels/select.cuh>
    //
#include <doppel/device/kernels/finite.cuh>
    //
#include <doppel/device/kernels/normalize.cuh>
    //
#include <doppel/device/kernels/lars.cuh>
    //
#include <doppel/device/kernels/adamw.cuh>
    //
#include <doppel/device/kernels/clip.cuh>
    //
#include <doppel/device/kernels/row_sums.cuh>
    //
#include <doppel/device/kernels/views.cuh>
    ;
#undef DOPPEL_DEVICE_CODE

}  // namespace doppel::device
