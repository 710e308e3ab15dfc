// SPDX-License-Identifier: Apache-2.0
// Ends a run whose loss stays not finite.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/train/callback.hpp>
#include <doppel/train/trainer.hpp>

namespace doppel::train {

/// Throws Error with likely causes after TrainOptions::give_up_after skipped steps in a row.
struct GiveUp {
    void step(Trainer& trainer, const StepReport& report) const {
        const auto count = trainer.skipped_in_a_row();
        if (count < trainer.options().give_up_after) return;
        fail("train: loss or gradients were not finite ", count, " steps in a row (step ", report.step, ", loss ",
             report.loss.item<double>(),
             "); likely causes: a learning rate that is too high (--lr) or rises too fast (--warmup), a temperature that is "
             "too low, bf16 where fp32 is needed");
    }
};
static_assert(Callback<GiveUp>);

}  // namespace doppel::train
