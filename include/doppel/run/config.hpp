// SPDX-License-Identifier: Apache-2.0
// config.json: every value that a run used.
#pragma once

#include <doppel/core/version.hpp>
#include <doppel/options/json.hpp>
#include <doppel/run/context.hpp>
#include <doppel/train/trainer.hpp>

#include <ATen/Parallel.h>
#include <nlohmann/json.hpp>
#include <torch/version.h>

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>

namespace doppel::run {

/// The commit of the repository around the current folder, with "-dirty" where files differ from it; "" without git or
/// repository.
inline std::string git_state() {
    std::string text;
    if (std::FILE* pipe = ::popen("git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null", "r")) {
        char part[128];
        while (std::fgets(part, sizeof part, pipe)) text += part;
        ::pclose(pipe);
    }
    text.erase(std::min(text.find('\n'), text.size()));
    return text;
}

inline nlohmann::ordered_json config_of(const Context& run, const train::Trainer& trainer) {
    const AnyPreset& preset = run.preset;
    nlohmann::ordered_json config{{"doppel", version}, {"torch", TORCH_VERSION}, {"method", preset.name}};
    char date[32], host[256] = "";
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &parts));
    ::gethostname(host, sizeof host - 1);
    config["started"] = date;
    config["host"] = host;
    if (const auto git = git_state(); !git.empty()) config["git"] = git;
    config.update(run.options.record);
    config["options"] = preset.options;
    if (preset.options.contains("epochs")) config["options"]["epochs"] = preset.epochs;  // as they are used
    if (preset.options.contains("batch_size")) config["options"]["batch_size"] = preset.batch_size;
    config["run"] = options::to_json(run.options);
    config["run"]["out"] = run.out.string();
    auto& training = config["training"];
    training = {{"epochs", preset.epochs},
                {"batch_size", preset.batch_size},
                {"images_per_step", trainer.images_per_step()},
                {"processes", trainer.group().size()},
                {"images_per_process", rows_of(preset.batch_size, 0, trainer.group().size()).count},
                {"steps", trainer.total_steps()},
                {"optimizer", preset.optimizer.describe()},
                {"lr", trainer.lr().describe()}};
    if (preset.weight_decay) training["weight_decay"] = preset.weight_decay->describe();
    if (const auto clip = preset.clip.describe(); clip != "none") training["clipping"] = clip;
    for (const auto& freeze : preset.frozen) training["frozen"].push_back(freeze.describe());
    config["resolved"] = {{"size", run.pipeline().size()},
                          {"encoder", run.encoder.text},
                          {"started_from", run.started_from},
                          {"device", run.device.str()},
                          {"precision", std::string(name_of(run.precision))},
                          {"augment", trainer.augmented()},
                          {"threads", at::get_num_threads()},
                          {"data", run.data.name},
                          {"data_kind", run.data.format},
                          {"data_split", run.data.split_rule},
                          {"train_images", run.data.train.size()},
                          {"validation_images", run.data.validation.size()},
                          {"classes", run.bank().classes()}};
    if (!run.data.bank.empty()) config["resolved"]["bank_images"] = run.data.bank.size();
    for (const auto& view : preset.views.pipelines) config["views"].push_back(view.describe());
    config["view_eval"] = run.pipeline().describe();
    return config;
}

}  // namespace doppel::run
