// SPDX-License-Identifier: Apache-2.0
// An options aggregate of every kind of member.
#pragma once

#include <doppel/options/groups.hpp>
#include <doppel/options/rows.hpp>

#include "support/support.hpp"

namespace doppel::test {

using namespace doppel::options;

struct Values : Defaults {
    static constexpr double base_lr = 0.4, weight_decay = 1e-6;
};

struct Example {
    Training<Values> train{};
    Crops<Values> crops{};
    double temperature = 0.1;
    std::int64_t out = 128;
    bool zero_init = true;
    Optimizer optimizer = Optimizer::lars;
    std::string note = "none";

    static constexpr auto fields() {
        using O = Example;
        return std::tuple(group(&O::train), group(&O::crops), field(&O::temperature, "temperature", "of the loss", above(0, 10)),
                          field(&O::out, "out-dim", "width", between(2, 4096)), field(&O::zero_init, "zero-init", "blocks"),
                          field(&O::optimizer, "optimizer", "which"), field(&O::note, "note", "text"));
    }
};

/// The row of an option.
inline const Row& row(const std::vector<Row>& rows, const std::string& name) {
    for (const Row& one : rows)
        if (one.name == name) return one;
    throw std::runtime_error("no row " + name);
}

}  // namespace doppel::test
