// SPDX-License-Identifier: Apache-2.0
// How a run is carried out: everything that no paper fixes.
#pragma once

#include <doppel/core/device.hpp>
#include <doppel/core/group.hpp>
#include <doppel/data/damaged_images.hpp>
#include <doppel/options/rows.hpp>
#include <doppel/train/progress.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>

namespace doppel::train {

/// What makes the views: the loader's threads, or the training device in batched operations (batched::Augmenter).
enum class Augment { cpu, device };

constexpr std::array<std::string_view, 2> option_names(Augment) { return {"cpu", "device"}; }

/// Options of Trainer and train(). Epochs, batch size and everything else that decides how a method learns stand in
/// the preset.
struct TrainOptions {
    std::int64_t seed = 0;
    std::string device = "auto", precision = "auto";
    int workers = -1;
    Augment augment = Augment::cpu;
    std::int64_t resident_mb = 4096;
    std::int64_t shuffle_buffer = 10'000;
    bool balanced = false;
    std::int64_t accumulate = 1;
    bool sync_batch_norm = true, compress_gradients = false;
    bool channels_last = true, capture = true, tune = true, tf32 = false, deterministic = false;
    std::string out{}, resume{};
    std::int64_t checkpoint_every = 0;
    int keep = 2;
    std::int64_t log_every = 10, give_up_after = 5;
    ProgressMode progress = ProgressMode::automatic;
    std::shared_ptr<data::DamagedImages> damaged{};  ///< where damaged images are noted and skipped; none: one ends the run
    std::map<std::string, std::string> identity{};   ///< further settings that must agree when the run resumes
    Group group{};                                   ///< the processes that train together: distributed::join()
    std::map<std::string, std::string> about{};      ///< more metadata of checkpoints, which need not agree

    static constexpr auto fields() {
        using O = TrainOptions;
        using options::at_least;
        using options::field;
        return std::tuple(
            field(&O::seed, "seed", "seed of weights, order of the images and views", options::between(0, 1e15)),
            field(&O::device, "device", "auto, cpu, cuda or cuda:N; auto: CUDA where there is a device"),
            field(&O::precision, "precision",
                  "of the network: auto, fp32, bf16 or fp16 (with loss scaling); auto: bf16 on a GPU that has it, else fp32"),
            field(&O::workers, "workers", "loader threads; -1: one, or for a GPU one less than there are cores, at most 16", options::between(-1, 1024)),
            field(&O::augment, "augment", "what makes the views: the loader threads, or the training device, for a whole batch at once"),
            field(&O::resident_mb, "resident-mb",
                  "with --augment device: images of one size stay on the device if they need no more than this together, else they come as crops",
                  options::between(0, 1e9), "MB"),
            field(&O::shuffle_buffer, "shuffle-buffer",
                  "images that are mixed as shards are read one after another; 0: mix all images; of no effect without shards, or with --balanced", at_least(0)),
            field(&O::balanced, "balanced", "draw each class equally often; rare images come several times per epoch"),
            field(&O::accumulate, "accumulate", "forward passes per optimizer step; negatives stay those of one pass. 0: split --batch-size into as few as fit into the memory", at_least(0)),
            field(&O::sync_batch_norm, "sync-batch-norm",
                  "several processes: BatchNorm uses the statistics of the whole batch, as one process does; else each process its own"),
            field(&O::compress_gradients, "compress-gradients", "several processes: send gradients as bfloat16, half the bytes"),
            field(&O::channels_last, "channels-last", "channels-last memory format for images and convolutions"),
            field(&O::capture, "capture", "on a GPU, capture forward and backward passes as graphs, which takes most work off the host"),
            field(&O::tune, "tune", "on a GPU, let cuDNN try its algorithms for each shape and keep the quickest"),
            field(&O::tf32, "tf32", "on a GPU, let float32 matrix products round their inputs to 10 bits: quicker losses and heads"),
            field(&O::deterministic, "deterministic", "on a GPU, only algorithms that give the same bits each time; slower"),
            field(&O::out, "out", "run folder"),
            field(&O::resume, "resume", "run folder or checkpoint to resume from, or auto: the newest checkpoint in --out"),
            field(&O::checkpoint_every, "checkpoint-every", "epochs between checkpoints; 0: a tenth of the run", at_least(0)),
            field(&O::keep, "keep", "checkpoints kept", at_least(1)),
            field(&O::log_every, "log-every", "steps between lines of metrics.jsonl", at_least(1)),
            field(&O::give_up_after, "give-up-after", "skipped steps in a row that end the run", at_least(1)),
            field(&O::progress, "progress", "how progress is shown on stderr"),
            options::hidden(&O::damaged), options::hidden(&O::identity), options::hidden(&O::group), options::hidden(&O::about));
    }
};
static_assert(options::described<TrainOptions>);

/// Loader threads of a run: what --workers says, else one on a CPU, whose cores the network needs, and for a GPU one less than
/// there are cores, at most 16.
inline int loader_threads(const TrainOptions& options) {
    if (options.workers >= 0) return options.workers;
    const int cores = static_cast<int>(std::thread::hardware_concurrency());
    return device_from(options.device).is_cuda() ? std::clamp(cores - 1, 1, 16) : 1;
}

}  // namespace doppel::train
