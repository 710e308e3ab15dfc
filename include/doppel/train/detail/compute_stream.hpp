// SPDX-License-Identifier: Apache-2.0
// The stream that a GPU's training runs on.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <map>
#include <optional>

namespace doppel::train::detail {

/// The work of a scope on a stream of its own on a GPU, since the default stream cannot be captured; ordered after what stood on
/// the stream before, and before what comes there afterwards. On the CPU nothing.
class ComputeStream {
public:
    explicit ComputeStream(at::Device device) {
        if (device.is_cpu()) return;
        const c10::impl::VirtualGuardImpl guard(device.type());
        before_ = guard.getStream(device);
        static thread_local std::map<at::DeviceIndex, c10::Stream> own;
        const auto index = guard.getStream(device).device_index();
        own_ = own.try_emplace(index, guard.getStreamFromGlobalPool({device.type(), index})).first->second;
        wait(*own_, *before_);
        scope_.emplace(*own_);
    }
    ~ComputeStream() {
        if (!own_) return;
        scope_.reset();
        try {
            wait(*before_, *own_);
        } catch (...) {}  // the device is lost: whatever comes next says so
    }
    ComputeStream(const ComputeStream&) = delete;
    ComputeStream& operator=(const ComputeStream&) = delete;

private:
    static void wait(const c10::Stream& later, const c10::Stream& earlier) {
        c10::Event done(earlier.device_type());
        done.record(earlier);
        done.block(later);
    }
    std::optional<c10::Stream> before_, own_;
    std::optional<c10::StreamGuard> scope_;
};

}  // namespace doppel::train::detail
