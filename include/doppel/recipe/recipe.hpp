// SPDX-License-Identifier: Apache-2.0
// A recipe: what a self-supervised method is made of, as a value of named slots.
#pragma once

#include <doppel/contracts/empty_slot.hpp>
#include <doppel/targets/shared.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace doppel {

/// How the views of a batch are laid out for a network: what one BatchNorm batch is.
///
/// With groups (SplitBN) a batch is split into equal parts, so that one device computes what as many devices would;
/// running statistics become the mean of the parts'. With a shuffled target (ShuffleBN) the target's batch is permuted
/// before it is split, and its outputs are put back, so that an image's two views have other company: without that MoCo
/// can find the key by the statistics it shares with the query. The permutation is a function of seed, step and view;
/// torch's generators are not touched.
/// Source: He et al., "Momentum Contrast", 2019, arXiv:1911.05722, section 3.3; SplitBN: the authors' CIFAR-10 notebook.
struct ForwardLayout {
    bool join_views = false;      ///< views of one size go through together: one BatchNorm batch a size, not one a view
    std::int64_t bn_groups = 1;   ///< parts of a batch with BatchNorm statistics of their own, ≥ 1, each of at least 2 images
    bool join_heads = false;      ///< views of all sizes go through projector and predictor together (multi-crop)
    bool shuffle_target = false;  ///< permute the target's batch before it is split into groups
};

namespace detail {
template <std::size_t Slot, class R, class S>
auto with_slot(const R& recipe, S value);
}  // namespace detail

/// The slots of a method. They hold specs (options, or a callable that makes a module), never built modules:
/// Method builds them under its own seed, so that two methods from one recipe share nothing. What each slot accepts
/// stands in contracts/, the rules between slots in recipe/check.hpp.
///
///     Recipe simclr{.encoder = encoders::ResNet{.depth = 18}, .projector = heads::Mlp{.out = 128}, .loss = losses::NtXent{}};
///     Method method{simclr};
///
/// A wrong composition does not compile; the first error names the slot and what it lacks.
/// with_loss() and its siblings give the recipe with another spec in one slot (assignment cannot change a slot's type):
///
///     auto mine = simclr.with_loss([](const Tensor& a, const Tensor& b) { return (a - b).pow(2).mean(); });
template <class EncoderT = Required, class ProjectorT = None, class PredictorT = None, class TargetT = targets::Shared,
          class QueueT = None, class PairingT = ByLoss, class LossT = Required>
struct Recipe {
    using Encoder = EncoderT;
    using Projector = ProjectorT;
    using Predictor = PredictorT;
    using Target = TargetT;
    using Queue = QueueT;
    using Pairing = PairingT;
    using Loss = LossT;

    EncoderT encoder{};      ///< images [B, C, H, W] → features [B, F]
    ProjectorT projector{};  ///< features → embeddings [B, D]; left out: the features themselves
    PredictorT predictor{};  ///< [B, D] → [B, D], online branch only; left out: none
    TargetT target{};        ///< Shared, StopGradient, Ema, or a policy of your own
    QueueT queue{};          ///< memory of past target outputs; left out: none
    PairingT pairing{};      ///< which view meets which; left out: the loss's own
    LossT loss{};            ///< outputs → scalar
    ForwardLayout layout{};  ///< what one BatchNorm batch is

    template <class S>
    auto with_encoder(S spec) const { return detail::with_slot<0>(*this, std::move(spec)); }
    template <class S>
    auto with_projector(S spec) const { return detail::with_slot<1>(*this, std::move(spec)); }
    template <class S>
    auto with_predictor(S spec) const { return detail::with_slot<2>(*this, std::move(spec)); }
    template <class S>
    auto with_target(S policy) const { return detail::with_slot<3>(*this, std::move(policy)); }
    template <class S>
    auto with_queue(S spec) const { return detail::with_slot<4>(*this, std::move(spec)); }
    template <class S>
    auto with_pairing(S value) const { return detail::with_slot<5>(*this, std::move(value)); }
    template <class S>
    auto with_loss(S value) const { return detail::with_slot<6>(*this, std::move(value)); }
    auto with_layout(ForwardLayout value) const { return detail::with_slot<7>(*this, value); }
};

template <class T>
inline constexpr bool is_recipe = false;
template <class... Slots>
inline constexpr bool is_recipe<Recipe<Slots...>> = true;

namespace detail {

/// The only place that lists the slots: a slot more does not compile until it is bound and passed on here.
template <std::size_t Slot, class R, class S>
auto with_slot(const R& recipe, S value) {
    const auto& [encoder, projector, predictor, target, queue, pairing, loss, layout] = recipe;
    const auto slot = [&value]<std::size_t Number>(std::integral_constant<std::size_t, Number>, const auto& old) {
        if constexpr (Number == Slot)
            return std::move(value);
        else
            return old;
    };
    return Recipe{slot(std::integral_constant<std::size_t, 0>{}, encoder),
                  slot(std::integral_constant<std::size_t, 1>{}, projector),
                  slot(std::integral_constant<std::size_t, 2>{}, predictor),
                  slot(std::integral_constant<std::size_t, 3>{}, target),
                  slot(std::integral_constant<std::size_t, 4>{}, queue),
                  slot(std::integral_constant<std::size_t, 5>{}, pairing),
                  slot(std::integral_constant<std::size_t, 6>{}, loss),
                  slot(std::integral_constant<std::size_t, 7>{}, layout)};
}

}  // namespace detail
}  // namespace doppel
