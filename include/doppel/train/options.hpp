// SPDX-License-Identifier: Apache-2.0
// How a run is carried out: everything that no paper fixes.
#pragma once

#include <doppel/core/precision.hpp>
#include <doppel/data/damaged_images.hpp>
#include <doppel/train/progress.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

namespace doppel::train {

/// Options of Trainer and train(). Epochs, batch size and everything else that decides how a method learns stand in
/// the preset.
struct TrainOptions {
    std::uint64_t seed = 0;  ///< seed of weights, order, views and torch's generators (dropout, drop-path)
    int workers = 1;         ///< loader threads
    at::Device device = at::kCPU;
    Precision precision = Precision::fp32;
    std::int64_t accumulate = 1;      ///< forward passes per optimizer step, ≥ 1; negatives stay those of one pass
    bool channels_last = true;        ///< memory format of images and convolutions
    std::filesystem::path out{};      ///< run folder; empty: nothing is written
    std::string resume{};             ///< "": new run; "auto": newest checkpoint in `out`, if any; else a checkpoint's path
    std::int64_t checkpoint_every = 0;  ///< epochs between checkpoints; 0: a tenth of the run. The end always has one
    int keep = 2;                     ///< checkpoints kept, ≥ 1
    std::int64_t log_every = 10;      ///< optimizer steps between lines of metrics.jsonl, ≥ 1
    std::int64_t give_up_after = 5;   ///< skipped steps in a row that end the run, ≥ 1
    ProgressMode progress = ProgressMode::automatic;
    std::shared_ptr<data::DamagedImages> damaged{};  ///< where damaged images are noted; none: one ends the run
    std::map<std::string, std::string> identity{};   ///< further settings that must agree when the run resumes
};

}  // namespace doppel::train
