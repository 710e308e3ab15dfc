// SPDX-License-Identifier: Apache-2.0
// A recipe: what a self-supervised method is made of, as a value of named slots.
#pragma once

#include <doppel/recipe/concepts.hpp>

#include <cstdint>
#include <utility>

namespace doppel {

/// How a batch of several views passes through a network: what one BatchNorm batch is.
///
/// With groups (SplitBN) a batch passes in equal parts, so that one device computes what as many devices would; running
/// statistics become the mean of the parts'. With a shuffled target (ShuffleBN) the target's batch is permuted before it
/// is cut, and its outputs are put back, so that an image's two views have other company: without that MoCo can find the
/// key by the statistics it shares with the query. The permutation is a function of seed, step and view; torch's
/// generators are not touched.
/// Source: He et al., "Momentum Contrast", 2019, arXiv:1911.05722, section 3.3; SplitBN: the authors' CIFAR-10 notebook.
struct Passes {
    bool join_views = false;      ///< views of one size go through together: one BatchNorm batch a size, not one a view
    std::int64_t bn_groups = 1;   ///< parts of a batch with BatchNorm statistics of their own, ≥ 1, each of at least 2 images
    bool join_heads = false;      ///< views of all sizes go through projector and predictor together (multi-crop)
    bool shuffle_target = false;  ///< permute the target's batch before it is cut into groups
};

/// The slots of a method. They hold specs (options, or a callable that makes a module), never built modules:
/// Method builds them under its own seed, so that two methods from one recipe share nothing.
///
///     Recipe simclr{.encoder = encoders::ResNet{.depth = 18}, .projector = heads::Mlp{.out = 128}, .loss = losses::NtXent{}};
///     Method method{simclr};
///
/// A wrong composition does not compile; the first error names the slot and what it lacks.
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
    TargetT target{};        ///< Shared, StopGradient or Ema
    QueueT queue{};          ///< memory of past target outputs; left out: none
    PairingT pairing{};      ///< which view meets which; left out: the loss's own
    LossT loss{};            ///< outputs → scalar
    Passes passes{};         ///< what one BatchNorm batch is
};

/// The recipe with another spec in one slot (assignment cannot change a slot's type).
///
///     auto mine = with_loss(simclr, [](const Tensor& a, const Tensor& b) { return (a - b).pow(2).mean(); });
template <class R, class S>
auto with_encoder(R r, S s) {
    return Recipe{std::move(s), r.projector, r.predictor, r.target, r.queue, r.pairing, r.loss, r.passes};
}
template <class R, class S>
auto with_projector(R r, S s) {
    return Recipe{r.encoder, std::move(s), r.predictor, r.target, r.queue, r.pairing, r.loss, r.passes};
}
template <class R, class S>
auto with_predictor(R r, S s) {
    return Recipe{r.encoder, r.projector, std::move(s), r.target, r.queue, r.pairing, r.loss, r.passes};
}
template <class R, class S>
auto with_target(R r, S s) {
    return Recipe{r.encoder, r.projector, r.predictor, std::move(s), r.queue, r.pairing, r.loss, r.passes};
}
template <class R, class S>
auto with_queue(R r, S s) {
    return Recipe{r.encoder, r.projector, r.predictor, r.target, std::move(s), r.pairing, r.loss, r.passes};
}
template <class R, class S>
auto with_pairing(R r, S s) {
    return Recipe{r.encoder, r.projector, r.predictor, r.target, r.queue, std::move(s), r.loss, r.passes};
}
template <class R, class S>
auto with_loss(R r, S s) {
    return Recipe{r.encoder, r.projector, r.predictor, r.target, r.queue, r.pairing, std::move(s), r.passes};
}

