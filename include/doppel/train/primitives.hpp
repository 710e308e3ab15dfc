// SPDX-License-Identifier: Apache-2.0
// What a training loop needs beside a method and an optimizer: the batch on its device, a memory format, a finite check.
#pragma once

#include <doppel/core/batch.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>
#include <doppel/core/normalize.hpp>
#include <doppel/device/normalized.hpp>
#include <doppel/optim/groups.hpp>
#include <doppel/train/feed.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

namespace doppel::train {

/// Stores the module's convolution weights in the channels-last memory format. Values and names do not change.
inline void channels_last(torch::nn::Module& module) {
    const at::NoGradGuard no_grad;
    for (Tensor& parameter : module.parameters())  // Module::to takes no memory format
        if (parameter.dim() == 4) parameter.set_data(parameter.contiguous(at::MemoryFormat::ChannelsLast));
}

/// Returns the batch, on the device where it is, with its 8-bit views normalized, all views in the channels-last format if asked
/// for.
inline Batch with_normalized_views(Batch batch, bool channels_last = true) {
    const auto format = channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
    for (std::size_t v = 0; v < batch.views.size(); ++v)
        require(batch.views[v].scalar_type() != at::kByte || v < batch.normalize.size(), "to_device: view ", v,
                " has 8 bits, and Batch::normalize says nothing about it");
    std::vector<Tensor> bytes;  // views of floats keep their type
    std::vector<Normalize> by;
    for (std::size_t v = 0; v < batch.views.size(); ++v)
        if (batch.views[v].scalar_type() == at::kByte) {
            bytes.push_back(batch.views[v]);
            by.push_back(batch.normalize[v]);
        } else {
            batch.views[v] = batch.views[v].contiguous(format);
        }
    auto next = device::normalized(bytes, by, format);
    auto one = next.begin();
    for (Tensor& view : batch.views)
        if (view.scalar_type() == at::kByte) view = *one++;
    return batch;
}

/// Returns the batch on `device`, its 8-bit views normalized there, all views in the channels-last format if asked for.
/// Copies from page-locked memory overlap with computation.
///
///     Batch batch = train::to_device(*pass->next(), at::kCUDA);
inline Batch to_device(Batch batch, at::Device device, bool channels_last = true) {
    each_tensor(batch, [&](Tensor& tensor) { tensor = tensor.to(device, /*non_blocking=*/true); });
    return with_normalized_views(std::move(batch), channels_last);
}

/// Returns whether the loss and all gradients are finite. Reads one value from the device.
///
///     loss.backward();
///     if (train::all_finite(loss, optimizer.groups())) optimizer.step(lr), method->commit(); else method->skip();
inline bool all_finite(const Tensor& loss, const optim::Groups& groups) {
    const at::NoGradGuard no_grad;
    std::vector<Tensor> gradients;
    for (const auto& group : groups)
        for (const auto& [name, parameter] : group.parameters)
            if (parameter.grad().defined()) gradients.push_back(parameter.grad());
    Tensor largest = loss.detach().abs().to(at::kDouble);
    if (!gradients.empty()) {
        const auto norms = at::_foreach_norm(gradients, std::numeric_limits<double>::infinity());
        largest = largest + at::stack(norms).to(at::kDouble).sum();  // double: finite values stay finite
    }
    return std::isfinite(largest.item<double>());
}

}  // namespace doppel::train
