// SPDX-License-Identifier: Apache-2.0
// What the presets share: option fields that mean the same in many methods, and schedules.
#pragma once

#include <doppel/methods/preset.hpp>
#include <doppel/options/groups.hpp>
#include <doppel/options/json.hpp>
#include <doppel/schedules/schedules.hpp>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace doppel::methods {

using options::Crops;
using options::Defaults;
using options::LocalCrops;
using options::Optimizer;
using options::Training;

/// A linear rise over `warmup`, in epochs or, below 1, as a share of the run; then half a cosine. From `start` to `peak` to
/// `final`.
inline schedules::WarmupCosine rise_and_fall(double peak, double warmup, double final = 0, double start = 0) {
    return {.peak = peak,
            .warmup_epochs = warmup < 1 ? 0 : warmup,
            .warmup_fraction = warmup < 1 ? warmup : 0,
            .final = final,
            .start = start};
}

/// The same for every batch size; `final` and `start` are shares of the peak.
template <class Train>
LearningRate warmup_cosine(const Train& train, double warmup, double final = 0, double start = 0) {
    return [=](std::int64_t images) {
        const double peak = train.peak_lr(images);
        return rise_and_fall(peak, warmup, peak * final, peak * start);
    };
}

/// An optimizer that a method offers.
struct OptimizerChoice {
    Optimizer name;
    optim::AnyOptimizerSpec spec;
};

/// The optimizer of that name. Throws Error for one that is not offered.
inline optim::AnyOptimizerSpec optimizer_of(std::string_view who, Optimizer name, std::initializer_list<OptimizerChoice> offered) {
    std::string names;
    for (const OptimizerChoice& choice : offered) {
        if (choice.name == name) return choice.spec;
        names += (names.empty() ? "" : " or ") + std::string(options::name_of(choice.name));
    }
    fail(who, ": optimizer must be ", names, ", got ", options::name_of(name));
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
    return options::field(member, "warmup", "epochs in which the learning rate rises; below 1: a share of the run",
                          options::between(0, 1e6));
}
template <class O>
constexpr auto zero_init_field(bool O::*member) {
    return options::field(member, "zero-init", "start a ResNet's residual blocks as the identity");
}
template <class O>
constexpr auto optimizer_field(Optimizer O::*member, std::string_view offered = "lars or sgd") {
    return options::field(member, "optimizer", offered);
}
template <class O>
constexpr auto target_momentum_field(double O::*member) {
    return options::field(member, "momentum", "EMA momentum of the target at the start; rises to 1 by half a cosine", options::fraction);
}
template <class O>
constexpr auto join_views_field(bool O::*member, std::string_view meaning = "both views in one BatchNorm batch") {
    return options::field(member, "join-views", meaning);
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
