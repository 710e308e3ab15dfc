// SPDX-License-Identifier: Apache-2.0
// How often batches passed through BatchNorm layers: num_batches_tracked, written once a step.
#pragma once

#include <doppel/core/batch_norm.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/ops/_foreach_add.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace doppel::detail {

/// Counts of some layers, in the order in which they were added.
class NormPasses {
public:
    using Counts = std::vector<std::int64_t>;

    void add(SplitsBatch& layer) {
        if (!layer.count().defined()) return;
        layers_.push_back(&layer);
        step_.push_back(0);
    }

    /// Before a forward pass: what one that threw has left does not count.
    void begin() {
        for (SplitsBatch* layer : layers_) layer->passes = 0;
    }
    /// After it.
    void end() {
        Counts counts;
        for (SplitsBatch* layer : layers_) counts.push_back(std::exchange(layer->passes, 0));
        count(counts);
    }
    /// Counts a forward pass that ran without the layers.
    void count(const Counts& counts) {
        last_ = counts;
        for (std::size_t i = 0; i < counts.size(); ++i) step_[i] += counts[i];
    }
    /// Of the last forward pass.
    const Counts& last() const { return last_; }

    void drop() { std::fill(step_.begin(), step_.end(), 0); }
    /// Adds the passes of the step to the layers' counts, in one launch.
    void commit() {
        std::vector<Tensor> counts;
        std::vector<at::Scalar> passes;
        for (std::size_t i = 0; i < layers_.size(); ++i)
            if (const auto n = std::exchange(step_[i], 0); n > 0) {
                counts.push_back(layers_[i]->count());
                passes.emplace_back(n);
            }
        if (!counts.empty()) at::_foreach_add_(counts, passes);
    }

private:
    std::vector<SplitsBatch*> layers_;
    Counts last_, step_;
};

}  // namespace doppel::detail
