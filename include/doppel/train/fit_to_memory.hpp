// SPDX-License-Identifier: Apache-2.0
// How many passes a step needs so that each fits into a device's memory.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/train/options.hpp>
#include <doppel/train/trainer.hpp>

#include <cstdint>
#include <utility>

namespace doppel::train {

/// Splits the batches of `preset` into as few passes as fit into the device's memory, by rehearsing with 1, 2, 4 … of them, and
/// sets `options.accumulate`. Images per step, learning rate and schedules stay; negatives are those of one pass.
/// Throws Error where not even 2 images fit, or where the batch cannot be halved as often.
///
///     train::fit_to_memory(preset, photos, options);   // --accumulate 0
inline void fit_to_memory(AnyPreset& preset, const data::Dataset& images, TrainOptions& options) {
    require(options.group.alone(), "--accumulate 0 finds the number of passes on one process only; give a number");
    const std::int64_t whole = preset.batch_size;
    for (options.accumulate = 1;; options.accumulate *= 2) {
        require(whole % options.accumulate == 0 && whole / options.accumulate >= 2, "--accumulate 0: ", 2 * whole / options.accumulate,
                " images a pass are too many for the memory, and ", whole, " cannot be halved further; use a smaller --batch-size");
        preset.batch_size = whole / options.accumulate;
        try {
            Trainer(preset, images, options).rehearse();
            return;
        } catch (const OutOfMemory&) {}
    }
}

}  // namespace doppel::train
