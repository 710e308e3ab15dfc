// SPDX-License-Identifier: Apache-2.0
// Torch's CPU generator under a seed for a scope, and as it was afterwards.
#pragma once

#include <doppel/core/tensor.hpp>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>

#include <cstdint>
#include <mutex>

namespace doppel {

/// Inside the scope torch's default CPU generator draws from `seed`; afterwards it goes on where it was.
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
