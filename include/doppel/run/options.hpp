// SPDX-License-Identifier: Apache-2.0
// What a whole run is given: images and options.
#pragma once

#include <doppel/data/dataset.hpp>
#include <doppel/data/open.hpp>
#include <doppel/options/rows.hpp>
#include <doppel/train/options.hpp>
#include <doppel/weights/encoder_info.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace doppel::run {

/// The images of a run.
struct Data {
    data::Dataset train{};               ///< learned from
    data::Dataset validation{};          ///< evaluated on; labels index the classes of `bank`. Empty: no evaluation
    std::string name = "custom images";  ///< for the report's title
    std::string format{}, split_rule{};  ///< how they are stored, where the validation images come from: for people
    std::vector<std::string> skipped{};  ///< files and folders that may hold images but cannot be used, with the reason
    std::vector<std::string> notes{};    ///< what else was passed over, for people
    data::Dataset bank{};                ///< labeled images that k-NN compares with; empty: those of `train`
    std::string list{};                  ///< written as images.tsv, by which the run can go on: see data::save_list()
};

/// What data::open() found, under a name.
///
///     run::Data photos = run::data_from(data::open("photos"), "photos");
inline Data data_from(data::Splits splits, std::string name) {
    return {.train = std::move(splits.train),
            .validation = std::move(splits.validation),
            .name = std::move(name),
            .format = std::move(splits.format),
            .split_rule = std::move(splits.split_rule),
            .skipped = std::move(splits.skipped),
            .notes = std::move(splits.notes),
            .bank = std::move(splits.bank),
            .list = std::move(splits.list)};
}

/// Options of a whole run.
///
///     run::run(preset, {.train = photos, .validation = held_out}, {.train = {.seed = 1, .out = "runs/mine"}, .knn_every = 10});
struct RunOptions {
    train::TrainOptions train{};  ///< `out` empty: runs/NAME-DATE-TIME
    std::string init{};
    std::int64_t knn_every = 0, k = 20;
    bool linear = true, online_probe = false, strict = false;
    std::string expect{};
    std::string title{};                ///< of the method, for people; empty: the preset's name
    weights::EncoderInfo encoder{};              ///< where the recipe does not tell (AnyPreset): see weights::encoder_info()
    nlohmann::ordered_json record = nlohmann::ordered_json::object();  ///< more for config.json: the command line, …

    static constexpr auto fields() {
        using O = RunOptions;
        using options::field;
        return std::tuple(
            options::group(&O::train),
            field(&O::init, "init",
                  "weights that a new run's encoder starts from: a safetensors file of doppel, torchvision, timm, lightly or a method's authors, "
                  "a checkpoint or a run folder; --resume goes on with a run instead"),
            field(&O::knn_every, "knn-every", "epochs between k-NN evaluations while training; 0: at the end only",
                  options::at_least(0)),
            field(&O::k, "k", "neighbors that vote in k-NN", options::between(1, 1e6)),
            field(&O::linear, "linear", "fit a linear probe at the end: logistic regression on the features of the training images, 20,000 at most"),
            field(&O::online_probe, "online-probe",
                  "train a linear classifier on the encoder's features beside the method, which it does not touch; needs labeled training images"),
            field(&O::strict, "strict", "end with an error at a damaged image, instead of skipping it"),
            field(&O::expect, "expect",
                  "milestones, as in knn_top1=0.4@20: a run whose figure is below that after epoch 20 ends, with exit status 3; "
                  "FIGURE<VALUE@EPOCH for one that must be small; several with commas, or the option again"),
            options::hidden(&O::title), options::hidden(&O::encoder),
            options::hidden(&O::record));
    }
};
static_assert(options::described<RunOptions>);

}  // namespace doppel::run
