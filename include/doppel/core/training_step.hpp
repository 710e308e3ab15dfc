// SPDX-License-Identifier: Apache-2.0
// Where a training run stands: what every schedule is a function of.
#pragma once

#include <cstdint>

namespace doppel {

/// What is known only when training starts.
struct Horizon {
    std::int64_t samples = 0;  ///< images in the training set
    std::int64_t steps = 0;    ///< optimizer steps of the whole run
    std::int64_t steps_per_epoch = 0;  ///< optimizer steps of a pass over the training images; 0: not known
};

/// The optimizer step about to be taken (0-based; gradient accumulation counts as one step) of how many.
struct Progress {
    std::int64_t step = 0;
    Horizon of{};

    /// The pass over the training images that the step belongs to, 0-based; 0 where its length is not known.
    std::int64_t epoch() const { return of.steps_per_epoch > 0 ? step / of.steps_per_epoch : 0; }
};

}  // namespace doppel
