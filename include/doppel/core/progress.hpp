// SPDX-License-Identifier: Apache-2.0
// Where a training run stands: what every schedule is a function of.
#pragma once

#include <cstdint>

namespace doppel {

/// What is known only when training starts.
struct Horizon {
    std::int64_t samples = 0;  ///< images in the training set
    std::int64_t steps = 0;    ///< optimiser steps of the whole run
};

/// The optimiser step about to be taken (0-based; gradient accumulation counts as one step) of how many.
struct Progress {
    std::int64_t step = 0;
    Horizon of{};
};

}  // namespace doppel
