// SPDX-License-Identifier: Apache-2.0
// The identity of a run: what must agree when it resumes, and between its processes.
#pragma once

#include <doppel/core/precision.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/schedules/schedule.hpp>
#include <doppel/train/identity.hpp>
#include <doppel/train/options.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <utility>

namespace doppel::train::detail {

/// Adds a JSON object's leaves as "option temperature"; lengths and sizes that stand elsewhere in the identity are left out.
inline void add_options(Identity& identity, const nlohmann::ordered_json& options, const std::string& prefix = "") {
    for (const auto& [name, value] : options.items()) {
        if (value.is_object())
            add_options(identity, value, prefix + name + ".");
        else if (name != "epochs" && name != "batch-size" && name != "batch_size")
            identity["option " + prefix + name] = value.is_string() ? value.get<std::string>() : value.dump();
    }
}

inline Identity identity_of(const AnyPreset& preset, const data::Dataset& images, const TrainOptions& options,
                            const schedules::AnySchedule& lr, Precision precision) {
    Identity identity = options.identity;
    identity["method"] = preset.name;
    if (preset.options.is_object()) add_options(identity, preset.options);
    for (std::size_t v = 0; v < preset.views.pipelines.size(); ++v)
        identity["view " + std::to_string(v + 1)] = preset.views.pipelines[v].describe();
    identity["global views"] = std::to_string(preset.views.globals);
    identity["epochs"] = std::to_string(preset.epochs);
    identity["batch size"] = std::to_string(preset.batch_size);
    identity["accumulate"] = std::to_string(options.accumulate);
    identity["precision"] = std::string(name_of(precision));
    identity["seed"] = std::to_string(options.seed);
    if (options.augment != Augment::cpu) identity["augment"] = std::string(options::name_of(options.augment));
    if (!options.group.alone() && !options.sync_batch_norm)  // the result depends on the number of processes
        identity["BatchNorm"] = "of each of " + std::to_string(options.group.size()) + " processes";
    if (options.balanced) identity["balanced"] = "true";
    if (!images.shards().empty() && !options.balanced) identity["shuffle buffer"] = std::to_string(options.shuffle_buffer);
    identity["training images"] = std::to_string(images.size());
    if (auto list = images.fingerprint(); !list.empty()) identity["list of training images"] = std::move(list);
    identity["optimizer"] = preset.optimizer.describe();
    identity["learning rate"] = lr.describe();
    if (preset.weight_decay) identity["weight decay"] = preset.weight_decay->describe();
    if (const auto clip = preset.clip.describe(); clip != "none") identity["clipping"] = clip;
    for (const auto& freeze : preset.frozen) identity["frozen"] += freeze.describe() + "; ";
    return identity;
}

}  // namespace doppel::train::detail
