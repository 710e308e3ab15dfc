// SPDX-License-Identifier: Apache-2.0
// The device that the network runs on.
#pragma once

#include <doppel/core/error.hpp>

#include <ATen/Context.h>

#include <string>

namespace doppel {

/// Parses a device name: "cpu", "cuda" (or "gpu"), "cuda:1", or "auto" (CUDA if available).
inline at::Device device_from(const std::string& name) {
    if (name == "gpu") return device_from("cuda");
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

}  // namespace doppel
