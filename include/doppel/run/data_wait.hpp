// SPDX-License-Identifier: Apache-2.0
// What to do when training waits for images.
#pragma once

#include <fmt/format.h>

#include <string>
#include <thread>

namespace doppel::run {

/// Returns advice if training waited for images for more than a fifth of its time; else an empty text. `workers` is the
/// number of loader threads.
inline std::string data_wait_hint(double data_wait, int workers, unsigned cores = std::thread::hardware_concurrency()) {
    if (data_wait <= 0.2) return {};
    const std::string waited = fmt::format("training waited for images {:.0f} % of the time: ", 100 * data_wait);
    if (cores == 0 || workers < static_cast<int>(cores))
        return waited + fmt::format("--workers {} instead of {} loads more at once", cores == 0 ? 2 * workers + 1 : static_cast<int>(cores), workers);
    return waited + fmt::format("all {} cores load; a packed file (./run pack) with smaller images is read faster", cores);
}

}  // namespace doppel::run
