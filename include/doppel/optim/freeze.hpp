// SPDX-License-Identifier: Apache-2.0
// Freezes parameters for the first epochs or steps.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/optim/groups.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

namespace doppel::optim {

/// A rule that freezes parameters at the start of a run by dropping their gradients: they neither move nor decay, and
/// no momentum accumulates.
/// Source: DINO's code (freeze_last_layer = 1 epoch) and SwAV's (freeze_prototypes_niters = 313 steps), which drop the
/// gradients, too.
///
///     preset.frozen = {{.matches = "projector.last", .epochs = 1}};
struct Freeze {
    std::string matches{};   ///< a part of the parameters' names
    double epochs = 0;       ///< duration in epochs, or
    std::int64_t steps = 0;  ///< in optimizer steps, whichever is longer

    /// Returns the duration in optimizer steps.
    std::int64_t until(std::int64_t steps_per_epoch) const {
        require(epochs >= 0 && std::isfinite(epochs) && steps >= 0, "optim::Freeze: '", matches,
                "': epochs and steps must not be negative, got ", epochs, " and ", steps);
        return std::max(steps, static_cast<std::int64_t>(std::llround(epochs * static_cast<double>(steps_per_epoch))));
    }

    /// Returns a warning if the parameters are frozen for the whole run.
    std::string begin(const Horizon& run) const {
        if (run.steps <= 0 || until(run.steps_per_epoch) < run.steps) return {};
        std::ostringstream text;
        text << "optim::Freeze: " << describe() << " in a run of " << run.steps
             << (run.steps == 1 ? " step" : " steps") << ": they are never trained; train longer or freeze them for less";
        return text.str();
    }

    /// Returns "'projector.last' for 1 epoch", for config.json.
    std::string describe() const {
        std::ostringstream text;
        text << "'" << matches << "' for ";
        if (epochs > 0) text << epochs << (epochs == 1 ? " epoch" : " epochs");
        if (steps > 0 || epochs <= 0)
            text << (epochs > 0 ? " and at least " : "") << steps << (steps == 1 ? " step" : " steps");
        return text.str();
    }
};

/// Drops the gradients of all parameters that are frozen at `step`. Throws Error for a rule that matches no parameter.
inline void drop_frozen(const std::vector<Freeze>& frozen, const Groups& groups, std::int64_t step,
                        std::int64_t steps_per_epoch) {
    for (const Freeze& freeze : frozen) {
        if (step > 0 && step >= freeze.until(steps_per_epoch)) continue;  // step 0 always checks the match
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
