// SPDX-License-Identifier: Apache-2.0
// A memory bank: one row per image of the data set (instance discrimination).
#pragma once

#include <doppel/contracts/queue.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/collectives.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/ops/rand.h>
#include <ATen/ops/where.h>

#include <cmath>
#include <cstdint>

namespace doppel::queues {

/// A bank of unit-norm rows, float32, one per image: a moving average of the image's embeddings:
///
///     m_i ← u / ‖u‖,   u = momentum · m_i + (1 − momentum) · v̂,   v̂ = v / ‖v‖
///
/// Starts with uniform values in ±1/√(D/3), as in the authors' code, normalized. The loss reads the bank without the
/// current batch; commit() writes the online outputs of the first view to the rows of the images.
/// Source: Wu, Xiong, Yu, Lin, 2018, arXiv:1805.01978, section 3.2; the authors' code.
///
///     .queue = queues::MemoryBank{.size = photos.size()}
struct MemoryBank {
    std::int64_t size = 0;  ///< images in the data set, ≥ 1
    double momentum = 0.5;  ///< weight of the old row, from 0 to below 1

    /// The bank of one method.
    class State {
    public:
        State(const MemoryBank& options, std::int64_t dim) : momentum_(options.momentum) {
            require(options.size >= 1, "MemoryBank: size must be the number of training images, got ", options.size);
            require(momentum_ >= 0 && momentum_ < 1, "MemoryBank: momentum must be from 0 to below 1, got ", momentum_);
            const double bound = 1 / std::sqrt(static_cast<double>(dim) / 3);
            const Tensor start = at::rand({options.size, dim}) * (2 * bound) - bound;
            rows_ = start / start.norm(2, 1, true).clamp_min(1e-12);
        }

        void begin(const Horizon& horizon) const {
            require(rows_.size(0) == horizon.samples, "MemoryBank: size is ", rows_.size(0), ", the training set has ",
                    horizon.samples, " images");
        }

        /// Returns the rows: [size, D], float32, unit length.
        const Tensor& read() const { return rows_; }

        /// The rows of the images of all processes are written.
        void join(const Group& group) { group_ = group; }

        void commit(const Outputs& outputs, const Tensor& bad = {}) {
            const at::NoGradGuard no_grad;
            const Tensor v = gathered(outputs.online.at(0).detach(), group_).to(at::kFloat);
            const Tensor unit = v / v.norm(2, 1, true).clamp_min(1e-12);
            const Tensor index = gathered(outputs.index, group_);
            const Tensor before = rows_.index_select(0, index);
            const Tensor mixed = before * momentum_ + unit * (1 - momentum_);
            const Tensor after = mixed / mixed.norm(2, 1, true).clamp_min(1e-12);
            rows_.index_copy_(0, index, bad.defined() ? at::where(bad.ne(0), before, after) : after);
        }

        template <class Visitor>
        void state(Visitor&& visit) {
            visit("rows", rows_);
        }

    private:
        Tensor rows_;
        double momentum_;
        Group group_;
    };

    State build(std::int64_t dim) const { return State(*this, dim); }
};

static_assert(contracts::QueueSpec<MemoryBank> && contracts::Begins<MemoryBank::State>);

}  // namespace doppel::queues
