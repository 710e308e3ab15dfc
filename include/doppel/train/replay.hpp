// SPDX-License-Identifier: Apache-2.0
// A step of an earlier run once more: its images and views, and with the network its outputs and loss.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/loader.hpp>
#include <doppel/io/json_lines.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/train/checkpoint.hpp>
#include <doppel/train/detail/loading.hpp>
#include <doppel/train/options.hpp>
#include <doppel/train/result.hpp>
#include <doppel/train/trainer.hpp>

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace doppel::train {

/// The images of a step and what the run made of them. With several passes per step: those of the last one.
struct ReplayedViews {
    std::int64_t step = 0, epoch = 0;   ///< the step counted from 1, its epoch from 0
    Batch batch{};                      ///< 8-bit views [B, C, H, W], index and label of each image
    std::vector<std::int64_t> drawn{};  ///< [B] index of each image's random streams: that of the image, or of the damaged one
                                        ///< that it stands in for
};

/// Makes the images and views of step `step` of a run again, counted from 1: a function of the seed and the step alone.
/// Throws Error for a step that the run does not have.
///
///     const auto seen = train::replay_views(preset, photos, {.seed = 1}, 1000);
inline ReplayedViews replay_views(const AnyPreset& preset, const data::Dataset& images, TrainOptions options, std::int64_t step) {
    options.augment = Augment::cpu;  // the same pixels
    options.workers = 0;
    const data::Loader loader(images, preset.views.pipelines, detail::loader_options(preset, options, at::kCPU, nullptr));
    const std::int64_t batches = loader.batches(), steps = preset.epochs * (batches / options.accumulate);
    require(step >= 1 && step <= steps, "replay: the run has the steps 1 to ", steps, ", got ", step);
    const std::int64_t number = step * options.accumulate - 1;
    ReplayedViews seen{.step = step, .epoch = number / batches, .batch = loader.pass(number, number + 1)->next().value()};
    const auto order = loader.order(seen.epoch);
    const auto first = order.begin() + number % batches * preset.batch_size;
    seen.drawn.assign(first, first + seen.batch.index.size(0));
    return seen;
}

/// A step that was taken again.
struct Replay {
    std::int64_t from = 0;               ///< the step after which training began again
    std::filesystem::path checkpoint{};  ///< whose weights it began with; empty: those of the run's start
    StepReport report{};                 ///< of the step; its outputs are on the CPU, its metrics those of every logged step
    std::int64_t logged_at = 0;          ///< the step of the line of metrics.jsonl that this step's loss is part of
    double loss = 0;                     ///< the mean that this line must hold, computed again; NaN: all its steps were skipped
    std::optional<double> logged{};      ///< the loss that it holds; nothing: there is no such line
    std::vector<std::string> warnings{};

    /// Whether the log has the same loss, bit for bit.
    bool agrees() const { return logged && *logged == loss; }
};

/// Takes step `step` of the run in `folder` again, counted from 1. Training begins with the newest checkpoint before the steps
/// of the log's line that the step belongs to, or with the weights of the seed, and goes on to that line, so that the loss can be
/// compared with the log's: on the CPU with the same number of threads, the bits are the same. `options` are the run's own.
/// `start` makes the weights that the run began with, where these were not those of the seed (run::start_from). Writes nothing. Calls
/// progress(steps done, steps in all) after each step. A step whose line follows a resume differs: the log's
/// mean is then that of the steps after the resume alone.
/// Throws Error for a step that the run does not have, and for a checkpoint of another run.
///
///     const auto again = train::replay(preset, photos, options, "runs/mine", 1000);
///     std::cout << again.report.loss.item<double>() << '\n';
inline Replay replay(const AnyPreset& preset, const data::Dataset& images, TrainOptions options, const std::filesystem::path& folder,
                     std::int64_t step, const std::function<void(std::int64_t, std::int64_t)>& progress = {},
                     const std::function<void(const AnyMethod&)>& start = {}) {
    const std::int64_t every = options.log_every;
    options.log_every = 1;
    options.out.clear();
    options.resume.clear();
    Trainer trainer(preset, images, std::move(options));
    require(step >= 1 && step <= trainer.total_steps(), "replay: the run has the steps 1 to ", trainer.total_steps(), ", got ", step);
    const std::int64_t before = (step - 1) / every * every;
    Replay again{.logged_at = std::min(before + every, trainer.total_steps())};
    for (const auto& path : detail::checkpoints_in(folder / "checkpoints")) {  // oldest first
        const std::string name = path.filename().string();
        std::int64_t at = -1;
        std::from_chars(name.data() + 5, name.data() + name.size(), at);  // step-00000120.safetensors
        if (at > again.from && at <= before) again.from = at, again.checkpoint = path;
    }
    if (!again.checkpoint.empty())
        trainer.restore(again.checkpoint);
    else if (start)
        start(trainer.method());
    Tensor sum = at::zeros({}, at::TensorOptions(trainer.device()).dtype(at::kFloat));
    std::int64_t taken = 0;
    while (trainer.step_count() < again.logged_at) {
        StepReport report = trainer.step();
        if (report.step > before && report.taken) sum += report.loss, ++taken;  // as Trainer adds them up
        if (report.step == step) {
            for (auto* list : {&report.outputs.features, &report.outputs.projected, &report.outputs.online, &report.outputs.target})
                for (Tensor& output : *list)
                    if (output.defined()) output = output.detach().cpu().clone();
            again.report = std::move(report);
        }
        if (progress) progress(trainer.step_count() - again.from, again.logged_at - again.from);
    }
    again.loss = taken > 0 ? sum.item<double>() / static_cast<double>(taken) : std::numeric_limits<double>::quiet_NaN();
    again.warnings = trainer.warnings();
    if (std::filesystem::exists(folder / "metrics.jsonl"))
        for (const auto& line : io::read_json_lines(folder / "metrics.jsonl"))
            if (line.value("step", std::int64_t{-1}) == again.logged_at && line.contains("lr") && line.contains("loss") && line["loss"].is_number())
                again.logged = line["loss"].get<double>();
    return again;
}

}  // namespace doppel::train
