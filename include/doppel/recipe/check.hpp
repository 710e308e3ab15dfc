// SPDX-License-Identifier: Apache-2.0
// The rules for a recipe's slots and between them, each with the sentence that says it.
#pragma once

#include <doppel/contracts/encoder.hpp>
#include <doppel/contracts/head.hpp>
#include <doppel/contracts/loss.hpp>
#include <doppel/contracts/pairing.hpp>
#include <doppel/contracts/queue.hpp>
#include <doppel/contracts/target.hpp>
#include <doppel/recipe/recipe.hpp>

#include <concepts>
#include <utility>

namespace doppel {

/// The rules of a Recipe. `ok` is false when any is broken, and the first error says which. Of rules that build on one
/// another only the first that is broken is told.
template <class R>
struct Check {
    using E = typename R::Encoder;
    using J = typename R::Projector;
    using D = typename R::Predictor;
    using T = typename R::Target;
    using Q = typename R::Queue;
    using P = typename R::Pairing;
    using L = typename R::Loss;

    static constexpr bool encoder_given = !std::same_as<E, Required>;
    static constexpr bool encoder_is_spec = !contracts::BuiltModule<E>;
    static constexpr bool encoder_fits = contracts::EncoderSpec<E>;
    static constexpr bool projector_is_spec = !contracts::BuiltModule<J>, projector_fits = contracts::HeadSpec<J>;
    static constexpr bool predictor_is_spec = !contracts::BuiltModule<D>, predictor_fits = contracts::HeadSpec<D>;
    static constexpr bool target_fits = contracts::Target<T>;
    static constexpr bool queue_fits = contracts::QueueSpec<Q>;
    static constexpr bool pairing_fits = contracts::PairingSlot<P>;
    static constexpr bool loss_given = !std::same_as<L, Required>;
    static constexpr bool loss_fits = contracts::Loss<L>;
    static constexpr bool has_queue = !std::same_as<Q, None>;
    static constexpr bool queue_is_read = !loss_fits || !has_queue || contracts::MemoryLoss<L> || contracts::OutputsLoss<L>;
    static constexpr bool queue_is_there = !loss_fits || has_queue || contracts::PairLoss<L> || contracts::OutputsLoss<L>;
    static constexpr bool masks = contracts::MaskingLoss<L>;
    static constexpr bool has_patches = [] {
        if constexpr (contracts::EncoderSpec<E>)
            return contracts::PatchEncoder<decltype(contracts::make_encoder(std::declval<const E&>()))>;
        else
            return true;  // rejected by encoder_fits
    }();
    static constexpr bool sees_whole_image = !target_fits || contracts::NetworkTarget<T>;

    static_assert(encoder_given, "Recipe.encoder is missing");
    static_assert(encoder_is_spec, "Recipe.encoder holds a built module; slots hold specs, so that two methods share no weights: "
                                   "write .encoder = [] { return MyNet(...); }, or encoders::custom([] { return "
                                   "torch::nn::Sequential(...); }) for a module without feature_dim()");
    static_assert(!encoder_given || !encoder_is_spec || encoder_fits,
                  "Recipe.encoder needs build(), or must be a callable without arguments, giving a module with "
                  "forward(Tensor [B,C,H,W]) -> Tensor [B,F] and feature_dim() -> int64_t; a module without feature_dim(), as "
                  "torch::nn::Sequential, becomes one by encoders::custom([] { return MyNet(...); })");
    static_assert(projector_is_spec, "Recipe.projector holds a built module; slots hold specs: write "
                                     ".projector = [](int64_t in) { return MyHead(in, ...); }");
    static_assert(!projector_is_spec || projector_fits,
                  "Recipe.projector needs build(int64_t in) giving {module, out}, or must be a callable (int64_t in) giving a module");
    static_assert(predictor_is_spec, "Recipe.predictor holds a built module; slots hold specs: write "
                                     ".predictor = [](int64_t in) { return MyHead(in, ...); }");
    static_assert(!predictor_is_spec || predictor_fits,
                  "Recipe.predictor needs build(int64_t in) giving {module, out}, or must be a callable (int64_t in) giving a module");
    static_assert(target_fits,
                  "Recipe.target must be targets::Shared, targets::StopGradient or targets::Ema, or a policy with either "
                  "output(Tensor online) -> Tensor or update(target parameters, online parameters, TrainingStep)");
    static_assert(queue_fits, "Recipe.queue needs build(int64_t dim) giving a memory with read(), commit(Outputs) and state(visitor)");
    static_assert(pairing_fits,
                  "Recipe.pairing must be callable as pairing(views, globals) giving std::vector<pairings::Pair>, and have a member reduce");
    static_assert(loss_given, "Recipe.loss is missing");
    static_assert(!loss_given || loss_fits,
                  "Recipe.loss must be callable as loss(online, target), loss(online, target, memory) or loss(Outputs), giving a Tensor");
    static_assert(queue_is_read,
                  "Recipe.queue is filled, but Recipe.loss never reads it: it needs the form loss(online, target, memory) or loss(Outputs)");
    static_assert(queue_is_there, "Recipe.loss reads a queue, but Recipe.queue is left out");
    static_assert(!masks || has_patches,
                  "Recipe.loss masks patches: Recipe.encoder needs with_patches(images, mask) and grid(height, width), as a Vision Transformer");
    static_assert(!masks || sees_whole_image,
                  "Recipe.loss masks patches: Recipe.target must be targets::Ema or another policy with update(), whose network "
                  "sees the whole image");

    static_assert(!contracts::misnames_pairing<L>, "Recipe.loss: its Pairing must be callable as pairing(views, globals) giving "
                                                   "std::vector<pairings::Pair>, have a member reduce, and be a type, as pairings::Symmetric");
    static_assert(!contracts::misspells_build<L>, "Recipe.loss: build must be callable as build(int64_t dim)");
    static_assert(!contracts::misspells_begin<L>, "Recipe.loss: begin must be callable as begin(const Horizon&)");
    static_assert(!contracts::misspells_state<L>, "Recipe.loss: state must be callable as state(visitor), with a visitor of any type");
    static_assert(!contracts::misspells_commit<L>, "Recipe.loss: commit must be callable as commit(const Outputs&)");
    static_assert(!contracts::misspells_metrics<L>,
                  "Recipe.loss: metrics() must be const and give std::vector<std::pair<std::string, Tensor>>");
    static_assert(!contracts::misspells_counters<L>,
                  "Recipe.loss: counters() must give std::vector<std::pair<std::string, std::int64_t*>>");
    static_assert(!contracts::misspells_mask<L>,
                  "Recipe.loss: mask must be const, callable as mask(rows, columns, random::Stream), and give std::vector<bool>");
    static_assert(!contracts::misspells_join<L>, "Recipe.loss: join must be callable as join(const Group&)");
    static_assert(!contracts::misspells_host_numbers<L>,
                  "Recipe.loss: host_numbers must be const, callable as host_numbers(const TrainingStep&), and give std::vector<double>");

    static constexpr bool ok = encoder_fits && projector_fits && predictor_fits && target_fits && queue_fits && pairing_fits &&
                               loss_fits && queue_is_read && queue_is_there && (!masks || (has_patches && sees_whole_image)) &&
                               contracts::misspells_nothing<L>;
};

/// What is no recipe at all.
template <class R>
    requires(!is_recipe<R>)
struct Check<R> {
    static_assert(is_recipe<R>, "Method takes a Recipe{...} or a preset that holds one in its member recipe; of a type-erased recipe "
                                "AnyRecipe::build({.seed = 1}) gives the method");
    static constexpr bool ok = false;
};

}  // namespace doppel
