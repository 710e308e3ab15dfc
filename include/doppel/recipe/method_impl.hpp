// SPDX-License-Identifier: Apache-2.0
// The modules and the state that a recipe describes, and one training step of it: what a Method holds.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/contracts/target.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/seed.hpp>
#include <doppel/recipe/branch.hpp>
#include <doppel/recipe/check.hpp>
#include <doppel/recipe/recipe.hpp>
#include <doppel/recipe/saved_buffers.hpp>
#include <doppel/recipe/weight_watch.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace doppel {

/// How Method builds.
struct BuildOptions {
    std::uint64_t seed = 0;  ///< seed of all initial weights and memories; torch's own generators are left as they were
};

/// The built recipe. One step is
///
///     Tensor loss = method->forward(batch);  loss.backward();  optimizer.step();  method->commit();
///
/// forward() reads state, commit() writes it (queue, target network, the loss's own); a step that is not taken is thrown
/// away with discard() or skip() and leaves no trace: running statistics go back to where they were, and the target
/// network is updated once for each state of the weights. Several forward() before one commit() accumulate; one after the
/// optimizer has moved the weights, but before commit(), is an Error.
/// State names are fixed, because checkpoints live long:
/// encoder.* projector.* predictor.* target.encoder.* target.projector.* queue.* loss.*
template <class R>
class MethodImpl : public torch::nn::Module {
    using Loss = typename R::Loss;
    static constexpr bool predicts = !std::same_as<typename R::Predictor, None>;
    static constexpr bool has_queue = !std::same_as<typename R::Queue, None>;
    static constexpr bool has_target = contracts::NetworkTarget<typename R::Target>;
    static constexpr bool masks = contracts::MaskingLoss<Loss>;
    static constexpr bool loss_is_paired = std::same_as<typename R::Pairing, ByLoss>;  // by the loss, not by the recipe
    static constexpr bool on_outputs = contracts::OutputsLoss<Loss>;
    static constexpr bool on_pairs = has_queue ? contracts::MemoryLoss<Loss> : contracts::PairLoss<Loss>;

public:
    using Branch = detail::Branch<typename R::Encoder, typename R::Projector>;
    using Encoder = typename Branch::Encoder;
    using Predictor = typename detail::HeadModule<typename R::Predictor>::type;

    R recipe;  ///< the specs; `recipe.loss` is the loss in use, with its state

    explicit MethodImpl(R r, BuildOptions options = {}) : torch::nn::Module("Method"), recipe(std::move(r)), seed_(options.seed) {
        const ForwardLayout& layout = recipe.layout;
        require(layout.bn_groups >= 1, "Recipe.layout.bn_groups must be at least 1, got ", layout.bn_groups);
        require(!masks || (layout.bn_groups == 1 && !layout.shuffle_target),
                "Recipe.layout: a loss that masks patches takes neither bn_groups nor shuffle_target");
        require(layout.bn_groups == 1 || !layout.join_heads,
                "Recipe.layout: join_heads takes all views through the head at once and cannot be split into bn_groups, got ",
                layout.bn_groups);
        const SeedScope seed(options.seed);
        online_.emplace(recipe.encoder, recipe.projector);
        online_->register_in(*this);
        dim_ = online_->out;
        if constexpr (predicts) {
            auto built = contracts::make_head(recipe.predictor, dim_);
            require(built.out == dim_, "Recipe.predictor gives ", built.out, " values a row, the target branch ", dim_);
            predictor_ = this->register_module("predictor", built.module);
        }
        if constexpr (has_target) {
            target_.emplace(recipe.encoder, recipe.projector);
            target_->copy_from(*online_);
            auto container = std::make_shared<torch::nn::Module>("Target");
            target_->register_in(*container);
            this->register_module("target", container);
        }
        if constexpr (has_queue) {
            memory_.emplace(recipe.queue.build(dim_));
            register_state("queue", *memory_);
        }
        if constexpr (contracts::Builds<Loss>) recipe.loss.build(dim_);
        if constexpr (contracts::HasState<Loss>) register_state("loss", recipe.loss);
        find_tensors();
        train();
    }

