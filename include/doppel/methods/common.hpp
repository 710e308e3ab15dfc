// SPDX-License-Identifier: Apache-2.0
// What the presets share: option fields that mean the same in many methods, and schedules.
#pragma once

#include <doppel/methods/preset.hpp>
#include <doppel/options/groups.hpp>
#include <doppel/options/json.hpp>
#include <doppel/schedules/schedules.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace doppel::methods {

using options::Crops;
using options::Defaults;
using options::FixedTraining;
using options::LocalCrops;
using options::Optimizer;
using options::Training;

/// A linear rise over `warmup` of the run, then half a cosine: from peak / `start` to the peak to peak / `final`.
template <class Train>
LearningRate warmup_cosine(const Train& train, double warmup, double final = std::numeric_limits<double>::infinity(),
                           double start = std::numeric_limits<double>::infinity()) {
    return [=](std::int64_t images) {
        const double peak = train.peak_lr(images);
        return schedules::WarmupCosine{.peak = peak, .warmup_fraction = warmup, .final = peak / final, .start = peak / start};
    };
}

/// A preset of parts and options: epochs and batch size are options.train's.
template <class R, class Options>
Preset<R> preset_of(std::string name, R recipe, views::Views views, optim::AnyOptimizerSpec optimizer, LearningRate lr,
                    const Options& options) {
    return {.name = std::move(name),
            .recipe = std::move(recipe),
            .views = std::move(views),
            .optimizer = std::move(optimizer),
            .lr = std::move(lr),
            .epochs = options.train.epochs,
            .batch_size = options.train.batch_size,
            .options = options::to_json(options)};
}

// Fields that mean the same wherever they stand.
template <class O>
constexpr auto warmup_field(double O::*member) {
    return options::field(member, "warmup", "share of the run in which the learning rate rises", options::fraction);
}
template <class O>
constexpr auto zero_init_field(bool O::*member) {
    return options::field(member, "zero-init", "start a ResNet's residual blocks as the identity");
}
template <class O>
constexpr auto hidden_field(std::int64_t O::*member, std::string_view meaning = "width of the projector's hidden layers") {
    return options::field(member, "hidden", meaning, options::width);
}
template <class O>
constexpr auto out_field(std::int64_t O::*member, std::string_view meaning = "width of the embeddings") {
    return options::field(member, "out-dim", meaning, options::between(2, 1 << 20));
}
template <class O>
constexpr auto temperature_field(double O::*member, std::string_view meaning = "temperature of the loss") {
    return options::field(member, "temperature", meaning, options::above(0, 10));
}
template <class O>
constexpr auto momentum_field(double O::*member, std::string_view meaning = "EMA momentum of the target") {
    return options::field(member, "momentum", meaning, options::fraction);
}

}  // namespace doppel::methods
