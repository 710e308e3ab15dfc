// SPDX-License-Identifier: Apache-2.0
// Specs and built modules: a slot holds the description of a module, never the module.
#pragma once

#include <doppel/core/module.hpp>

#include <concepts>

namespace doppel::contracts {

/// A module that is already built: what a slot must not hold, since two methods would share its weights.
/// Satisfied by torch::nn::Module and what derives from it, by module holders, and by pointers to modules.
template <class S>
concept BuiltModule = std::derived_from<S, torch::nn::Module> || requires { typename S::ContainedType; } ||
                      requires(const S& s) { { s.get() } -> std::convertible_to<const torch::nn::Module*>; };

// A factory is tested before use: a deduced return type inside a requires-expression is a hard error, not "false".

/// A callable that makes something: [] { return MyNet(16); }.
template <class S>
concept Factory = !BuiltModule<S> && requires(const S& s) { s(); };
/// Options with build(), as encoders::ResNet.
template <class S>
concept Buildable = !BuiltModule<S> && requires(const S& s) { s.build(); };

}  // namespace doppel::contracts
