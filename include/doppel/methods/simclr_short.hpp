// SPDX-License-Identifier: Apache-2.0
// SimCLR's variants differ from it in a slot or two; for short runs on small sets they take more steps per epoch.
#pragma once

#include <doppel/methods/simclr.hpp>

namespace doppel::methods {

/// SimCLR's options for small images with smaller batches and a higher learning rate, without which runs of some hundred
/// steps learn much less.
constexpr SimclrOptions simclr_short() {
    SimclrOptions o = simclr_small;
    o.train.batch_size = 64;
    o.train.lr = 0.3;
    return o;
}

}  // namespace doppel::methods
