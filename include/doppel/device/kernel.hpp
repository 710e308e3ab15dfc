// SPDX-License-Identifier: Apache-2.0
// Kernels as values, and where they can be used.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/device/backend.hpp>
#include <doppel/device/cuda_backend.hpp>

#include <ATen/ops/full.h>

#include <cstddef>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace doppel::device {

/// Returns the active backend: CUDA's, unless UseBackend replaces it.
inline Backend& backend() {
    if (Backend* const other = detail::replaced_backend) return *other;
    static CudaBackend cuda;
    return cuda;
}

/// Returns whether doppel's own kernels run on the device, with the reason if not: no NVRTC, no driver, another kind of
/// device, or DOPPEL_KERNELS=0 in the environment. The first call for a device compiles and loads them, so it must precede
/// the capture of a graph. Operations of this folder ask by themselves and else take ATen's path, with equal results.
///
///     if (const auto usable = device::kernels_usable(device); !usable) std::cerr << usable.why_not;
inline const Usable& kernels_usable(at::Device device) {
    static const Usable switched_off{false, "DOPPEL_KERNELS=0 is set"};
    const char* const wanted = std::getenv("DOPPEL_KERNELS");
    if (wanted && std::string_view(wanted) == "0") return switched_off;
    return backend().usable(device);
}

/// A kernel with parameters of these types, by its name (extern "C") in a source text. The text is compiled for a device at
/// the first launch there, and kept on disk.
///
///     constexpr device::Kernel<float*, int> fill{"fill", R"(extern "C" __global__ void fill(float* x, int n) { … })"};
///     fill({.blocks = 8, .threads = 128}, x.device(), x.data_ptr<float>(), 1000);
template <class... Parameters>
struct Kernel {
    static_assert((std::size_t{0} + ... + ((sizeof(Parameters) + 7) / 8 * 8)) <= 4096, "a kernel's parameters have 4096 bytes at most");

    const char* name;
    const char* text = kernel_source;

    /// Enqueues the kernel on the device's current stream; without blocks, nothing. Throws Error if it does not compile.
    void operator()(Grid grid, at::Device device, Parameters... values) const {
        if (grid.blocks == 0) return;
        void* arguments[] = {const_cast<void*>(static_cast<const void*>(&values))...};
        backend().launch({name, text}, grid, arguments, device);
    }
};

/// A number that an operation reads on the device: a constant, or a tensor [] of float32 or float64 there, times a factor.
/// A graph that was captured with a tensor reads its value at each replay.
///
///     device::ema(target, online, {.m = schedules.select(0, 2)});   // read on the device
///     device::Number rate{lr, 0.024};                               // 0.024 · lr
class Number {
public:
    Number(double value) : times_(value) {}  // NOLINT: a number is one
    Number(Tensor tensor, double times = 1) : tensor_(std::move(tensor)), times_(times) {  // NOLINT
        require(tensor_.defined() && tensor_.numel() == 1 && (tensor_.scalar_type() == at::kFloat || tensor_.scalar_type() == at::kDouble),
                "Number: a tensor must hold one float32 or float64");
    }

    bool is_constant() const { return !tensor_.defined(); }
    /// The value where the host knows it: a constant, or a tensor on the CPU.
    bool is_known() const { return is_constant() || tensor_.device().is_cpu(); }
    double value() const { return is_constant() ? times_ : tensor_.item<double>() * times_; }
    /// A tensor [] of float64.
    Tensor tensor() const {
        return is_constant() ? at::full({}, times_, at::kDouble) : tensor_.detach().reshape({}).to(at::kDouble).mul(times_);
    }

    /// The argument of a kernel on `device`.
    Scalar argument(at::Device device) const {
        if (is_constant()) return {nullptr, 0, times_};
        require(tensor_.device() == device, "Number: the tensor is on ", tensor_.device(), ", expected ", device);
        return {tensor_.const_data_ptr(), tensor_.scalar_type() == at::kDouble, times_};
    }

private:
    Tensor tensor_{};
    double times_ = 1;
};

/// Returns the address of a verdict on a step, float32 [] on `device`, for a kernel; null if it is undefined.
inline const float* verdict_at(const char* who, const Tensor& bad, at::Device device) {
    if (!bad.defined()) return nullptr;
    require(bad.scalar_type() == at::kFloat && bad.numel() == 1 && bad.device() == device, who,
            ": the verdict must be float32 [] on ", device, ", got ", bad.scalar_type(), ' ', bad.sizes(), " on ", bad.device());
    return bad.const_data_ptr<float>();
}

}  // namespace doppel::device
