// SPDX-License-Identifier: Apache-2.0
// The modules and the state that a recipe describes, and one training step of it: what a Method holds.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/contracts/target.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/batch_norm.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/seed.hpp>
#include <doppel/device/select.hpp>
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
/// On a device the host need not wait for the verdict on a step: `bad` [] there is 1 if the step must leave no trace,
///
///     method->open(); loss = method->forward(batch); …; method->commit(bad);    later: method->learn(bad.item<bool>());
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
        if (!open_) look_at_weights();
        begin_pass();
        if (needs_draws() && batch.orders.empty() && batch.masked.empty()) {
            Batch drawn = batch;
            draw(drawn, at.step, last_.size());
            for (Tensor& order : drawn.orders)
                if (order.defined()) order = order.to(batch.views.front().device());
            for (MaskedPatches& masked : drawn.masked)
                for (Tensor* part : {&masked.mask, &masked.places, &masked.weight})
                    if (part->defined()) *part = part->to(batch.views.front().device());
            return forward_drawn(drawn, route);
        }
        return forward_drawn(batch, route);
    }

    /// Before the first forward pass of a step whose caller promises to end it by commit(), discard() or skip() before the
    /// weights change again: what depends on the step alone is done here, and forward() looks at nothing on the host.
    void open() {
        begin_pass();
        open_ = true;
    }

    /// Draws what the forward pass of a batch needs at random (permutations, masks) into Batch::orders and Batch::masked, on
    /// the CPU: functions of seed, step and view. forward() draws it itself where it is missing. `pass`: forward passes of the
    /// step before this one. `filled`: masked patches are filled up so that their number seldom changes.
    void draw(Batch& batch, std::int64_t step, std::size_t pass, bool filled = false) {
        if (!needs_draws()) return;
        const Route route = route_of(batch);
        const auto online = detail::passes_of(batch.views, route.online, recipe.layout.join_views);
        auto all = detail::passes_of(batch.views, route.target, recipe.layout.join_views);
        if (has_target && recipe.layout.shuffle_target) {
            batch.orders.resize(batch.views.size());
            for (const auto& members : all)
                batch.orders[members.front()] = detail::shuffled_rows(
                    batch.views[members.front()].size(0) * static_cast<std::int64_t>(members.size()), seed_, step, members.front());
        }
        if constexpr (masks) {
            all.insert(all.begin(), online.begin(), online.end());
            batch.masked.resize(batch.views.size());
            const auto drawn = detail::draw_masks(recipe.loss, online_->encoder, batch, seed_, step, pass);
            for (const auto& members : all) {
                MaskedPatches& masked = batch.masked[members.front()];
                std::int64_t multiple = 1;
                if constexpr (requires { recipe.loss.ignores_weightless(); })
                    if (filled && recipe.loss.ignores_weightless() && drawn[members.front()].defined())
                        multiple = std::max<std::int64_t>(64, drawn[members.front()].numel() / 16);
                if (!masked.mask.defined()) masked = detail::masked_patches(drawn, members, multiple);
            }
        }
    }

    /// After a successful optimizer step: writes queue, target network and the loss's own state, and counts the step.
    /// With `bad` [] on the device: the same where it is 0, and no trace where it is 1; learn() must follow.
    void commit(const Tensor& bad = {}) {
        const at::NoGradGuard no_grad;
        require(!pending_, "Method: commit(bad) follows another one of which nobody knows whether it counted: call learn() between");
        counters_before_ = bad.defined() ? counter_values() : std::vector<std::int64_t>{};
        bad_ = bad;
        masked_updates_ = 0;
        if constexpr (has_target)
            if (contracts::timing_of(recipe.target) == contracts::UpdateTiming::after_step) update_target();
        for (const Outputs& out : last_) {
            if constexpr (has_queue) contracts::commit(*memory_, out, bad);
            if constexpr (contracts::Commits<Loss>) contracts::commit(recipe.loss, out, bad);
        }
        last_.clear();
        add_batch_counts();
        if (bad.defined()) buffers_.restore_if(bad);
        buffers_.drop();
        open_ = false;
        pending_ = bad.defined();
        ++at.step;
    }

    /// After commit(bad), before the next one: tells the method what the device decided. A step that did not count is then
    /// counted as by skip().
    void learn(bool bad) {
        if (!std::exchange(pending_, false)) return;
        bad_ = Tensor{};
        if (!bad) return;
        ++skipped_;
        target_updates_ -= std::exchange(masked_updates_, 0);
        auto all = loss_counters();
        for (std::size_t i = 0; i < all.size(); ++i) *all[i].second = counters_before_.at(i);
    }

    /// Instead of commit(), when the step is not taken: as if forward() had not been called.
    void discard() {
        buffers_.restore();
        std::fill(step_passes_.begin(), step_passes_.end(), 0);
        last_.clear();
        open_ = false;
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

    /// Takes a pass as done that gave these outputs: of a captured step, which runs without the host.
    void replayed(Outputs outputs, const std::vector<std::int64_t>& norm_passes) {
        count(norm_passes);
        outputs.at = at;
        last_.push_back(std::move(outputs));
    }
    /// Replaces the outputs of the last pass.
    void last_given(Outputs outputs) {
        outputs.at = at;
        last_.back() = std::move(outputs);
    }
    /// Passes of the last forward pass through each BatchNorm layer that counts its own.
    const std::vector<std::int64_t>& norm_passes() const { return norm_passes_; }
    /// Whether the forward pass may be captured, and the numbers of the host that it depends on at a step besides the shapes of
    /// its inputs: where they differ, another capture is needed. Nothing: not to be captured, since the loss does not say.
    std::optional<std::vector<double>> host_numbers(const TrainingStep& step) const {
        if constexpr (requires { recipe.loss.host_numbers(step); })
            return recipe.loss.host_numbers(step);
        else if constexpr (contracts::PureLoss<Loss>)
            return std::vector<double>{};
        else
            return std::nullopt;
    }

    TrainingStep at{};  ///< the step about to be taken

    /// Numbers that belong to a checkpoint beside the tensors: the step, how many were skipped, and how many updates
    /// of the weights the target network has followed.
    contracts::Counters counters() {
        require(!pending_, "Method: the counters wait for learn()");
        contracts::Counters all{{"step", &at.step}, {"skipped", &skipped_}, {"target.followed", &target_updates_}};
        for (const auto& [name, value] : loss_counters()) all.emplace_back("loss." + name, value);
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

    /// Views → loss, with all draws made.
    Tensor forward_drawn(const Batch& batch, const auto& route) {
        for (SplitsBatch* layer : norms_) layer->passes = 0;  // of a pass that threw
        Outputs out{.index = batch.index, .label = batch.label, .globals = batch.globals, .at = at};
        run_online(batch, route, out);
        run_target(batch, route, out);
        to_float32(out);
        if constexpr (has_queue) out.memory = memory_->read();

        const Autocast float32(batch.views.front().device().type(), Precision::fp32);
        Tensor loss = loss_of(out, route);
        require(loss.defined() && loss.dim() == 0, "Recipe.loss must give a scalar, got shape ",
                loss.defined() ? loss.sizes() : at::IntArrayRef{});
        remember(std::move(out));
        std::vector<std::int64_t> passes;
        for (SplitsBatch* layer : norms_) passes.push_back(std::exchange(layer->passes, 0));
        count(passes);
        return loss;
    }

    void look_at_weights() {
        if (!this->is_training()) return;
        require(last_.empty() || !watch_.moved(),
                "Method: the weights have changed since the last forward(), but its step was not finished: call commit() after "
                "each optimizer step, or discard() or skip() when the step is not taken");
        if (last_.empty()) watch_.look();
    }

    /// What comes before the first pass of a step.
    void begin_pass() {
        if (open_) return;
        if (this->is_training()) buffers_.save();
        if constexpr (has_target)
            if (contracts::timing_of(recipe.target) == contracts::UpdateTiming::before_forward && target_updates_ == weight_updates())
                update_target();
    }

    /// Counts the passes through BatchNorm layers of one forward pass.
    void count(const std::vector<std::int64_t>& passes) {
        norm_passes_ = passes;
        for (std::size_t i = 0; i < passes.size(); ++i) step_passes_[i] += passes[i];
    }
    void add_batch_counts() {
        std::vector<Tensor> counts;
        std::vector<at::Scalar> passes;
        for (std::size_t i = 0; i < norms_.size(); ++i)
            if (const auto n = std::exchange(step_passes_[i], 0); n > 0) {
                counts.push_back(norms_[i]->count());
                passes.emplace_back(n);
            }
        if (!counts.empty()) at::_foreach_add_(counts, passes);
    }

    bool needs_draws() const { return masks || (has_target && recipe.layout.shuffle_target); }

    contracts::Counters loss_counters() {
        if constexpr (contracts::HasCounters<Loss>)
            return recipe.loss.counters();
        else
            return {};
    }
    std::vector<std::int64_t> counter_values() {
        std::vector<std::int64_t> values;
        for (const auto& [name, value] : loss_counters()) values.push_back(*value);
        return values;
    }

    void run_online(const Batch& batch, const Route& route, Outputs& out) {
        auto result = online_->forward(batch.views, route.online, recipe.layout, {.masked = &batch.masked});
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

    void run_target(const Batch& batch, const Route& route, Outputs& out) {
        if constexpr (has_target) {
            const at::NoGradGuard no_grad;
            auto result = target_->forward(batch.views, route.target, recipe.layout,
                                           {.masked = &batch.masked, .visible = true, .orders = &batch.orders});
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
        const auto target = target_->parameters(), online = online_->parameters();
        if (!bad_.defined()) {
            recipe.target.update(target, online, at);
        } else if constexpr (requires { recipe.target.update(target, online, at, bad_); }) {
            recipe.target.update(target, online, at, bad_);
        } else {
            std::vector<Tensor> before;
            for (const Tensor& value : target) before.push_back(value.clone());
            recipe.target.update(target, online, at);
            device::restore_if(bad_, target, before);
        }
        target_updates_ = weight_updates() + 1;
        masked_updates_ += bad_.defined() ? 1 : 0;
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
        for (const auto& part : this->modules(/*include_self=*/false))
            if (auto* layer = dynamic_cast<SplitsBatch*>(part.get()); layer && layer->count().defined()) norms_.push_back(layer);
        step_passes_.assign(norms_.size(), 0);
    }

    std::optional<Branch> online_, target_;
    Predictor predictor_ = detail::empty<Predictor>();
    std::optional<typename detail::QueueMemory<typename R::Queue>::type> memory_;
    std::vector<Outputs> last_;
    detail::WeightWatch watch_;
    detail::SavedBuffers buffers_;
    std::vector<SplitsBatch*> norms_;                      // our BatchNorm layers
    std::vector<std::int64_t> norm_passes_, step_passes_;  // of the last pass, and of the step
    std::int64_t dim_ = 0, target_updates_ = 0, skipped_ = 0;
    std::uint64_t seed_ = 0;
    bool open_ = false, pending_ = false;        // between open() and the step's end; between commit(bad) and learn()
    Tensor bad_;                                 // of the last commit(bad): whether the weights have stayed
    std::int64_t masked_updates_ = 0;            // of the target since then: they left no trace if it was 1
    std::vector<std::int64_t> counters_before_;  // the loss's, before the last commit(bad)
};

}  // namespace doppel
