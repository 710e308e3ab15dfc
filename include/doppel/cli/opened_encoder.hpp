// SPDX-License-Identifier: Apache-2.0
// Command-line options of programs that take an encoder: a run folder, a checkpoint or a file of weights.
#pragma once

#include <doppel/cli/network_choice.hpp>
#include <doppel/core/device.hpp>
#include <doppel/core/error.hpp>
#include <doppel/data/loader.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/options/rows.hpp>
#include <doppel/run/messages.hpp>
#include <doppel/train/options.hpp>
#include <doppel/weights/open.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace doppel::cli {

/// How the encoder is read and run.
struct OpenedOptions {
    std::string arch{}, device = "auto";
    NetworkChoice network = NetworkChoice::automatic;
    int size = 0;
    std::int64_t batch_size = 256;
    int workers = -1;

    static constexpr auto fields() {
        using O = OpenedOptions;
        using options::field;
        return std::tuple(
            field(&O::arch, "arch", "encoder as in training (resnet50, vit_s16h12); empty: by the tensors and the metadata of the file"),
            field(&O::network, "network", "network of a checkpoint that holds two; auto: the one that its method exports"),
            field(&O::size, "size", "side of the images that the encoder gets; 0: as the file says, else 224", options::between(0, 4096), "px"),
            field(&O::batch_size, "batch-size", "images at once", options::between(1, 1e6)),
            field(&O::workers, "workers", "threads that decode images; -1: by the cores", options::between(-1, 4096)),
            field(&O::device, "device", "auto, cpu, cuda or cuda:N"));
    }
};
static_assert(options::described<OpenedOptions>);

/// Takes the first word where it is no option.
inline std::filesystem::path first_word(std::vector<std::string>& words) {
    if (words.empty() || words.front().starts_with("-")) return {};
    std::filesystem::path word = words.front();
    words.erase(words.begin());
    return word;
}

/// Opens the encoder and puts it on the device; says what it is. Gives it with the options of eval::features().
inline std::pair<weights::OpenedEncoder, eval::FeatureOptions> open_for_features(const std::filesystem::path& path, const OpenedOptions& o) {
    const at::Device device = device_from(o.device);
    auto opened = weights::open_encoder(path, {.arch = o.arch, .size = o.size, .network = network_of(o.network)});
    opened.module->to(device);
    run::say("{}: {}, {} features; {}; images of {} px", path.string(), opened.spec.name(), opened.module->feature_dim(), opened.origin,
             opened.pipeline.size());
    for (const auto& note : opened.notes) run::say("{}", note);
    return {std::move(opened), {.batch_size = o.batch_size, .workers = train::loader_threads({.device = o.device, .workers = o.workers})}};
}

}  // namespace doppel::cli
