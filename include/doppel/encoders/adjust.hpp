// SPDX-License-Identifier: Apache-2.0
// What a method changes about the encoder that it is given.
#pragma once

#include <variant>

namespace doppel::encoders {

/// Calls change(options) with the options of an encoder, where it has some: those of a ResNet or ViT, also in an Any.
/// Encoders of one's own are left alone.
///
///     encoders::adjust(encoder, [](auto& net) { if constexpr (requires { net.drop_path; }) net.drop_path = 0.1; });
template <class Encoder, class Change>
void adjust(Encoder& encoder, Change&& change) {
    if constexpr (requires { encoder.spec.index(); })
        std::visit(change, encoder.spec);
    else
        change(encoder);
}

/// Whether a ResNet's blocks start as the identity; other encoders are left alone.
template <class Encoder>
void zero_init_residual(Encoder& encoder, bool value) {
    adjust(encoder, [value](auto& net) {
        if constexpr (requires { net.zero_init_residual; }) net.zero_init_residual = value;
    });
}

}  // namespace doppel::encoders
