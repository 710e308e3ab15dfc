// SPDX-License-Identifier: Apache-2.0
// Proof that a network is as it was.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/ops/arange.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::eval {

namespace detail {

/// Returns the sum of all bit patterns, each times another odd number, modulo 2⁶⁴: [] int64. It differs for certain if one
/// value has changed.
inline Tensor bits_of(const Tensor& tensor) {
    const Tensor flat = tensor.detach().contiguous().flatten();
    const auto size = flat.element_size();
    const Tensor bits = flat.view(size == 4 ? at::kInt : size == 8 ? at::kLong : at::kByte);
    Tensor sum = at::zeros({}, bits.options().dtype(at::kLong));
    std::int64_t first = 1;
    for (const Tensor& part : bits.split(std::int64_t{1} << 20)) {
        const std::int64_t next = first + 2 * part.size(0);
        sum += (part.to(at::kLong) * at::arange(first, next, 2, sum.options())).sum();
        first = next;
    }
    return sum;
}

}  // namespace detail

/// A hash of each parameter and each buffer of a module, to show later that none has changed. One pass over the tensors on
/// their device, one device sync, no copy of them.
///
///     const eval::Unchanged encoder(*network);
///     train_a_classifier_on(*network);
///     encoder.require_same("linear probe");
class Unchanged {
public:
    explicit Unchanged(const torch::nn::Module& module) : module_(module) {
        each([&](const std::string& name, const Tensor&) { names_.push_back(name); });
        before_ = hashes();
    }

    /// Throws Error with the names if a tensor has changed, was added or is gone.
    void require_same(std::string_view who) const {
        const Tensor now = hashes();
        require(now.sizes() == before_.sizes(), who, ": the network had ", before_.numel(),
                " parameters and buffers and has ", now.numel(), " now; its forward() must not add or remove any");
        std::string changed;
        std::size_t count = 0;
        for (std::size_t i = 0; i < names_.size(); ++i) {
            const auto at = static_cast<std::int64_t>(i);
            if (now[at].item<std::int64_t>() == before_[at].item<std::int64_t>()) continue;
            if (++count <= 3) changed += (changed.empty() ? "'" : ", '") + names_[i] + "'";
        }
        require(count == 0, who, ": ", count, " parameters and buffers of the frozen network have changed: ", changed,
                count > 3 ? ", …" : "", "; in evaluation mode its forward() must not write to them");
    }

private:
    template <class Use>
    void each(Use&& use) const {
        for (const auto& item : module_.named_parameters()) use(item.key(), item.value());
        for (const auto& item : module_.named_buffers()) use(item.key(), item.value());
    }
    Tensor hashes() const {
        const at::NoGradGuard no_grad;
        std::vector<Tensor> all;
        each([&](const std::string&, const Tensor& tensor) { all.push_back(detail::bits_of(tensor)); });
        return all.empty() ? at::zeros({0}, at::kLong) : at::stack(all).cpu();  // [tensors]
    }

    const torch::nn::Module& module_;
    std::vector<std::string> names_;
    Tensor before_;
};

}  // namespace doppel::eval
