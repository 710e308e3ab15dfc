// SPDX-License-Identifier: Apache-2.0
// Batches on their way to the device, ahead of the step that takes them.
#pragma once

#include <doppel/core/batch.hpp>
#include <doppel/core/tensor.hpp>

#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <optional>
#include <utility>
#include <vector>

namespace doppel::train {

/// Calls use(tensor) for every tensor of a batch that has values.
template <class Use>
void each_tensor(Batch& batch, Use&& use) {
    const auto one = [&](Tensor& tensor) {
        if (tensor.defined() && !tensor.is_meta()) use(tensor);
    };
    for (Tensor& view : batch.views) one(view);
    for (Tensor& drawn : batch.drawn) one(drawn);
    one(batch.index);
    one(batch.label);
    for (Tensor& order : batch.orders) one(order);
    for (MaskedPatches& masked : batch.masked)
        for (Tensor* part : {&masked.mask, &masked.places, &masked.weight}) one(*part);
}

/// Sends batches to a device. On a GPU they travel on a stream of their own, from page-locked memory, so that they arrive while
/// the step before is computed; views stay as they are (8 bits). On the CPU nothing is done.
///
///     auto sent = feed.send(*pass->next());     // returns at once
///     Batch batch = feed.receive(std::move(sent));   // what the current stream does from here on comes after the copies
class Feed {
public:
    explicit Feed(at::Device device) : device_(device) {
        if (device.is_cpu()) return;
        guard_.emplace(device.type());
        copies_ = guard_->getStreamFromGlobalPool(device);
    }

    struct Sent {
        Batch batch{};
        std::optional<c10::Event> arrived{};
    };

    Sent send(Batch batch) {
        Sent sent{.batch = std::move(batch)};
        if (!copies_) return sent;
        const c10::StreamGuard scope(*copies_);
        each_tensor(sent.batch, [&](Tensor& tensor) {
            if (tensor.device().is_cpu() && !tensor.is_pinned()) tensor = tensor.pin_memory();
            tensor = tensor.to(device_, /*non_blocking=*/true);
        });
        sent.arrived.emplace(device_.type());
        sent.arrived->record(*copies_);
        return sent;
    }

    Batch receive(Sent sent) const {
        if (sent.arrived) {
            const c10::Stream here = guard_->getStream(device_);
            sent.arrived->block(here);
            each_tensor(sent.batch, [&](Tensor& tensor) { tensor.record_stream(here); });
        }
        return std::move(sent.batch);
    }

private:
    at::Device device_;
    std::optional<c10::impl::VirtualGuardImpl> guard_{};
    std::optional<c10::Stream> copies_{};
};

}  // namespace doppel::train
