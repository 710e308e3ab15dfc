// SPDX-License-Identifier: Apache-2.0
// Seeds one of torch's generators for a scope.
#pragma once

#include <doppel/core/tensor.hpp>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>

#include <cstdint>
#include <mutex>

namespace doppel {

/// Seeds torch's default generator of a device with `seed` for a scope and restores its state afterwards.
///
///     { const SeedScope seed(1); net = Net(16); }   // the same weights each time
class SeedScope {
public:
    explicit SeedScope(std::uint64_t seed, at::Device device = at::kCPU)
        : generator_(device.is_cpu() ? at::detail::getDefaultCPUGenerator() : at::globalContext().defaultGenerator(device)) {
        const std::lock_guard lock(generator_.mutex());
        before_ = generator_.get_state();
        generator_.set_current_seed(seed);
    }
    ~SeedScope() {
        const std::lock_guard lock(generator_.mutex());
        generator_.set_state(before_);
    }
    SeedScope(const SeedScope&) = delete;
    SeedScope& operator=(const SeedScope&) = delete;

private:
    at::Generator generator_;
    at::Tensor before_;
};

}  // namespace doppel
