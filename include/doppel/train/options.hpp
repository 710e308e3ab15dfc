// SPDX-License-Identifier: Apache-2.0
// How a run is carried out: everything that no paper fixes.
#pragma once

#include <doppel/data/damaged_images.hpp>
#include <doppel/options/rows.hpp>
#include <doppel/train/progress.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>

namespace doppel::train {

/// Options of Trainer and train(). Epochs, batch size and everything else that decides how a method learns stand in
/// the preset.
struct TrainOptions {
    std::int64_t seed = 0;
    std::string device = "auto", precision = "auto";
    int workers = 1;
    std::int64_t shuffle_buffer = 10'000;
    bool balanced = false;
    std::int64_t accumulate = 1;
    bool channels_last = true;
    std::string out{}, resume{};
    std::int64_t checkpoint_every = 0;
    int keep = 2;
    std::int64_t log_every = 10, give_up_after = 5;
    ProgressMode progress = ProgressMode::automatic;
    std::shared_ptr<data::DamagedImages> damaged{};  ///< where damaged images are noted and skipped; none: one ends the run
    std::map<std::string, std::string> identity{};   ///< further settings that must agree when the run resumes

    static constexpr auto fields() {
        using O = TrainOptions;
        using options::at_least;
        using options::field;
        return std::tuple(
            field(&O::seed, "seed", "seed of weights, order of the images and views", options::between(0, 1e15)),
            field(&O::device, "device", "auto, cpu, cuda or cuda:N; auto: CUDA where there is a device"),
            field(&O::precision, "precision", "of the network: auto, fp32 or bf16; auto: bf16 on CUDA, else fp32"),
            field(&O::workers, "workers", "loader threads", options::between(0, 1024)),
            field(&O::shuffle_buffer, "shuffle-buffer",
                  "images that are mixed as shards are read one after another; 0: mix all images; of no effect without shards, or with --balanced", at_least(0)),
            field(&O::balanced, "balanced", "draw each class equally often; rare images come several times per epoch"),
            field(&O::accumulate, "accumulate", "forward passes per optimizer step; negatives stay those of one pass", at_least(1)),
            field(&O::channels_last, "channels-last", "channels-last memory format for images and convolutions"),
            field(&O::out, "out", "run folder"),
            field(&O::resume, "resume", "run folder or checkpoint to resume from, or auto: the newest checkpoint in --out"),
            field(&O::checkpoint_every, "checkpoint-every", "epochs between checkpoints; 0: a tenth of the run", at_least(0)),
            field(&O::keep, "keep", "checkpoints kept", at_least(1)),
            field(&O::log_every, "log-every", "steps between lines of metrics.jsonl", at_least(1)),
            field(&O::give_up_after, "give-up-after", "skipped steps in a row that end the run", at_least(1)),
            field(&O::progress, "progress", "how progress is shown on stderr"),
            options::hidden(&O::damaged), options::hidden(&O::identity));
    }
};
static_assert(options::described<TrainOptions>);

}  // namespace doppel::train
