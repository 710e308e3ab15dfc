// SPDX-License-Identifier: Apache-2.0
// What an option's number may be.
#pragma once

#include <limits>

namespace doppel {

/// A closed interval, or one without its lower end.
struct Limits {
    double min = -std::numeric_limits<double>::infinity();
    double max = std::numeric_limits<double>::infinity();
    bool above_min = false;  ///< the minimum itself is not allowed
};

}  // namespace doppel
