// SPDX-License-Identifier: Apache-2.0
// What the Recipe's `encoder` slot accepts.
#pragma once

#include <doppel/contracts/spec.hpp>
#include <doppel/core/module.hpp>
#include <doppel/core/tensor.hpp>

#include <concepts>
#include <cstdint>

namespace doppel::contracts {

/// Makes the encoder that a spec describes.
template <class S>
    requires Factory<S> || Buildable<S>
auto make_encoder(const S& spec) {
    if constexpr (Factory<S>)
        return spec();
    else
        return spec.build();
}

/// build(), or a callable without arguments, gives a module (a holder or a shared_ptr) with
///
///     forward(images [B, C, H, W]) → features [B, F]
///     feature_dim() → F
///
/// Optional: the members of a PatchEncoder. Satisfied by encoders::ResNet, Vit, ByName, Custom, TorchScript, and by
/// [] { return MyNet(16); }.
template <class S>
concept EncoderSpec = (Factory<S> || Buildable<S>) && requires(const S& s, Tensor x) {
    { make_encoder(s)->forward(x) } -> std::convertible_to<Tensor>;
    { make_encoder(s)->feature_dim() } -> std::convertible_to<std::int64_t>;
};

/// A built encoder (a holder or a pointer) that gives features of patches, too, and takes masks:
///
///     with_patches(images, mask [B, N] or undefined) → {features [B, F], patches [B, N, F]}
///     grid(height, width) → {rows, columns}
///
/// Satisfied by what encoders::Vit and ByName build (a ResNet throws Error for a mask).
template <class M>
concept PatchEncoder = requires(M module, const Tensor& x, std::int64_t side) {
    { module->with_patches(x, x).features } -> std::convertible_to<Tensor>;
    { module->with_patches(x, x).patches } -> std::convertible_to<Tensor>;
    { module->grid(side, side).rows } -> std::convertible_to<std::int64_t>;
    { module->grid(side, side).columns } -> std::convertible_to<std::int64_t>;
};

}  // namespace doppel::contracts
