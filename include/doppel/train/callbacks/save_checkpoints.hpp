// SPDX-License-Identifier: Apache-2.0
// Writes checkpoints while a run goes on and at its end.
#pragma once

#include <doppel/train/callback.hpp>
#include <doppel/train/checkpoint.hpp>
#include <doppel/train/trainer.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>

namespace doppel::train {

/// Writes a checkpoint of the current step into checkpoints/ of the run folder; without a folder, or in another process than the
/// first, nothing. Returns whether it did.
inline bool save_checkpoint(Trainer& trainer) {
    const auto& options = trainer.options();
    if (options.out.empty() || !options.group.first()) return false;
    const Checkpoints checkpoints(std::filesystem::path(options.out) / "checkpoints", options.keep);
    trainer.saved(checkpoints.save(trainer.step_count(), trainer.snapshot()));
    return true;
}

/// Writes a checkpoint into checkpoints/ of the run folder every TrainOptions::checkpoint_every epochs (0: every tenth of
/// the run) and at the end; without a folder, nothing. Between skipped steps none is written: the weights are in doubt.
class SaveCheckpoints {
public:
    void epoch(Trainer& trainer, std::int64_t done) const {
        const std::int64_t asked = trainer.options().checkpoint_every;
        const std::int64_t apart = asked > 0 ? asked : std::max<std::int64_t>(1, trainer.preset().epochs / 10);
        if (done % apart == 0 && trainer.step_count() < trainer.total_steps() && trainer.healthy()) save_checkpoint(trainer);
    }

    void end(Trainer& trainer, TrainResult& result) const {
        if (result.error.empty()) save_checkpoint(trainer);
    }
};
static_assert(Callback<SaveCheckpoints>);

}  // namespace doppel::train
