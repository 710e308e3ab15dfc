// SPDX-License-Identifier: Apache-2.0
// How much memory torch's CPU allocator holds at most.
#pragma once

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <cstdint>
#include <memory>

namespace doppel::test {

/// The bytes that this thread's tensors take while `action` runs, at most, beside those that were there before.
template <class Action>
std::int64_t peak_memory(Action&& action) {
    struct Watch final : c10::MemoryReportingInfoBase {
        std::int64_t now = 0, most = 0;
        void reportMemoryUsage(void*, std::int64_t bytes, std::size_t, std::size_t, c10::Device) override {
            now += bytes;
            most = std::max(most, now);
        }
        bool memoryProfilingEnabled() const override { return true; }
    };
    const auto watch = std::make_shared<Watch>();
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, watch);
    action();
    return watch->most;
}

}  // namespace doppel::test
