// SPDX-License-Identifier: Apache-2.0
// Changes options of the shipped encoders.
#pragma once

#include <variant>

namespace doppel::encoders {

/// Calls change(options) with the options of an encoder: the ResNet or Vit inside a ByName, any other encoder itself.
/// Whether it has an option is for `change` to test, as below.
///
///     encoders::adjust(encoder, [](auto& net) { if constexpr (requires { net.drop_path; }) net.drop_path = 0.1; });
template <class Encoder, class Change>
void adjust(Encoder& encoder, Change&& change) {
    if constexpr (requires { encoder.spec.index(); })
        std::visit(change, encoder.spec);
    else
        change(encoder);
}

/// Sets whether the blocks of a ResNet start as the identity; other encoders are not modified.
template <class Encoder>
void zero_init_residual(Encoder& encoder, bool value) {
    adjust(encoder, [value](auto& net) {
        if constexpr (requires { net.zero_init_residual; }) net.zero_init_residual = value;
    });
}

}  // namespace doppel::encoders
