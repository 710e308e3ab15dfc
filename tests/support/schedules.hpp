// SPDX-License-Identifier: Apache-2.0
// What the tests of schedules share.
#pragma once

#include <doppel/core/training_step.hpp>

#include "support/support.hpp"

namespace doppel::test {

/// Step `step` of a run of `steps`.
inline TrainingStep at(std::int64_t step, std::int64_t steps) { return {.step = step, .of = {.samples = 1000, .steps = steps}}; }

}  // namespace doppel::test
