// SPDX-License-Identifier: Apache-2.0
// A first-in, first-out memory of target outputs: MoCo's queue.
#pragma once

#include <doppel/contracts/queue.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/core/tensor.hpp>

#include <algorithm>
#include <cstdint>
#include <string>

namespace doppel::queues {

/// The last `capacity` target outputs, unit-norm, float32. Any capacity, any batch size: writing wraps around,
/// and of a batch larger than the queue the last rows stay. Starts with random unit rows.
/// The loss reads it as it was before the batch; the batch is written by commit().
/// Source: He et al., "Momentum Contrast", 2019, arXiv:1911.05722, section 3.1.
///
///     .queue = queues::Fifo{.capacity = 4096}
struct Fifo {
    std::int64_t capacity = 65536;  ///< K ≥ 1, rows. A large share of the data set hurts: false negatives, stale keys

    /// The memory of one method: rows, the next row to write, and how many were ever written (at most K).
    class State {
    public:
        State(const Fifo& options, std::int64_t dim) {
            require(options.capacity >= 1, "Fifo: capacity must be at least 1, got ", options.capacity);
            const Tensor noise = at::randn({options.capacity, dim});
            rows_ = noise / noise.norm(2, 1, true).clamp_min(1e-12);
            pointer_ = at::zeros({1}, at::kLong);
            filled_ = at::zeros({1}, at::kLong);
        }

        /// A warning when the queue holds a large share of the data: keys of other views of the image itself are then
        /// among the negatives (CIFAR-10's 50,000 images: 4,096).
        std::string begin(const Horizon& horizon) const {
            if (4 * rows_.size(0) <= horizon.samples) return "";
            return "Fifo: a queue of " + std::to_string(rows_.size(0)) + " for " + std::to_string(horizon.samples) +
                   " images holds a large share of them: an image meets its own older views as negatives; at most a "
                   "quarter of the images is advised";
        }

        /// [K, D], float32, unit rows.
        const Tensor& read() const { return rows_; }

        /// Writes the target outputs of all views that have one. Works on the device, without a sync.
        void commit(const Outputs& outputs) {
            for (const Tensor& keys : outputs.target)
                if (keys.defined()) push(keys);
        }

        void push(const Tensor& keys) {
            const at::NoGradGuard no_grad;
            const std::int64_t capacity = rows_.size(0), batch = keys.size(0), kept = std::min(batch, capacity);
            Tensor latest = keys.detach().to(at::kFloat).narrow(0, batch - kept, kept);
            latest = latest / latest.norm(2, 1, true).clamp_min(1e-12);
            const Tensor places = (pointer_ + at::arange(kept, pointer_.options())).remainder(capacity);
            rows_.index_copy_(0, places, latest);
            pointer_.add_(kept).remainder_(capacity);
            filled_.add_(kept).clamp_max_(capacity);
        }

        /// Names the tensors that belong to a checkpoint.
        template <class Visitor>
        void state(Visitor&& visit) {
            visit("rows", rows_);
            visit("pointer", pointer_);
            visit("filled", filled_);
        }

    private:
        Tensor rows_, pointer_, filled_;
    };

    State build(std::int64_t dim) const { return State(*this, dim); }
};

static_assert(contracts::QueueSpec<Fifo> && contracts::Begins<Fifo::State>);

}  // namespace doppel::queues
