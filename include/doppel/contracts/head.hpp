// SPDX-License-Identifier: Apache-2.0
// What the Recipe's `projector` and `predictor` slots accept.
#pragma once

#include <doppel/contracts/empty_slot.hpp>
#include <doppel/contracts/spec.hpp>
#include <doppel/core/module.hpp>
#include <doppel/core/tensor.hpp>

#include <concepts>
#include <cstdint>

namespace doppel::contracts {

/// A head that a spec has built, with the width of its output.
template <class Module>
struct Built {
    Module module;
    std::int64_t out = 0;
};

/// A callable that makes a head for inputs of width `in`: [](std::int64_t in) { return MyHead(in, 128); }.
template <class S>
concept HeadFactory = !BuiltModule<S> && requires(const S& s, std::int64_t in) { s(in); };
/// Options with build(in), as heads::Mlp.
template <class S>
concept BuildableHead = !BuiltModule<S> && requires(const S& s, std::int64_t in) { s.build(in); };

/// Makes a head for inputs of width `in`. A callable gives just the module; its output width is found by a trial of
/// two rows of zeros.
template <class S>
    requires HeadFactory<S> || BuildableHead<S>
auto make_head(const S& spec, std::int64_t in) {
    if constexpr (HeadFactory<S>) {
        auto module = spec(in);
        const at::NoGradGuard no_grad;
        module->eval();
        const Tensor trial = module->forward(at::zeros({2, in}));
        module->train();
        return Built<decltype(module)>{module, trial.size(1)};
    } else {
        return spec.build(in);
    }
}

/// Left out (None), or build(in) → {module, out}, or a callable (in) → module, where
///
///     module->forward([B, in]) → [B, out]
///
/// Satisfied by heads::Mlp, Linear, Dino, and by [](std::int64_t in) { return torch::nn::Linear(in, 128); }.
template <class S>
concept HeadSpec = std::same_as<S, None> || ((HeadFactory<S> || BuildableHead<S>) && requires(const S& s, Tensor x) {
    { make_head(s, std::int64_t{}).module->forward(x) } -> std::convertible_to<Tensor>;
    { make_head(s, std::int64_t{}).out } -> std::convertible_to<std::int64_t>;
});

}  // namespace doppel::contracts
