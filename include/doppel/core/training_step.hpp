// SPDX-License-Identifier: Apache-2.0
// The position in a training run: the argument of every schedule.
#pragma once

#include <cstdint>

namespace doppel {

/// The length of a run, known when training starts.
struct Horizon {
    std::int64_t samples = 0;          ///< images in the training set
    std::int64_t steps = 0;            ///< optimizer steps of the run
    std::int64_t steps_per_epoch = 0;  ///< optimizer steps per epoch; 0 if unknown
};

/// The current optimizer step, counted from 0, and the length of the run. Accumulated batches count as one step.
struct TrainingStep {
    std::int64_t step = 0;
    Horizon of{};

    /// Returns the epoch of the step, counted from 0; 0 if its length is unknown.
    std::int64_t epoch() const { return of.steps_per_epoch > 0 ? step / of.steps_per_epoch : 0; }
};

}  // namespace doppel
