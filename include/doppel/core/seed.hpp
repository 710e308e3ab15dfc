// SPDX-License-Identifier: Apache-2.0
// Seeds torch's CPU generator for a scope.
#pragma once

#include <doppel/core/tensor.hpp>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>

#include <cstdint>
#include <mutex>

namespace doppel {

/// Seeds torch's default CPU generator with `seed` for a scope and restores its state afterwards.
///
///     { const SeedScope seed(1); net = Net(16); }   // the same weights each time
class SeedScope {
public:
    explicit SeedScope(std::uint64_t seed) : generator_(at::detail::getDefaultCPUGenerator()) {
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
