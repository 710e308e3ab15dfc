// SPDX-License-Identifier: Apache-2.0
// The training loop: a Trainer's steps with callbacks, and a whole run in one call.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/train/callback.hpp>
#include <doppel/train/checkpoint.hpp>
#include <doppel/train/trainer.hpp>

#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

namespace doppel::train {

namespace detail {
TrainResult run_loop(Trainer& trainer, const std::vector<CallbackRef>& callbacks);
}  // namespace detail

/// run() with the shipped callbacks that the options ask for, and others by reference.
TrainResult run_with_logs_and(Trainer& trainer, std::vector<CallbackRef> own);

/// Takes the trainer's remaining steps and calls the callbacks, in their order, at each event. Nothing else: no files,
/// no output but what the callbacks do.
/// What a step or a callback throws ends the run: a checkpoint of the last good step is written where
/// TrainOptions::out is set, all end() hooks run, then it is thrown again (an Error names the checkpoint).
///
///     train::Trainer trainer(preset, photos, {.seed = 1});
///     train::run(trainer, train::CollapseWatch{}, [](train::Trainer&, const train::StepReport& r) { … });
template <class... Callbacks>
TrainResult run(Trainer& trainer, Callbacks&&... callbacks) {
    return detail::run_loop(trainer, {CallbackRef(callbacks)...});
}

/// The checkpoint that TrainOptions::resume names: "auto" is the newest in the run folder, a folder the newest in it;
/// nothing for a new run. Throws Error for "auto" without a run folder and for a folder without checkpoints.
inline std::optional<std::filesystem::path> resume_point(const TrainOptions& options) {
    const auto newest = [&](const std::filesystem::path& folder) { return Checkpoints(folder / "checkpoints", options.keep).newest(); };
    if (options.resume.empty()) return std::nullopt;
    if (options.resume == "auto") {
        require(!options.out.empty(), "--resume auto: name the run folder with --out");
        return newest(options.out);
    }
    if (!std::filesystem::is_directory(options.resume)) return options.resume;
    auto found = newest(options.resume);
    require(found.has_value(), "--resume: ", options.resume, " is a folder without checkpoints");
    return found;
}

/// run() with the shipped callbacks that the options ask for, and others.
template <class... Callbacks>
TrainResult run_with_logs(Trainer& trainer, Callbacks&&... callbacks) {
    return run_with_logs_and(trainer, {CallbackRef(callbacks)...});
}

namespace detail {
/// A new run must not write into the folder of another one.
inline void refuse_used_folder(const TrainOptions& options) {
    if (options.out.empty() || !options.resume.empty()) return;
    const std::filesystem::path out = options.out;
    require(!std::filesystem::exists(out / "checkpoints") && !std::filesystem::exists(out / "metrics.jsonl"), "train: ", options.out,
            " already contains a run; resume it with .resume = \"auto\", or choose another folder");
}
}  // namespace detail

/// Trains: everything that the paper fixes stands in the preset, everything else in the options. With a folder
/// (`.out`), writes metrics.jsonl, tensorboard/ and checkpoints/ there and resumes if asked to.
/// SIGINT and SIGTERM end it after the current step, with a checkpoint.
/// Throws as Trainer and run() do.
///
///     train::TrainResult r = train::train(preset, photos, {.seed = 1, .out = "runs/mine"});
template <class R, class Images, class... Callbacks>
TrainResult train(const Preset<R>& preset, Images&& images, TrainOptions options = {}, Callbacks&&... callbacks) {
    if (options.group.first()) detail::refuse_used_folder(options);
    Trainer trainer(preset, std::forward<Images>(images), std::move(options));
    if (const auto from = resume_point(trainer.options())) trainer.restore(*from);
    return run_with_logs(trainer, std::forward<Callbacks>(callbacks)...);
}

namespace detail {
template <class T>
inline constexpr bool is_preset = false;
template <class R>
inline constexpr bool is_preset<Preset<R>> = true;
}  // namespace detail

/// For a first argument that is no preset: says so.
template <class Other, class... Rest>
    requires(!detail::is_preset<Other>)
TrainResult train(const Other&, Rest&&...) {
    static_assert(detail::is_preset<Other>,
                  "train::train(preset, images, options): the first argument must be a Preset; for a recipe of your own write "
                  "Preset{.name = \"mine\", .recipe = recipe, .views = …, .optimizer = …, .lr = …}");
    return {};
}

}  // namespace doppel::train

#ifndef DOPPEL_COMPILED
#include <doppel/train/detail/loop.hpp>
#endif