/// The rules between slots. `ok` is false when any is broken, and the first error says which.
template <class R>
struct Check {
    using E = typename R::Encoder;
    using L = typename R::Loss;
    using Q = typename R::Queue;
    static constexpr bool has_encoder = !std::same_as<E, Required>, has_loss = !std::same_as<L, Required>;
    static constexpr bool has_queue = !std::same_as<Q, None>;
    static constexpr bool patches = [] {
        if constexpr (slots::EncoderSpec<E>)
            return slots::PatchEncoder<decltype(slots::make_encoder(std::declval<const E&>()))>;
        else
            return false;
    }();

    static_assert(has_encoder, "Recipe.encoder is missing");
    static_assert(!slots::BuiltModule<E>, "Recipe.encoder holds a built module; slots hold specs, so that two methods share no weights: "
                                          "write .encoder = [] { return MyNet(...); }");
    static_assert(!has_encoder || slots::BuiltModule<E> || slots::EncoderSpec<E>,
                  "Recipe.encoder needs build(), or must be a callable without arguments, giving a module with "
                  "forward(Tensor [B,C,H,W]) -> Tensor [B,F] and feature_dim() -> int64_t");
    static_assert(!slots::BuiltModule<typename R::Projector>, "Recipe.projector holds a built module; slots hold specs: write "
                                                              ".projector = [](int64_t in) { return MyHead(in, ...); }");
    static_assert(slots::BuiltModule<typename R::Projector> || slots::HeadSpec<typename R::Projector>,
                  "Recipe.projector needs build(int64_t in) giving {module, out}, or must be a callable (int64_t in) giving a module");
    static_assert(!slots::BuiltModule<typename R::Predictor>, "Recipe.predictor holds a built module; slots hold specs: write "
                                                              ".predictor = [](int64_t in) { return MyHead(in, ...); }");
    static_assert(slots::BuiltModule<typename R::Predictor> || slots::HeadSpec<typename R::Predictor>,
                  "Recipe.predictor needs build(int64_t in) giving {module, out}, or must be a callable (int64_t in) giving a module");
    static_assert(targets::Target<typename R::Target>, "Recipe.target must be targets::Shared, targets::StopGradient or targets::Ema");
    static_assert(slots::QueueSpec<Q>, "Recipe.queue needs build(int64_t dim) giving a memory with read(), commit(Outputs) and state(visitor)");
    static_assert(slots::PairingSlot<typename R::Pairing>,
                  "Recipe.pairing must be callable as pairing(views, globals) giving std::vector<pairings::Pair>, and have a member reduce");
    static_assert(has_loss, "Recipe.loss is missing");
    static_assert(!has_loss || slots::Loss<L>,
                  "Recipe.loss must be callable as loss(online, target), loss(online, target, memory) or loss(Outputs), giving a Tensor");
    static_assert(!has_loss || !slots::Loss<L> || !has_queue || slots::MemoryLoss<L> || slots::OutputsLoss<L>,
                  "Recipe.queue is filled, but Recipe.loss never reads it: it needs the form loss(online, target, memory) or loss(Outputs)");
    static_assert(!has_loss || has_queue || !slots::MemoryLoss<L> || slots::PairLoss<L> || slots::OutputsLoss<L>,
                  "Recipe.loss reads a queue, but Recipe.queue is left out");
    static_assert(!has_loss || !slots::MaskingLoss<L> || !slots::EncoderSpec<E> || patches,
                  "Recipe.loss hides patches: Recipe.encoder needs with_patches(images, mask) and grid(height, width), as a Vision Transformer");
    static_assert(!has_loss || !slots::MaskingLoss<L> || targets::is_ema<typename R::Target>,
                  "Recipe.loss hides patches: Recipe.target must be targets::Ema, which sees the whole image");

    static constexpr bool ok = slots::EncoderSpec<E> && slots::HeadSpec<typename R::Projector> &&
                               slots::HeadSpec<typename R::Predictor> && targets::Target<typename R::Target> &&
                               slots::QueueSpec<Q> && slots::PairingSlot<typename R::Pairing> && slots::Loss<L> &&
                               (!slots::MaskingLoss<L> || (patches && targets::is_ema<typename R::Target>));
};

}  // namespace doppel
