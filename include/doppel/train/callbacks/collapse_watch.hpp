// SPDX-License-Identifier: Apache-2.0
// Warns when the embeddings collapse.
#pragma once

#include <doppel/core/collectives.hpp>
#include <doppel/eval/collapse.hpp>
#include <doppel/train/callback.hpp>
#include <doppel/train/detail/group_of_batch.hpp>
#include <doppel/train/trainer.hpp>

#include <algorithm>
#include <optional>
#include <string>

namespace doppel::train {

/// Samples the embeddings, of all processes, 50 times per run (eval::CollapseWatch), records embedding_std, embedding_rank, embedding_cos and
/// embedding_collapsed (1: the sample is collapsed, else 0) for the logs, and warns once when the embeddings stay collapsed for a
/// tenth of the run.
class CollapseWatch {
public:
    void begin(Trainer& trainer) { watch_.emplace(trainer.total_steps()); }

    void step(Trainer& trainer, const StepReport& report) {
        if (!watch_->due(report.step - 1) || !trainer.settle()) return;
        const auto& views = report.outputs.projected;
        const auto found = std::find_if(views.begin(), views.end(), [](const Tensor& v) { return v.defined(); });
        if (found == views.end()) return;
        const auto seen = watch_->look(gathered(found->detach(), detail::group_of_batch(trainer)));
        trainer.record("embedding_std", seen.std);
        trainer.record("embedding_rank", seen.rank);
        trainer.record("embedding_cos", seen.cos);
        trainer.record("embedding_collapsed", seen.collapsed ? 1 : 0);
        if (seen.warning) trainer.warn("step " + std::to_string(report.step) + ": " + *seen.warning);
    }

    void end(Trainer&, TrainResult& result) { result.collapsed = collapsed(); }

    bool collapsed() const { return watch_ && watch_->collapsed(); }

private:
    std::optional<eval::CollapseWatch> watch_;
};
static_assert(Callback<CollapseWatch>);

}  // namespace doppel::train
