// SPDX-License-Identifier: Apache-2.0
// A run before its first step: what can be checked and noted of its options and images.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/eval/labeled_images.hpp>
#include <doppel/run/context.hpp>
#include <doppel/run/folder.hpp>
#include <doppel/run/start.hpp>
#include <doppel/run/told.hpp>
#include <doppel/train/callbacks/expectation.hpp>
#include <doppel/train/fit_to_memory.hpp>

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace doppel::run::detail {

/// Rejects a k above the number of images to compare with; where it is the default, all of them vote, and a note says so.
inline void check_k(Context& run) {
    auto& k = run.options.k;
    const std::int64_t images = run.bank().size();
    if (k <= images) return;
    require(!run.labeled || k == RunOptions{}.k, "--k ", k, " is larger than the number of images to compare with (", images,
            "); expected at most ", images);
    if (run.labeled) run.data.notes.push_back(fmt::format("{} images to compare with, so k-NN has k = {} instead of {}", images, images, k));
    k = images;
}

inline Context context_of(AnyPreset preset, Data data, RunOptions options) {
    options::validate("run", options);
    train::milestones_of(options.expect);  // tells a wrong one before anything long
    require(data.train.size() >= 2, "run: ", data.name, " has ", data.train.size(), " training image",
            data.train.size() == 1 ? "" : "s", ", expected at least two");
    require(preset.batch_size <= data.train.size(), "--batch-size ", preset.batch_size, " is larger than the training set (",
            data.train.size(), " images)");
    const auto& from = options.train.resume;
    require(from.empty() || from == "auto" || std::filesystem::exists(from), "--resume: ", from,
            ": No such file; expected a checkpoint, or 'auto'");
    if (options.online_probe)
        eval::require_labeled("--online-probe", "training", data.train, static_cast<std::int64_t>(data.train.classes().size()));
    Context run{.preset = std::move(preset), .data = std::move(data), .options = std::move(options)};
    run.encoder = run.options.encoder;
    run.out = told(run.options.train.group, [&] { return folder_of(run.options.train, run.preset.name).string(); });
    run.options.train.out = run.out.string();
    prepare_start(run);
    run.skipped = std::make_shared<Skipped>(run.options.strict);
    run.skipped->add_files(run.data.skipped);
    run.options.train.damaged = run.skipped->train;
    run.labeled = run.bank().labeled() && run.data.validation.labeled();
    check_k(run);
    if (run.options.train.accumulate == 0) train::fit_to_memory(run.preset, run.data.train, run.options.train);
    return run;
}

/// The figures of the evaluations, for milestones.
inline std::vector<train::EvaluationFigure> evaluation_figures(const Context& run) {
    const std::string none = run.data.validation.empty() ? "there are no validation images" : "";
    const std::string unscored = !none.empty() ? none : run.labeled ? "" : "the data set has no labels";
    const std::string no_probe = !unscored.empty() ? unscored : run.options.linear ? "" : "--no-linear leaves it out";
    const std::string no_online = !unscored.empty() ? unscored : run.options.online_probe ? "" : "it needs --online-probe";
    return {{.name = "knn_top1", .every = run.options.knn_every, .option = "--knn-every", .missing = unscored},
            {.name = "online_top1", .every = run.options.knn_every, .option = "--knn-every", .missing = no_online},
            {.name = "online_top1_train", .every = 1, .missing = run.options.online_probe ? "" : "it needs --online-probe"},
            {.name = "knn_top5", .missing = unscored},
            {.name = "linear_top1", .missing = no_probe},
            {.name = "linear_top5", .missing = no_probe},
            {.name = "effective_rank", .missing = none},
            {.name = "spectrum_decay", .missing = none},
            {.name = "uniformity", .missing = none}};
}

}  // namespace doppel::run::detail
