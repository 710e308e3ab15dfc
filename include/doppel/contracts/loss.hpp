// SPDX-License-Identifier: Apache-2.0
// What the Recipe's `loss` slot accepts.
#pragma once

#include <doppel/contracts/pairing.hpp>
#include <doppel/contracts/part.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/random.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/core/training_step.hpp>

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace doppel::contracts {

/// loss(online [N, D], target [N, D]) → scalar, for each pair of views. Satisfied by losses::NtXent, ByolMse, Vicreg …
template <class L>
concept PairLoss = requires(L& l, const Tensor& x) {
    { l(x, x) } -> std::convertible_to<Tensor>;
};
/// loss(online, target, memory [K, D]) → scalar, with a queue. Satisfied by losses::InfoNce, Nnclr, Ressl.
template <class L>
concept MemoryLoss = requires(L& l, const Tensor& x) {
    { l(x, x, x) } -> std::convertible_to<Tensor>;
};
/// loss(Outputs) → scalar, once for all views. Satisfied by losses::Dino, Swav, Mmcr …
template <class L>
concept OutputsLoss = requires(L& l, const Outputs& outputs) {
    { l(outputs) } -> std::convertible_to<Tensor>;
};

/// One of the three forms. A loss with the pair form and the Outputs form, as NtXent, is paired while the recipe names a
/// pairing or the batch has no more than two views, and sees all views at once otherwise.
///
/// What a loss may have besides:
///
/// | member                              | concept      | meaning                                                    |
/// |-------------------------------------|--------------|------------------------------------------------------------|
/// | using Pairing = …                   | NamesPairing | how it is paired; pair losses without it: OneSided         |
/// | build(dim)                          | Builds       | makes its state for embeddings of width dim                |
/// | begin(horizon)                      | Begins       | before training; throws, or gives a warning as a string    |
/// | state(visitor)                      | HasState     | tensors of the checkpoint, `loss.*`: those that require a gradient are trained, the others are buffers; changed in place only |
/// | commit(outputs)                     | Commits      | writes state after the optimizer step, once a forward pass |
/// | commit(outputs, bad)                | CommitsOnDevice | the same on a GPU, without a trace where `bad` [] is 1  |
/// | metrics() const                     | HasMetrics   | named scalars for the log                                  |
/// | counters()                          | HasCounters  | named host integers of the checkpoint                      |
/// | host_numbers(step) const            | NamesHostNumbers | numbers of the host that the result depends on, {} for none: allows capture as a graph |
/// | mask(rows, columns, stream) const   | MaskingLoss  | masks patches of global views; true: masked                |
/// | join(group)                         | Joins        | several processes: asks the others itself; see part.hpp    |
/// | static constexpr bool per_image     | PerImage     | true: a mean over images of terms that look at one image each, and at state: computed by each process for its own images, commit() still gets those of all |
/// | static constexpr bool uses_labels   | UsesLabels   | true: trains on Outputs::label, and the report says so     |
///
/// part.hpp holds those that queues and targets share. A loss with a member of one of these names that cannot be called
/// like this is rejected by the recipe's check.
template <class L>
concept Loss = PairLoss<L> || MemoryLoss<L> || OutputsLoss<L>;

template <class L>
concept Builds = requires(L& l, std::int64_t dim) { l.build(dim); };

using Metrics = std::vector<std::pair<std::string, Tensor>>;
template <class L>
concept HasMetrics = requires(const L& l) {
    { l.metrics() } -> std::convertible_to<Metrics>;
};

/// A loss that is a function of its tensors alone: without state, and without the training step.
template <class L>
concept PureLoss = !OutputsLoss<L> && !Commits<L> && !HasState<L> && (requires(const L& l, const Tensor& x) { l(x, x); } ||
                                                                      requires(const L& l, const Tensor& x) { l(x, x, x); });

/// host_numbers(step) says of what numbers of the host, other than options, the result at a step depends; {} if of none. A loss
/// that has it may be captured in a graph, which is made anew where they differ. Pure losses need not say so.
template <class L>
concept NamesHostNumbers = PureLoss<L> || requires(const L& l, const TrainingStep& at) {
    { l.host_numbers(at) } -> std::convertible_to<std::vector<double>>;
};

/// Those numbers; nothing for a loss that does not say.
template <class L>
std::optional<std::vector<double>> host_numbers(const L& loss, const TrainingStep& at) {
    if constexpr (requires { loss.host_numbers(at); })
        return loss.host_numbers(at);
    else if constexpr (PureLoss<L>)
        return std::vector<double>{};
    else
        return std::nullopt;
}

using Counters = std::vector<std::pair<std::string, std::int64_t*>>;
template <class L>
concept HasCounters = requires(L& l) {
    { l.counters() } -> std::convertible_to<Counters>;
};

template <class L>
concept MaskingLoss = requires(const L& l, std::int64_t side, random::Stream draw) {
    { l.mask(side, side, draw) } -> std::convertible_to<std::vector<bool>>;
};

template <class L>
concept UsesLabels = requires { requires L::uses_labels; };

template <class L>
concept PerImage = requires { requires L::per_image; };

template <class L>
concept NamesPairing = requires { typename L::Pairing; } && Pairing<typename L::Pairing>;

/// A member of the right name that cannot be called as the table says; each is false where the member is missing. Members
/// that are templates or overloaded are not looked at.
template <class L>
inline constexpr bool misnames_pairing = requires { typename L::Pairing; } && !NamesPairing<L>;
template <class L>
inline constexpr bool misspells_build = requires { &L::build; } && !Builds<L>;
template <class L>
inline constexpr bool misspells_begin = requires { &L::begin; } && !Begins<L>;
template <class L>
inline constexpr bool misspells_state = requires { &L::state; } && !HasState<L>;
template <class L>
inline constexpr bool misspells_commit = requires { &L::commit; } && !Commits<L>;
template <class L>
inline constexpr bool misspells_metrics = requires { &L::metrics; } && !HasMetrics<L>;
template <class L>
inline constexpr bool misspells_counters = requires { &L::counters; } && !HasCounters<L>;
template <class L>
inline constexpr bool misspells_mask = requires { &L::mask; } && !MaskingLoss<L>;
template <class L>
inline constexpr bool misspells_host_numbers = requires { &L::host_numbers; } && !requires(const L& l, const TrainingStep& at) {
    { l.host_numbers(at) } -> std::convertible_to<std::vector<double>>;
};
template <class L>
inline constexpr bool misspells_join = requires { &L::join; } && !Joins<L>;
template <class L>
inline constexpr bool misspells_nothing =
    !misnames_pairing<L> && !misspells_build<L> && !misspells_begin<L> && !misspells_state<L> && !misspells_commit<L> &&
    !misspells_metrics<L> && !misspells_counters<L> && !misspells_mask<L> &&
    !misspells_host_numbers<L> && !misspells_join<L>;

}  // namespace doppel::contracts
