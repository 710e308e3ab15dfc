// SPDX-License-Identifier: Apache-2.0
// Buffers as they were before a step, for a step that is not taken.
#pragma once

#include <doppel/core/tensor.hpp>
#include <doppel/device/select.hpp>

#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/empty_like.h>

#include <cstddef>
#include <map>
#include <vector>

namespace doppel::detail {

/// Buffers that can go back to where they were, by type. The copies' tensors are reused.
class SavedBuffers {
public:
    /// A handle, which stays when a module moves.
    void add(const Tensor& buffer) { all_[buffer.scalar_type()].now.push_back(buffer); }

    /// Keeps the values, unless they are kept already.
    void save() {
        if (saved_) return;
        const at::NoGradGuard no_grad;
        for (auto& [type, kept] : all_) {
            bool fits = kept.before.size() == kept.now.size();
            for (std::size_t i = 0; fits && i < kept.now.size(); ++i)
                fits = kept.before[i].device() == kept.now[i].device() && kept.before[i].dtype() == kept.now[i].dtype();
            if (!fits) {
                kept.before.clear();
                for (const Tensor& value : kept.now) kept.before.push_back(at::empty_like(value));
            }
            at::_foreach_copy_(kept.before, kept.now);
        }
        saved_ = true;
    }

    /// Puts the kept values back, where there are some.
    void restore() {
        const at::NoGradGuard no_grad;
        if (saved_)
            for (auto& [type, kept] : all_) at::_foreach_copy_(kept.now, kept.before);
        saved_ = false;
    }

    /// The same where `bad` [] is 1 on the device; the host need not know.
    void restore_if(const Tensor& bad) {
        const at::NoGradGuard no_grad;
        if (saved_)
            for (auto& [type, kept] : all_) device::restore_if(bad, kept.now, kept.before);
        saved_ = false;
    }

    void drop() { saved_ = false; }

private:
    struct Kept {
        std::vector<Tensor> now, before;
    };
    std::map<at::ScalarType, Kept> all_;
    bool saved_ = false;
};

}  // namespace doppel::detail
