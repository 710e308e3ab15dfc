// SPDX-License-Identifier: Apache-2.0
// The processes with the images that each has in a training batch.
#pragma once

#include <doppel/core/group.hpp>
#include <doppel/train/trainer.hpp>

#include <cstdint>
#include <utility>
#include <vector>

namespace doppel::train::detail {

/// For callbacks that gather the outputs of a step.
inline Group group_of_batch(const Trainer& trainer) {
    if (trainer.group().alone()) return {};
    std::vector<std::int64_t> images;
    for (int r = 0; r < trainer.group().size(); ++r) images.push_back(rows_of(trainer.preset().batch_size, r, trainer.group().size()).count);
    return trainer.group().with_images(std::move(images));
}

}  // namespace doppel::train::detail