    /// Called before training: what needs the length of the run is checked here. Gives warnings, a line each.
    std::vector<std::string> begin(const Horizon& horizon) {
        at.of = horizon;
        std::vector<std::string> warnings;
        const auto ask = [&](auto& part) {
            if (std::string warning = contracts::begin(part, horizon); !warning.empty()) warnings.push_back(std::move(warning));
        };
        ask(recipe.loss);
        if constexpr (has_queue) ask(*memory_);
        ask(recipe.target);
        return warnings;
    }

    /// Switches training mode. The target keeps only its batch statistics in it: dropout and drop-path are off there.
    void train(bool on = true) override {
        torch::nn::Module::train(on);
        if constexpr (has_target)
            for (const auto& item : this->named_modules("", /*include_self=*/false)) {  // parents come first
                if (item.key() != "target" && !item.key().starts_with("target.")) continue;
                const bool has_statistics = item.value()->named_buffers(/*recurse=*/false).contains("running_mean");
                item.value()->train(on && has_statistics);
            }
    }

    /// Width of the encoder's features.
    std::int64_t feature_dim() const { return online_->feature_dim; }
    /// Width of the embeddings that the loss sees.
    std::int64_t embedding_dim() const { return dim_; }

    Encoder& encoder() { return online_->encoder; }
    /// The target network's encoder, or the online one where there is one network.
    Encoder& target_encoder() {
        if constexpr (has_target)
            return target_->encoder;
        else
            return online_->encoder;
    }

    /// Views → scalar loss, float32. The network runs under the autocast that the caller set, the loss never does.
    Tensor forward(const Batch& batch) {
        const Route route = route_of(batch);
        before_forward();
        const std::optional<detail::PatchMasks> masked = masks_of(batch);

        Outputs out{.index = batch.index, .label = batch.label, .globals = batch.globals, .at = at};
        run_online(batch, route, masked, out);
        run_target(batch, route, masked, out);
        to_float32(out);
        if constexpr (has_queue) out.memory = memory_->read();

        const Autocast float32(batch.views.front().device().type(), Precision::fp32);
        Tensor loss = loss_of(out, route);
        require(loss.defined() && loss.dim() == 0, "Recipe.loss must give a scalar, got shape ",
                loss.defined() ? loss.sizes() : at::IntArrayRef{});
        remember(std::move(out));
        return loss;
    }

    /// After a successful optimizer step: writes queue, target network and the loss's own state, and counts the step.
    void commit() {
        const at::NoGradGuard no_grad;
        if constexpr (has_target)
            if (contracts::timing_of(recipe.target) == contracts::UpdateTiming::after_step) update_target();
        for (const Outputs& out : last_) {
            if constexpr (has_queue) memory_->commit(out);
            if constexpr (contracts::Commits<Loss>) recipe.loss.commit(out);
        }
        last_.clear();
        buffers_.drop();
        ++at.step;
    }

    /// Instead of commit(), when the step is not taken: as if forward() had not been called.
    void discard() {
        buffers_.restore();
        last_.clear();
    }

    /// discard(), and the step counts as taken: schedules and the order of the images go on.
    void skip() {
        discard();
        ++at.step;
        ++skipped_;
    }
    /// Steps that were skipped.
    std::int64_t skipped() const { return skipped_; }

    /// What the last forward passes since commit() gave, without gradients.
    const std::vector<Outputs>& last() const { return last_; }

    TrainingStep at{};  ///< the step about to be taken

    /// Numbers that belong to a checkpoint beside the tensors: the step, how many were skipped, and how many updates
    /// of the weights the target network has followed.
    contracts::Counters counters() {
        contracts::Counters all{{"step", &at.step}, {"skipped", &skipped_}, {"target.followed", &target_updates_}};
        if constexpr (contracts::HasCounters<Loss>)
            for (const auto& [name, value] : recipe.loss.counters()) all.emplace_back("loss." + name, value);
        return all;
    }

