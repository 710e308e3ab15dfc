// SPDX-License-Identifier: Apache-2.0
// Ctrl-C and SIGTERM end a run after the current step.
#pragma once

#include <doppel/train/callback.hpp>
#include <doppel/train/interrupt.hpp>
#include <doppel/train/trainer.hpp>

#include <csignal>
#include <cstdint>
#include <optional>

namespace doppel::train {

/// Stops the trainer after the first SIGINT or SIGTERM (train::Interrupt); a second one ends the process. To be the last
/// callback, so that a signal that comes during another callback counts at once.
class StopOnSignal {
public:
    void begin(Trainer&) { interrupt_.emplace(); }
    void step(Trainer& trainer, const StepReport&) { look(trainer); }
    void epoch(Trainer& trainer, std::int64_t) { look(trainer); }
    void end(Trainer&, TrainResult& result) {
        if (interrupt_) result.signal = interrupt_->signal();
        interrupt_.reset();
    }

private:
    void look(Trainer& trainer) {
        if (const int signal = interrupt_->signal()) trainer.stop(signal == SIGINT ? "SIGINT" : "SIGTERM");
    }

    std::optional<Interrupt> interrupt_;
};
static_assert(Callback<StopOnSignal>);

}  // namespace doppel::train
