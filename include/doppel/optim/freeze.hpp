// SPDX-License-Identifier: Apache-2.0
// Parameters that wait before they are trained.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/optim/groups.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

namespace doppel::optim {

/// Parameters that are not trained at the beginning of a run: their gradients are dropped, so that nothing moves them,
/// no momentum gathers and nothing decays.
/// Source: DINO's code (freeze_last_layer = 1 epoch) and SwAV's (freeze_prototypes_niters = 313 steps), where the gradients
/// are dropped in the same way.
///
///     preset.frozen = {{.matches = "projector.last", .epochs = 1}};
struct Freeze {
    std::string matches{};   ///< a part of the parameters' names
    double epochs = 0;       ///< how long, in passes over the training images; or
    std::int64_t steps = 0;  ///< in optimizer steps; the longer of the two counts

    /// Optimizer steps that it lasts.
    std::int64_t until(std::int64_t steps_per_epoch) const {
        require(epochs >= 0 && std::isfinite(epochs) && steps >= 0, "optim::Freeze: '", matches,
                "': epochs and steps must not be negative, got ", epochs, " and ", steps);
        return std::max(steps, static_cast<std::int64_t>(std::llround(epochs * static_cast<double>(steps_per_epoch))));
    }

    /// "'projector.last' for 1 epoch".
    std::string describe() const {
        std::ostringstream text;
        text << "'" << matches << "' for ";
        if (epochs > 0) text << epochs << (epochs == 1 ? " epoch" : " epochs");
        if (steps > 0 || epochs <= 0) text << (epochs > 0 ? " and at least " : "") << steps << (steps == 1 ? " step" : " steps");
        return text.str();
    }
};

/// Drops the gradients of all that is frozen at `step`. Throws Error for one that no parameter fits.
inline void drop_frozen(const std::vector<Freeze>& frozen, const Groups& groups, std::int64_t step,
                        std::int64_t steps_per_epoch) {
    for (const Freeze& freeze : frozen) {
        if (step > 0 && step >= freeze.until(steps_per_epoch)) continue;  // looked for at the start in any case
        bool found = false;
        for (const auto& group : groups)
            for (const auto& [name, parameter] : group.parameters)
                if (name.find(freeze.matches) != std::string::npos) {
                    found = true;
                    if (step < freeze.until(steps_per_epoch)) Tensor(parameter).mutable_grad().reset();
                }
        require(found, "optim::Freeze: '", freeze.matches, "' matches no parameter that is trained");
    }
}

}  // namespace doppel::optim
