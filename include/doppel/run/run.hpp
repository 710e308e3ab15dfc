// SPDX-License-Identifier: Apache-2.0
// A whole run on any data and any method: config.json, baselines, training, weights, evaluation, report.
#pragma once

#include <doppel/methods/preset.hpp>
#include <doppel/run/options.hpp>
#include <doppel/run/result.hpp>
#include <doppel/train/callback.hpp>

#include <utility>
#include <vector>

namespace doppel::run {

namespace detail {
RunResult whole_run(AnyPreset preset, Data data, RunOptions options, std::vector<train::CallbackRef> callbacks);
}  // namespace detail

/// Trains and evaluates, and leaves in the run folder: config.json, metrics.jsonl, tensorboard/, checkpoints/,
/// encoder.safetensors, report.html and, where images were skipped, skipped.jsonl. The weights are written first after
/// training; a part of the evaluation that fails is recorded, and the rest is there.
/// Throws Error for what cannot start: options, data, a folder in use, a checkpoint of another run (the folder is then
/// unchanged); and what train::run() throws.
///
///     auto preset = methods::simclr(encoders::ResNet{.depth = 18}, {.train = {.epochs = 100}});
///     run::RunResult r = run::run(preset, {.train = my_images, .validation = held_out}, {.train = {.out = "runs/mine"}});
template <class R, class... Callbacks>
RunResult run(const Preset<R>& preset, Data data, RunOptions options = {}, Callbacks&&... callbacks) {
    options.encoder = weights::encoder_info_of(preset.recipe, options.encoder);
    return detail::whole_run(erase(preset), std::move(data), std::move(options), {train::CallbackRef(callbacks)...});
}

}  // namespace doppel::run

#ifndef DOPPEL_COMPILED
#include <doppel/run/detail/whole_run.hpp>
#endif
