// SPDX-License-Identifier: Apache-2.0
// What a trainer's loader makes, and what makes the views where it does not.
#pragma once

#include <doppel/batched/augmenter.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/loader.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/train/options.hpp>

#include <cstdint>
#include <memory>

namespace doppel::train::detail {

inline std::shared_ptr<batched::Augmenter> augmenter_of(const AnyPreset& preset, const data::Dataset& images, const TrainOptions& options,
                                                        at::Device device) {
    if (options.augment == Augment::cpu) return nullptr;
    return std::make_shared<batched::Augmenter>(images, preset.views.pipelines, device, options.resident_mb, options.damaged.get());
}

inline data::LoaderOptions loader_options(const AnyPreset& preset, const TrainOptions& options, at::Device device,
                                          const batched::Augmenter* augmenter) {
    data::LoaderOptions result{.batch_size = preset.batch_size,
                               .seed = static_cast<std::uint64_t>(options.seed),
                               .workers = loader_threads(options),
                               .shuffle_buffer = options.shuffle_buffer,
                               .balanced = options.balanced,
                               .rank = options.group.rank(),
                               .ranks = options.group.size(),
                               .pinned = device.is_cuda(),
                               .multiple = options.accumulate,
                               .globals = preset.views.globals,
                               .damage = options.damaged};
    if (augmenter) augmenter->set(result);
    return result;
}

}  // namespace doppel::train::detail
