// SPDX-License-Identifier: Apache-2.0
// Shows a run's progress and warnings on stderr.
#pragma once

#include <doppel/train/callback.hpp>
#include <doppel/train/progress.hpp>
#include <doppel/train/trainer.hpp>

#include <cstddef>
#include <cstdio>
#include <limits>
#include <optional>
#include <string>

namespace doppel::train {

/// Shows epoch, step, loss, speed and the time left (train::Progress), and each of the trainer's warnings when it comes.
class ProgressBar {
public:
    explicit ProgressBar(std::FILE* out = stderr) : out_(out) {}

    void begin(Trainer& trainer) {
        progress_.emplace(ProgressOptions{.epochs = trainer.preset().epochs,
                                          .steps_per_epoch = trainer.steps_per_epoch(),
                                          .start_step = trainer.step_count(),
                                          .out = out_,
                                          .mode = trainer.options().progress});
        if (const auto at = trainer.resumed_at())
            progress_->note("resuming from " + trainer.checkpoint().string() + " (step " + std::to_string(*at) + " of " +
                            std::to_string(trainer.total_steps()) + ")");
        show_warnings(trainer);
    }

    void step(Trainer& trainer, const StepReport& report) {
        if (const auto found = report.metrics.find("loss"); found != report.metrics.end()) loss_ = found->second;
        show_warnings(trainer);
        progress_->update(report.step, loss_, trainer.images_done());
    }

    void end(Trainer& trainer, TrainResult& result) {
        if (!progress_) return;
        show_warnings(trainer);
        if (result.error.empty()) progress_->finish();
        progress_.reset();
    }

private:
    void show_warnings(Trainer& trainer) {
        for (const auto& warning : trainer.take_warnings()) progress_->note("warning: " + warning);
    }

    std::FILE* out_;
    std::optional<Progress> progress_;
    double loss_ = std::numeric_limits<double>::quiet_NaN();
};
static_assert(Callback<ProgressBar>);

}  // namespace doppel::train
