// SPDX-License-Identifier: Apache-2.0
// Precision of the network.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>

#include <string_view>

// As in ATen/autocast_mode.h, which includes all operators besides (tests/core/precision.cpp holds one against the other).
namespace at::autocast {
TORCH_API bool is_autocast_enabled(at::DeviceType device_type);
TORCH_API void set_autocast_enabled(at::DeviceType device_type, bool enabled);
TORCH_API at::ScalarType get_autocast_dtype(at::DeviceType device_type);
TORCH_API void set_autocast_dtype(at::DeviceType device_type, at::ScalarType dtype);
TORCH_API void clear_cache();
TORCH_API int increment_nesting();
TORCH_API int decrement_nesting();
}  // namespace at::autocast

namespace doppel {

/// Precision of the network's forward and backward pass. Parameters, losses, normalization statistics,
/// EMA copies and queues are always float32.
enum class Precision {
    fp32,  ///< everything in float32
    bf16,  ///< convolutions and matrix products in bfloat16, by autocast
    fp16,  ///< the same in float16, which needs optim::LossScaling: gradients leave its range
};

inline std::string_view name_of(Precision precision) {
    return precision == Precision::bf16 ? "bf16" : precision == Precision::fp16 ? "fp16" : "fp32";
}

inline Precision precision_from(std::string_view name) {
    if (name == "fp32") return Precision::fp32;
    if (name == "bf16") return Precision::bf16;
    if (name == "fp16") return Precision::fp16;
    fail("precision must be fp32, bf16 or fp16, got '", name, "'");
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
        if (precision == Precision::fp16) at::autocast::set_autocast_dtype(device_, at::kHalf);
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