    /// The loss's numbers for the log.
    contracts::Metrics metrics() const {
        if constexpr (contracts::HasMetrics<Loss>)
            return recipe.loss.metrics();
        else
            return {};
    }

private:
    /// Which views go through which branch, and how the loss is called.
    struct Route {
        bool at_once = false;                 ///< loss(Outputs), not a term a pair
        std::vector<pairings::Pair> pairs{};  ///< empty: all views go through both branches
        std::vector<bool> online{}, target{}; ///< of each view
    };

    Route route_of(const Batch& batch) const {
        const std::size_t views = batch.views.size();
        require(views >= 1, "Method: the batch has no views");
        Route route{.at_once = on_outputs && (!on_pairs || (loss_is_paired && views > 2)),
                    .online = std::vector<bool>(views),
                    .target = std::vector<bool>(views)};
        if (route.at_once && loss_is_paired && !contracts::NamesPairing<Loss>) {
            route.online.assign(views, true);
            route.target.assign(views, true);
            return route;
        }
        route.pairs = pairing()(views, static_cast<std::size_t>(batch.globals));
        for (const auto [o, t] : route.pairs) {
            require(o < views && t < views, "Recipe.pairing asks for view ", std::max(o, t), ", the batch has ", views);
            route.online[o] = route.target[t] = true;
        }
        require(route.at_once || !route.pairs.empty(), "Recipe.pairing gives no pair for ", views, " views");
        std::size_t used = 0;
        for (std::size_t v = 0; v < views; ++v)
            if (route.online[v] || route.target[v]) ++used;
        require(route.at_once || used == views, "Recipe.pairing uses ", used, " of the batch's ", views,
                " views and leaves the others unseen; make only ", used, " views, or pair all of them: .pairing = "
                "pairings::EachPairOnce{} (a symmetric loss), AllPairs{} or GlobalToAll{}");
        if constexpr (!has_target)  // one network: what the target needs is a pass of the online branch
            for (std::size_t v = 0; v < views; ++v) route.online[v] = route.online[v] || route.target[v];
        return route;
    }

    /// What the pairing slot or the loss says, else once.
    auto pairing() const {
        if constexpr (!loss_is_paired)
            return recipe.pairing;
        else if constexpr (contracts::NamesPairing<Loss>)
            return typename Loss::Pairing{};
        else
            return pairings::OneSided{};
    }

    void before_forward() {
        if (!this->is_training()) return;
        require(last_.empty() || !watch_.moved(),
                "Method: the weights have changed since the last forward(), but its step was not finished: call commit() after "
                "each optimizer step, or discard() or skip() when the step is not taken");
        if (last_.empty()) watch_.look();
        buffers_.save();
    }

    std::optional<detail::PatchMasks> masks_of(const Batch& batch) {
        if constexpr (masks)
            return detail::draw_masks(recipe.loss, online_->encoder, batch, seed_, at.step, last_.size());
        else
            return std::nullopt;
    }

    void run_online(const Batch& batch, const Route& route, const std::optional<detail::PatchMasks>& masked, Outputs& out) {
        auto result = online_->forward(batch.views, route.online, recipe.layout, masked ? &*masked : nullptr);
        out.features = std::move(result.features);
        out.projected = std::move(result.projected);
        out.online = out.projected;
        out.patches = {.online = result.patches, .weight = result.patch_weight};
        if constexpr (predicts) {
            const auto predict = [&](const Tensor& z) { return predictor_->forward(z); };
            if (recipe.layout.join_heads)
                out.online = detail::in_one_pass(out.online, predict);
            else
                for (Tensor& z : out.online)
                    if (z.defined()) z = predict(z);
            if (out.patches.online.defined()) out.patches.online = predict(out.patches.online);
        }
    }

