// SPDX-License-Identifier: Apache-2.0
// A run that is ready to start.
#pragma once

#include <doppel/cli/common.hpp>
#include <doppel/cli/skipped.hpp>
#include <doppel/recipe/any_method.hpp>
#include <doppel/train/trainer.hpp>

#include <nlohmann/json.hpp>

#include <memory>
#include <string>

namespace doppel::cli {

/// A prepared run, without the types of its recipe.
struct Job {
    About about{};
    Common common{};
    data::Splits data{};
    encoders::ByName encoder{};     ///< by --arch; not read when the method has one of its own
    bool own_encoder = false;    ///< the method's own, not chosen by --arch
    int size = 0;
    AnyMethod method{};
    train::Plan plan{};
    train::TrainOptions options{};
    Network evaluate = Network::online;
    nlohmann::ordered_json config{};
    std::shared_ptr<Skipped> skipped{};
};

}  // namespace doppel::cli
