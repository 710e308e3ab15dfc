// SPDX-License-Identifier: Apache-2.0
// The loop over a Trainer's steps, with type-erased callbacks: part of doppel::compiled.
#pragma once

#include <doppel/core/compiled.hpp>
#include <doppel/train/callback.hpp>
#include <doppel/train/callbacks/collapse_watch.hpp>
#include <doppel/train/callbacks/give_up.hpp>
#include <doppel/train/callbacks/metrics_log.hpp>
#include <doppel/train/callbacks/progress_bar.hpp>
#include <doppel/train/callbacks/save_checkpoints.hpp>
#include <doppel/train/callbacks/stop_on_signal.hpp>
#include <doppel/train/callbacks/tensorboard_log.hpp>
#include <doppel/train/error_text.hpp>
#include <doppel/train/trainer.hpp>

#include <cstdint>
#include <exception>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

namespace doppel::train::detail {

/// Throws `problem` again; an Error also says where to go on from.
[[noreturn]] inline void rethrow(const std::exception_ptr& problem, const Trainer& trainer) {
    try {
        std::rethrow_exception(problem);
    } catch (const Error& error) {
        if (trainer.options().out.empty() && trainer.checkpoint().empty()) throw;
        const auto& last = trainer.checkpoint();
        fail(error.what(), last.empty() ? "; no checkpoint was written yet"
                                        : "; the last good checkpoint is " + last.string() + ": --resume " + last.string());
    }
}

inline void save_last_good_step(Trainer& trainer) {
    if (trainer.healthy() && !trainer.is_saved() && trainer.step_count() > 0) save_checkpoint(trainer);
}

DOPPEL_BODY TrainResult run_loop(Trainer& trainer, const std::vector<CallbackRef>& callbacks) {
    TrainResult result{.loss = std::numeric_limits<double>::quiet_NaN(), .method = trainer.method()};
    const auto each = [&](auto hook, auto&... arguments) {
        for (const auto& callback : callbacks)
            if (callback.*hook) (callback.*hook)(trainer, arguments...);
        for (const auto& metrics : trainer.take_published())
            for (const auto& callback : callbacks)
                if (callback.evaluation) callback.evaluation(trainer, metrics);
    };
    std::exception_ptr problem;
    try {
        each(&CallbackRef::begin);
        while (!trainer.finished()) {
            const StepReport report = trainer.step();
            if (report.metrics.contains("loss")) result.loss = report.metrics.at("loss");
            each(&CallbackRef::step, report);
            if (report.ends_epoch) {
                const std::int64_t epoch = trainer.epoch();
                each(&CallbackRef::epoch, epoch);
            }
        }
    } catch (...) {
        problem = std::current_exception();
        result.error = error_text(problem);
        if (!trainer.group().alone()) trainer.group().collectives().give_up(result.error);
        try {
            save_last_good_step(trainer);
        } catch (...) {}  // the first problem counts
    }
    if (problem && !trainer.checkpoint().empty())
        trainer.warn("the run ended at step " + std::to_string(trainer.step_count()) + "; " + trainer.checkpoint().string() +
                     " holds everything up to step " + std::to_string(trainer.checkpoint_step()) + ": --resume " +
                     trainer.checkpoint().string());
    result.steps = trainer.step_count();
    result.skipped = trainer.skipped();
    result.seconds = trainer.seconds();
    result.images_per_second = trainer.images_per_second();
    result.data_wait = trainer.data_wait();
    result.stopped = trainer.stopped();
    for (const auto& callback : callbacks) try {
            if (callback.end) callback.end(trainer, result);
        } catch (...) {
            if (!problem) problem = std::current_exception();
            if (result.error.empty()) result.error = error_text(problem);
        }
    if (problem) try {
            save_last_good_step(trainer);  // an end hook may have thrown before the checkpoints' own
        } catch (...) {}
    result.checkpoint = trainer.checkpoint();
    if (problem) rethrow(problem, trainer);
    return result;
}

}  // namespace doppel::train::detail

namespace doppel::train {

DOPPEL_BODY TrainResult run_with_logs_and(Trainer& trainer, std::vector<CallbackRef> own) {
    CollapseWatch collapse;  // before the logs, which write what it records
    GiveUp give_up;
    MetricsLog metrics;
    TensorboardLog tensorboard;
    ProgressBar progress;
    SaveCheckpoints checkpoints;
    StopOnSignal signals;  // last: a signal during another callback counts at once
    std::vector<CallbackRef> all{CallbackRef(collapse)};
    all.insert(all.end(), own.begin(), own.end());
    all.emplace_back(give_up);
    if (trainer.group().first()) {  // the process that writes and prints
        all.emplace_back(metrics);
        all.emplace_back(tensorboard);
        all.emplace_back(progress);
    }
    all.emplace_back(checkpoints);
    all.emplace_back(signals);
    return detail::run_loop(trainer, all);
}

}  // namespace doppel::train