    void run_target(const Batch& batch, const Route& route, const std::optional<detail::PatchMasks>& masked, Outputs& out) {
        if constexpr (has_target) {
            const bool early = contracts::timing_of(recipe.target) == contracts::UpdateTiming::before_forward;
            if (early && target_updates_ == weight_updates()) update_target();
            const at::NoGradGuard no_grad;
            const auto shown = masked ? std::optional(masked->shown()) : std::nullopt;
            const detail::RowShuffle shuffle{seed_, at.step};
            auto result = target_->forward(batch.views, route.target, recipe.layout, shown ? &*shown : nullptr,
                                           recipe.layout.shuffle_target ? &shuffle : nullptr);
            out.target = std::move(result.projected);
            out.patches.target = result.patches;
        } else {
            out.target = out.projected;  // never a second pass
            for (Tensor& z : out.target)
                if (z.defined()) z = recipe.target.output(z);
        }
    }

    /// What the loss compares becomes float32 (float64 stays).
    static void to_float32(Outputs& out) {
        const auto widen = [](Tensor& z) {
            if (z.defined() && z.scalar_type() != at::kDouble) z = z.to(at::kFloat);
        };
        for (auto* list : {&out.online, &out.target})
            for (Tensor& z : *list) widen(z);
        widen(out.patches.online);
        widen(out.patches.target);
    }

    Tensor loss_of(const Outputs& out, const Route& route) {
        if constexpr (on_outputs)
            if (route.at_once) return recipe.loss(out);
        if constexpr (on_pairs) {
            Tensor sum;
            for (const auto [o, t] : route.pairs) {
                Tensor term;
                if constexpr (has_queue)
                    term = recipe.loss(out.online[o], out.target[t], out.memory);
                else
                    term = recipe.loss(out.online[o], out.target[t]);
                sum = sum.defined() ? sum + term : term;
            }
            return pairing().reduce == pairings::Reduce::mean ? sum / static_cast<double>(route.pairs.size()) : sum;
        }
        return {};
    }

    void remember(Outputs out) {
        for (auto* list : {&out.features, &out.projected, &out.online, &out.target})
            for (Tensor& z : *list)
                if (z.defined()) z = z.detach();
        if (out.patches.online.defined()) out.patches.online = out.patches.online.detach();
        last_.push_back(std::move(out));
    }

    void update_target() {
        recipe.target.update(target_->parameters(), online_->parameters(), at);
        target_updates_ = weight_updates() + 1;
    }

    /// How often the weights were updated.
    std::int64_t weight_updates() const { return at.step - skipped_; }

    /// Registers what part.state() names: tensors that require a gradient as parameters, others as buffers.
    template <class Part>
    void register_state(const std::string& name, Part& part) {
        auto container = std::make_shared<torch::nn::Module>(name);
        part.state([&](const char* key, Tensor& value) {
            require(value.defined(), name, ".", key, " is undefined after build()");
            value = value.requires_grad() ? container->register_parameter(key, value) : container->register_buffer(key, value);
        });
        this->register_module(name, container);
    }

    /// Handles of what is watched: the trained weights, and the networks' buffers.
    void find_tensors() {
        for (const auto& item : this->named_parameters())
            if (!item.key().starts_with("target.")) watch_.add(item.value());
        for (const auto& item : this->named_buffers())
            if (!item.key().starts_with("queue.") && !item.key().starts_with("loss.")) buffers_.add(item.value());
    }

    std::optional<Branch> online_, target_;
    Predictor predictor_ = detail::empty<Predictor>();
    std::optional<typename detail::QueueMemory<typename R::Queue>::type> memory_;
    std::vector<Outputs> last_;
    detail::WeightWatch watch_;
    detail::SavedBuffers buffers_;
    std::int64_t dim_ = 0, target_updates_ = 0, skipped_ = 0;
    std::uint64_t seed_ = 0;
};

}  // namespace doppel
