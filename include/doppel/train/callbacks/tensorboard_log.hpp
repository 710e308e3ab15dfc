// SPDX-License-Identifier: Apache-2.0
// The figures of a run for TensorBoard.
#pragma once

#include <doppel/io/tensorboard.hpp>
#include <doppel/train/callback.hpp>
#include <doppel/train/trainer.hpp>

#include <filesystem>
#include <optional>
#include <string>

namespace doppel::train {

/// Writes train/* for each logged step and eval/* for each evaluation into tensorboard/ of the run folder; without a
/// folder, nothing. A resumed run replaces the points after its checkpoint.
class TensorboardLog {
public:
    void begin(Trainer& trainer) {
        if (trainer.options().out.empty()) return;
        const auto at = trainer.resumed_at();  // TensorBoard forgets the step it is told and later ones
        board_.emplace(std::filesystem::path(trainer.options().out) / "tensorboard", at ? std::optional(*at + 1) : std::nullopt);
    }

    void step(Trainer& trainer, const StepReport& report) {
        if (!board_ || report.metrics.empty()) return;
        write("train/", report.metrics, report.step);
        write("train/", trainer.recorded(), report.step);
    }

    void evaluation(Trainer& trainer, const Metrics& metrics) {
        if (board_) write("eval/", metrics, trainer.step_count());
    }

private:
    void write(const std::string& group, const Metrics& metrics, std::int64_t step) {
        for (const auto& [name, value] : metrics) board_->scalar(group + name, value, step);
    }

    std::optional<io::TensorBoard> board_;
};
static_assert(Callback<TensorboardLog>);

}  // namespace doppel::train
