// SPDX-License-Identifier: Apache-2.0
// A first-in, first-out queue of target outputs: MoCo's queue.
#pragma once

#include <doppel/contracts/queue.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/collectives.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/ops/arange.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstdint>
#include <string>

namespace doppel::queues {

/// A queue of the last `capacity` target outputs, unit-norm, float32. Any capacity and batch size: writing wraps
/// around, and of a batch larger than the queue only the last rows are kept. Starts with random unit rows.
/// The loss reads the queue without the current batch; commit() writes the batch.
/// Source: He et al., "Momentum Contrast", 2019, arXiv:1911.05722, section 3.1.
///
///     .queue = queues::Fifo{.capacity = 4096}
struct Fifo {
    std::int64_t capacity = 65536;  ///< K ≥ 1, rows. Too many for the data set means false negatives and stale keys

    /// The queue of one method: rows, the next row to write, and the number of rows written (at most K).
    class State {
    public:
        State(const Fifo& options, std::int64_t dim) {
            require(options.capacity >= 1, "Fifo: capacity must be at least 1, got ", options.capacity);
            const Tensor noise = at::randn({options.capacity, dim});
            rows_ = noise / noise.norm(2, 1, true).clamp_min(1e-12);
            pointer_ = at::zeros({1}, at::kLong);
            filled_ = at::zeros({1}, at::kLong);
        }

        /// Returns a warning if the queue has more rows than a quarter of the images: keys of other views of an image
        /// are then among its negatives. Usual for CIFAR-10's 50,000 images: 4,096.
        std::string begin(const Horizon& horizon) const {
            if (4 * rows_.size(0) <= horizon.samples) return "";
            return "Fifo: a queue of " + std::to_string(rows_.size(0)) + " for " + std::to_string(horizon.samples) +
                   " images contains older views of an image as its negatives; use at most a quarter of the images";
        }

        /// Returns the rows: [K, D], float32, unit length.
        const Tensor& read() const { return rows_; }

        /// The rows of all processes are written, in their order.
        void join(const Group& group) { group_ = group; }

        /// Writes the target outputs of all views that have one. No device sync. `bad` [] on the device: nothing if it is 1.
        void commit(const Outputs& outputs, const Tensor& bad = {}) {
            for (const Tensor& keys : outputs.target)
                if (keys.defined()) push(gathered(keys, group_), bad);
        }

        /// Writes the rows of `keys` [N, D], normalized, over the oldest ones; nothing if `bad` is 1.
        void push(const Tensor& keys, const Tensor& bad = {}) {
            const at::NoGradGuard no_grad;
            const std::int64_t capacity = rows_.size(0), batch = keys.size(0), kept = std::min(batch, capacity);
            Tensor latest = keys.detach().to(at::kFloat).narrow(0, batch - kept, kept);
            latest = latest / latest.norm(2, 1, true).clamp_min(1e-12);
            const Tensor places = (pointer_ + at::arange(kept, pointer_.options())).remainder(capacity);
            if (!bad.defined()) {
                rows_.index_copy_(0, places, latest);
                pointer_.add_(kept).remainder_(capacity);
                filled_.add_(kept).clamp_max_(capacity);
                return;
            }
            const Tensor is_bad = bad.ne(0), written = is_bad.logical_not().to(at::kLong) * kept;
            rows_.index_copy_(0, places, at::where(is_bad, rows_.index_select(0, places), latest));
            pointer_.add_(written).remainder_(capacity);
            filled_.add_(written).clamp_max_(capacity);
        }

        /// Visits the tensors of a checkpoint by name.
        template <class Visitor>
        void state(Visitor&& visit) {
            visit("rows", rows_);
            visit("pointer", pointer_);
            visit("filled", filled_);
        }

    private:
        Tensor rows_, pointer_, filled_;
        Group group_;
    };

    State build(std::int64_t dim) const { return State(*this, dim); }
};

static_assert(contracts::QueueSpec<Fifo> && contracts::Begins<Fifo::State>);

}  // namespace doppel::queues
