// SPDX-License-Identifier: Apache-2.0
// What may stand in a Recipe's slots. Each slot has one named concept.
#pragma once

#include <doppel/core/batch.hpp>
#include <doppel/core/module.hpp>
#include <doppel/core/random.hpp>
#include <doppel/heads/mlp.hpp>
#include <doppel/pairings/pairing.hpp>
#include <doppel/targets/target.hpp>

#include <concepts>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

namespace doppel {

/// Stands in a slot that must be filled.
struct Required {};
/// Stands in a slot that is left out.
struct None {};
/// Stands in the pairing slot when the loss says how it is paired (`using Pairing = …`), else once.
struct ByLoss {};

namespace slots {

/// A module that is already built: what a slot must not hold, since two methods would share its weights.
template <class S>
concept BuiltModule = std::derived_from<S, torch::nn::Module> || requires { typename S::ContainedType; } ||
                      requires(const S& s) { { s.get() } -> std::convertible_to<const torch::nn::Module*>; };

// A factory is tested before use: a deduced return type inside a requires-expression is a hard error, not "false".
template <class S>
concept Factory = !BuiltModule<S> && requires(const S& s) { s(); };
template <class S>
concept Buildable = !BuiltModule<S> && requires(const S& s) { s.build(); };

/// Makes the encoder that a spec describes.
template <class S>
    requires Factory<S> || Buildable<S>
auto make_encoder(const S& spec) {
    if constexpr (Factory<S>)
        return spec();
    else
        return spec.build();
}

/// Gives a module (holder or shared_ptr) with forward(images [B,C,H,W]) → features [B,F] and feature_dim() = F.
template <class S>
concept EncoderSpec = (Factory<S> || Buildable<S>) && requires(const S& s, Tensor x) {
    { make_encoder(s)->forward(x) } -> std::convertible_to<Tensor>;
    { make_encoder(s)->feature_dim() } -> std::convertible_to<std::int64_t>;
};

/// A built encoder (holder or pointer) that also speaks of patches, and from which patches can be hidden: a Vision
/// Transformer.
template <class M>
concept PatchEncoder = requires(M module, const Tensor& x, std::int64_t side) {
    { module->with_patches(x, x).features } -> std::convertible_to<Tensor>;
    { module->with_patches(x, x).patches } -> std::convertible_to<Tensor>;
    { module->grid(side, side).rows } -> std::convertible_to<std::int64_t>;
};

/// A loss that says which patches of an image are hidden: mask(rows, columns, stream), true: hidden.
template <class L>
concept MaskingLoss = requires(const L& l, std::int64_t side, random::Stream draw) {
    { l.mask(side, side, draw) } -> std::convertible_to<std::vector<bool>>;
};

template <class S>
concept HeadFactory = !BuiltModule<S> && requires(const S& s, std::int64_t in) { s(in); };
template <class S>
concept BuildableHead = !BuiltModule<S> && requires(const S& s, std::int64_t in) { s.build(in); };

/// Makes a head for inputs of width `in`. A callable gives just the module; its output width is found by a
/// trial of two zero rows.
template <class S>
    requires HeadFactory<S> || BuildableHead<S>
auto make_head(const S& spec, std::int64_t in) {
    if constexpr (HeadFactory<S>) {
        auto module = spec(in);
        const at::NoGradGuard no_grad;
        module->eval();
        const Tensor trial = module->forward(at::zeros({2, in}));
        module->train();
        return heads::Built<decltype(module)>{module, trial.size(1)};
    } else {
        return spec.build(in);
    }
}

/// Left out, or build(in) → {module, out}, or a callable (in) → module; module: [B, in] → [B, out].
template <class S>
concept HeadSpec = std::same_as<S, None> || ((HeadFactory<S> || BuildableHead<S>) && requires(const S& s, Tensor x) {
    { make_head(s, std::int64_t{}).module->forward(x) } -> std::convertible_to<Tensor>;
    { make_head(s, std::int64_t{}).out } -> std::convertible_to<std::int64_t>;
});

struct NamesTensors {
    void operator()(const char*, Tensor&) const {}
};

/// Left out, or build(dim) → a memory with read() → [K, dim], commit(outputs), state(visitor).
template <class S>
concept QueueSpec = std::same_as<S, None> || requires(const S& s, const Outputs& outputs) {
    { s.build(std::int64_t{}).read() } -> std::convertible_to<Tensor>;
    s.build(std::int64_t{}).commit(outputs);
    s.build(std::int64_t{}).state(NamesTensors{});
};

/// The three forms of a loss, told apart by how it can be called.
template <class L>
concept PairLoss = requires(L& l, const Tensor& x) {
    { l(x, x) } -> std::convertible_to<Tensor>;
};
template <class L>
concept MemoryLoss = requires(L& l, const Tensor& x) {
    { l(x, x, x) } -> std::convertible_to<Tensor>;
};
template <class L>
concept OutputsLoss = requires(L& l, const Outputs& outputs) {
    { l(outputs) } -> std::convertible_to<Tensor>;
};
template <class L>
concept Loss = PairLoss<L> || MemoryLoss<L> || OutputsLoss<L>;

/// Left to the loss, or a pairing.
template <class P>
concept PairingSlot = std::same_as<P, ByLoss> || pairings::Pairing<P>;

}  // namespace slots
}  // namespace doppel
