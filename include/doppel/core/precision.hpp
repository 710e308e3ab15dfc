// SPDX-License-Identifier: Apache-2.0
// Device and precision of the network.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>

#include <string>
#include <string_view>

namespace doppel {

/// Precision of the network's forward and backward pass. Parameters, losses, normalization statistics,
/// EMA copies and queues are always float32.
enum class Precision {
    fp32,  ///< everything in float32
    bf16,  ///< convolutions and matrix products in bfloat16, by autocast
};

inline std::string_view name_of(Precision precision) { return precision == Precision::bf16 ? "bf16" : "fp32"; }

inline Precision precision_from(std::string_view name) {
    if (name == "fp32") return Precision::fp32;
    if (name == "bf16") return Precision::bf16;
    fail("precision must be fp32 or bf16, got '", name, "'");
}

/// Parses a device name: "cpu", "cuda", "cuda:1", or "auto" (CUDA if available).
inline at::Device device_from(const std::string& name) {
    if (name == "cpu") return at::kCPU;
    if (name == "auto") return at::hasCUDA() && at::detail::getCUDAHooks().deviceCount() > 0 ? at::kCUDA : at::kCPU;
    const bool cuda = name == "cuda" || (name.starts_with("cuda:") && name.size() > 5 && name.size() < 8 &&
                                         name.find_first_not_of("0123456789", 5) == std::string::npos);
    require(cuda, "device must be auto, cpu, cuda or cuda:N, got '", name, "'");
    const int count = at::hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
    require(count > 0, "device ", name, ": no CUDA device is usable here; use --device cpu");
    const int index = name == "cuda" ? 0 : std::stoi(name.substr(5));
    require(index < count, "device ", name, ": there are ", count, " CUDA devices, numbered from 0");
    return {at::kCUDA, static_cast<at::DeviceIndex>(index)};
}

/// Switches autocast on or off for a scope and restores the previous setting, also if the scope throws.
///
///     Autocast scope(at::kCUDA, Precision::bf16);    // network
///     Autocast float32(at::kCUDA, Precision::fp32);  // loss: float32 inside any other scope
class Autocast {
public:
    Autocast(at::DeviceType device, Precision precision)
        : device_(device), enabled_(at::autocast::is_autocast_enabled(device)),
          type_(at::autocast::get_autocast_dtype(device)) {
        at::autocast::increment_nesting();
        at::autocast::set_autocast_enabled(device_, precision != Precision::fp32);
        if (precision == Precision::bf16) at::autocast::set_autocast_dtype(device_, at::kBFloat16);
    }
    ~Autocast() {
        if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
        at::autocast::set_autocast_enabled(device_, enabled_);
        at::autocast::set_autocast_dtype(device_, type_);
    }
    Autocast(const Autocast&) = delete;
    Autocast& operator=(const Autocast&) = delete;

private:
    at::DeviceType device_;
    bool enabled_;
    at::ScalarType type_;
};

}  // namespace doppel
