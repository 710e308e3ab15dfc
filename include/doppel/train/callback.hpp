// SPDX-License-Identifier: Apache-2.0
// Callbacks: code that runs at the events of a training run.
#pragma once

#include <doppel/train/detail/hook_names.hpp>
#include <doppel/train/result.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <type_traits>

namespace doppel::train {

class Trainer;

namespace detail {

template <class C>
concept BeginHook = requires(C& c, Trainer& trainer) { c.begin(trainer); };
template <class C>
concept StepHook = requires(C& c, Trainer& trainer, const StepReport& report) { c.step(trainer, report); };
template <class C>
concept EpochHook = requires(C& c, Trainer& trainer, std::int64_t epoch) { c.epoch(trainer, epoch); };
template <class C>
concept EvaluationHook = requires(C& c, Trainer& trainer, const Metrics& metrics) { c.evaluation(trainer, metrics); };
template <class C>
concept EndHook = requires(C& c, Trainer& trainer, TrainResult& result) { c.end(trainer, result); };
template <class C>
concept StepFunction = requires(C& c, Trainer& trainer, const StepReport& report) { c(trainer, report); };

}  // namespace detail

/// Any subset of these hooks, or a callable (Trainer&, const StepReport&), which is a step hook:
///
///     begin(Trainer&)                          before the first step of this process
///     step(Trainer&, const StepReport&)        after each optimizer step, taken or skipped
///     epoch(Trainer&, int64_t)                 after each pass over the training images, counted from 1
///     evaluation(Trainer&, const Metrics&)     after figures were given to Trainer::publish()
///     end(Trainer&, TrainResult&)              once, also when a step or a callback threw (then result.error says what)
///
/// A hook with other parameters, or named as in other libraries (on_step, after_epoch), does not compile. What a hook
/// throws ends the run; a checkpoint of the last good step is written first where the run has a folder.
///
///     train::train(preset, photos, {.out = "runs/mine"}, [](train::Trainer& trainer, const train::StepReport& r) {
///         if (r.step == 1000) trainer.stop("1000 steps are enough");
///     });
template <class C>
concept Callback = (detail::BeginHook<C> || detail::StepHook<C> || detail::EpochHook<C> || detail::EvaluationHook<C> ||
                    detail::EndHook<C> || detail::StepFunction<C>) &&
                   (detail::BeginHook<C> || !detail::names_begin<C>) && (detail::StepHook<C> || !detail::names_step<C>) &&
                   (detail::EpochHook<C> || !detail::names_epoch<C>) &&
                   (detail::EvaluationHook<C> || !detail::names_evaluation<C>) &&
                   (detail::EndHook<C> || !detail::names_end<C>) && !detail::names_foreign_hook<C>;

/// The hooks of one callback behind one type, so that the loop is compiled once. Refers to the callback, which must
/// outlive it.
class CallbackRef {
public:
    template <class C>
        requires(!std::same_as<std::remove_cv_t<C>, CallbackRef>)  // a copy is a copy, not a reference to another one
    explicit CallbackRef(C& callback) {
        static_assert(Callback<C>,
                      "a training callback needs at least one of the hooks begin(Trainer&), step(Trainer&, const StepReport&), "
                      "epoch(Trainer&, int64_t), evaluation(Trainer&, const Metrics&), end(Trainer&, TrainResult&), with "
                      "exactly these names and parameters, or must be callable as (Trainer&, const StepReport&)");
        if constexpr (Callback<C>) {
            if constexpr (detail::BeginHook<C>) begin = [&callback](Trainer& t) { callback.begin(t); };
            if constexpr (detail::StepHook<C>)
                step = [&callback](Trainer& t, const StepReport& r) { callback.step(t, r); };
            else if constexpr (detail::StepFunction<C>)
                step = [&callback](Trainer& t, const StepReport& r) { callback(t, r); };
            if constexpr (detail::EpochHook<C>) epoch = [&callback](Trainer& t, std::int64_t n) { callback.epoch(t, n); };
            if constexpr (detail::EvaluationHook<C>)
                evaluation = [&callback](Trainer& t, const Metrics& m) { callback.evaluation(t, m); };
            if constexpr (detail::EndHook<C>) end = [&callback](Trainer& t, TrainResult& r) { callback.end(t, r); };
        }
    }

    std::function<void(Trainer&)> begin{};
    std::function<void(Trainer&, const StepReport&)> step{};
    std::function<void(Trainer&, std::int64_t)> epoch{};
    std::function<void(Trainer&, const Metrics&)> evaluation{};
    std::function<void(Trainer&, TrainResult&)> end{};
};

}  // namespace doppel::train
