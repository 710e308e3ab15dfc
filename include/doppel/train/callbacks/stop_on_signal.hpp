// SPDX-License-Identifier: Apache-2.0
// Signals: end a run after the current step, or write a checkpoint.
#pragma once

#include <doppel/train/callback.hpp>
#include <doppel/train/callbacks/save_checkpoints.hpp>
#include <doppel/train/interrupt.hpp>
#include <doppel/train/trainer.hpp>

#include <csignal>
#include <cstdint>
#include <optional>

namespace doppel::train {

/// Stops the trainer after the first SIGINT, SIGTERM or SIGHUP (train::Interrupt); a second one ends the process. After
/// SIGUSR1 it writes a checkpoint, and the run goes on. To be the last callback, so that a signal that comes during
/// another callback counts at once.
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
        if (const int signal = interrupt_->signal())
            trainer.stop(signal == SIGINT ? "SIGINT" : signal == SIGTERM ? "SIGTERM" : "SIGHUP");
        else if (interrupt_->take_checkpoint_request()) {
            if (trainer.healthy() && save_checkpoint(trainer))
                trainer.warn("SIGUSR1: " + trainer.checkpoint().string() + " was written; the run goes on");
        }
    }

    std::optional<Interrupt> interrupt_;
};
static_assert(Callback<StopOnSignal>);

}  // namespace doppel::train
