// SPDX-License-Identifier: Apache-2.0
// Whether a type has a member of a hook's name, whatever its parameters: so that a mistyped hook is an error and not
// silently never called.
#pragma once

#include <type_traits>

namespace doppel::train::detail {

// A member named as one of Name's makes that name ambiguous in a type derived from both, and its address ill-formed.
template <class C, class Name>
struct Probe : C, Name {};
template <class C>
concept Probable = std::is_class_v<C> && !std::is_final_v<C>;

struct Begin { int begin; };
struct Step { int step; };
struct Epoch { int epoch; };
struct Evaluation { int evaluation; };
struct End { int end; };
struct OnBegin { int on_begin; };
struct OnStep { int on_step; };
struct OnEpoch { int on_epoch; };
struct OnEvaluation { int on_evaluation; };
struct OnEnd { int on_end; };
struct AfterStep { int after_step; };
struct AfterEpoch { int after_epoch; };

template <class C>
concept names_begin = Probable<C> && !requires { &Probe<C, Begin>::begin; };
template <class C>
concept names_step = Probable<C> && !requires { &Probe<C, Step>::step; };
template <class C>
concept names_epoch = Probable<C> && !requires { &Probe<C, Epoch>::epoch; };
template <class C>
concept names_evaluation = Probable<C> && !requires { &Probe<C, Evaluation>::evaluation; };
template <class C>
concept names_end = Probable<C> && !requires { &Probe<C, End>::end; };
template <class C>
concept names_foreign_hook =
    Probable<C> &&
    !(requires { &Probe<C, OnBegin>::on_begin; } && requires { &Probe<C, OnStep>::on_step; } &&
      requires { &Probe<C, OnEpoch>::on_epoch; } && requires { &Probe<C, OnEvaluation>::on_evaluation; } &&
      requires { &Probe<C, OnEnd>::on_end; } && requires { &Probe<C, AfterStep>::after_step; } &&
      requires { &Probe<C, AfterEpoch>::after_epoch; });

}  // namespace doppel::train::detail
