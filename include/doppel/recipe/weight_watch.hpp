// SPDX-License-Identifier: Apache-2.0
// Whether an optimizer has moved the weights since the last look.
#pragma once

#include <doppel/core/tensor.hpp>

#include <ATen/ops/equal.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace doppel::detail {

/// Looks at torch's count of changes in place of every weight, and, since torch's own optimizers go round that count, at
/// the first values of three weights. A step that moves none of these is not seen.
class WeightWatch {
public:
    void add(const Tensor& weight) {
        if (weight.requires_grad() && weight.numel() > 0) weights_.push_back(weight);
    }

    /// Keeps how the weights are now.
    void look() {
        version_ = version();
        sample_ = sample();
    }

    /// Whether they are other than at the last look(). Reads values back where the counts are equal.
    bool moved() const {
        if (version() != version_) return true;
        const auto now = sample();
        for (std::size_t i = 0; i < now.size(); ++i)
            if (!at::equal(now[i], sample_.at(i).to(now[i].device(), now[i].scalar_type()))) return true;
        return false;
    }

private:
    std::uint64_t version() const {
        std::uint64_t sum = 0;
        for (const Tensor& weight : weights_) sum += static_cast<std::uint64_t>(weight._version());
        return sum;
    }
    std::vector<Tensor> sample() const {
        const at::NoGradGuard no_grad;
        std::vector<Tensor> values;
        if (weights_.empty()) return values;
        for (const std::size_t i : {std::size_t{0}, weights_.size() / 2, weights_.size() - 1}) {
            const Tensor flat = weights_[i].detach().flatten();
            values.push_back(flat.narrow(0, 0, std::min<std::int64_t>(flat.numel(), 16)).clone());
        }
        return values;
    }

    std::vector<Tensor> weights_, sample_;
    std::uint64_t version_ = 0;
};

}  // namespace doppel::detail
