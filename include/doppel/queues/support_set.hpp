// SPDX-License-Identifier: Apache-2.0
// A support set: past embeddings, searched for the nearest neighbor of an image (NNCLR).
#pragma once

#include <doppel/contracts/queue.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/collectives.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/queues/fifo.hpp>

#include <cstdint>

namespace doppel::queues {

/// A queue of the last `capacity` target outputs of the first view, unit-norm, float32: one row per image and step.
/// Starts with random unit rows. Unlike a Fifo of negatives it may be larger than the data set: its rows are candidates
/// for positives.
/// Source: Dwibedi, Aytar, Tompson, Sermanet, Zisserman, "With a Little Help from My Friends", 2021, arXiv:2104.14548,
/// section 3.2 and algorithm 1.
///
///     .queue = queues::SupportSet{.capacity = 16384}
struct SupportSet {
    std::int64_t capacity = 98304;  ///< rows, ≥ 1. Paper: 98,304 for ImageNet; small sets: 0.25 to 2 times the images

    /// The support set of one method.
    class State {
    public:
        State(const SupportSet& options, std::int64_t dim) : ring_(Fifo{.capacity = options.capacity}, dim) {}

        /// Returns the rows: [K, D], float32, unit length.
        const Tensor& read() const { return ring_.read(); }

        /// The rows of all processes are written, in their order.
        void join(const Group& group) { group_ = group; }

        /// Writes the target outputs of the first view that has one.
        void commit(const Outputs& outputs, const Tensor& bad = {}) {
            for (const Tensor& keys : outputs.target)
                if (keys.defined()) return ring_.push(gathered(keys, group_), bad);
        }

        /// Visits the tensors of a checkpoint by name.
        template <class Visitor>
        void state(Visitor&& visit) {
            ring_.state(visit);
        }

    private:
        Fifo::State ring_;
        Group group_;
    };

    State build(std::int64_t dim) const {
        require(capacity >= 1, "SupportSet: capacity must be at least 1, got ", capacity);
        return State(*this, dim);
    }
};

static_assert(contracts::QueueSpec<SupportSet>);

}  // namespace doppel::queues
