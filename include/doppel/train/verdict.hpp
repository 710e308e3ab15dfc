// SPDX-License-Identifier: Apache-2.0
// Whether a step may be taken, decided on the device and read by the host when it is known.
#pragma once

#include <doppel/core/tensor.hpp>
#include <doppel/device/finite.hpp>
#include <doppel/optim/groups.hpp>

#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <optional>
#include <vector>

namespace doppel::train {

/// Returns [] float32 on the device: 1 if the loss or a gradient is not finite, else 0. The host does not wait.
///
///     const Tensor bad = train::not_finite(loss, optimizer.groups());
///     optimizer.step(lr, {}, bad), method->commit(bad);
inline Tensor not_finite(const Tensor& loss, const optim::Groups& groups) {
    const at::NoGradGuard no_grad;
    std::vector<Tensor> values{loss.detach()};
    for (const auto& group : groups)
        for (const auto& [name, parameter] : group.parameters)
            if (parameter.grad().defined()) values.push_back(parameter.grad());
    return device::not_finite(values);
}

/// A verdict on its way to the host.
class LateVerdict {
public:
    /// Sends loss, verdict and, on several processes, whether one wants to stop, all [], to page-locked memory.
    LateVerdict(const Tensor& loss, const Tensor& bad, const Tensor& stops = {}) : arrived_(bad.device().type()) {
        const Tensor both = at::stack({loss.detach().to(at::kFloat), bad, stops.defined() ? stops : bad});
        has_stops_ = stops.defined();
        values_ = at::empty({3}, at::TensorOptions().dtype(at::kFloat).pinned_memory(true));
        values_.copy_(both, /*non_blocking=*/true);
        arrived_.record(c10::impl::VirtualGuardImpl(bad.device().type()).getStream(bad.device()));
    }
    /// Waits until that step's work is done; what was launched after it goes on.
    bool bad() {
        arrived_.synchronize();
        return values_.const_data_ptr<float>()[1] != 0;
    }
    /// Whether a process wants to stop, after bad().
    bool stops() const { return has_stops_ && values_.const_data_ptr<float>()[2] > 0; }
    /// The step's loss, after bad().
    double loss() const { return values_.const_data_ptr<float>()[0]; }

private:
    Tensor values_;
    bool has_stops_ = false;
    c10::Event arrived_;
};

}  // namespace doppel::train
