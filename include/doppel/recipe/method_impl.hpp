// SPDX-License-Identifier: Apache-2.0
// The modules and the state that a recipe describes, and one training step of it: what a Method holds.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/contracts/target.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/module.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/seed.hpp>
#include <doppel/recipe/branch.hpp>
#include <doppel/recipe/build_options.hpp>
#include <doppel/recipe/check.hpp>
#include <doppel/recipe/draws.hpp>
#include <doppel/recipe/loss_of.hpp>
#include <doppel/recipe/norm_passes.hpp>
#include <doppel/recipe/outputs.hpp>
#include <doppel/recipe/processes.hpp>
#include <doppel/recipe/recipe.hpp>
#include <doppel/recipe/route.hpp>
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
    using Route = detail::Route;

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

    /// This method is one of several, one in each process of the group, that train together: each gets its own images of a
    /// batch (Batch::first, all), and losses, queues and targets come out as of the whole batch. The caller averages gradients
    /// over the processes (Collectives::gradient_average()). `sync_batch_norm`: the statistics of BatchNorm are those of the whole
    /// batch too; else each process has its own. The layout's bn_groups are those of the whole batch.
    /// Throws Error where the layout cannot be shared.
    void join(const Group& group, bool sync_batch_norm = true) {
        group_ = group;
        layout_ = detail::layout_for(recipe.layout, group);
        const bool sync = sync_batch_norm && recipe.layout.bn_groups == 1 && !group.alone();
        if (sync) layout_.shuffle_target = false;  // the statistics of the whole batch know no order
        detail::share_statistics(*this, sync ? group : Group{});
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

    std::int64_t feature_dim() const { return online_->feature_dim; }  ///< width of the encoder's features
    std::int64_t embedding_dim() const { return dim_; }  ///< width of the embeddings that the loss sees

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
        const Route route = detail::route_of(recipe, batch);
        if (!open_) look_at_weights();
        begin_pass();
        if (!detail::needs_draws(recipe) || !batch.orders.empty() || !batch.masked.empty()) return forward_drawn(batch, route);
        Batch drawn = batch;
        draw(drawn, at.step, last_.size());
        detail::move_draws(drawn);
        return forward_drawn(drawn, route);
    }

    /// Before the first forward pass of a step whose caller promises to end it by commit(), discard() or skip() before the
    /// weights change again: what depends on the step alone is done here, and forward() looks at nothing on the host.
    void open() {
        begin_pass();
        open_ = true;
    }

    /// Draws what the forward pass of a batch needs (permutations, masks) into Batch::orders and Batch::masked, on the CPU:
    /// functions of seed, step and view. forward() draws it itself where it is missing. See detail::Draw; patches are filled up
    /// only in networks without BatchNorm.
    void draw(Batch& batch, std::int64_t step, std::size_t pass, bool filled = false) {
        detail::draw(recipe, online_->encoder, batch, {.seed = seed_, .step = step, .pass = pass, .filled = filled && !normalizes_});
    }

    /// After a successful optimizer step: writes queue, target network and the loss's own state, and counts the step.
    /// With `bad` [] on the device: the same where it is 0, and no trace where it is 1; learn() must follow.
    void commit(const Tensor& bad = {}) {
        const at::NoGradGuard no_grad;
        require(!pending_, "Method: commit(bad) follows another one of which nobody knows whether it counted: call learn() between");
        counters_before_.clear();
        for (const auto& [name, value] : loss_counters()) counters_before_.push_back(*value);
        bad_ = bad;
        masked_updates_ = 0;
        if constexpr (has_target)
            if (contracts::timing_of(recipe.target) == contracts::UpdateTiming::after_step) update_target();
        for (std::size_t i = 0; i < last_.size(); ++i) {
            if constexpr (has_queue) detail::commit_on(*memory_, last_[i], groups_[i], bad);
            if constexpr (contracts::Commits<Loss>) detail::commit_on(recipe.loss, last_[i], groups_[i], bad);
        }
        forget_passes();
        norm_passes_.commit();
        if (this->is_training()) detail::average_statistics(*this, group_);
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
        norm_passes_.drop();
        forget_passes();
        open_ = false;
    }

    /// discard(), and the step counts as taken: schedules and the order of the images go on.
    void skip() {
        discard();
        ++at.step;
        ++skipped_;
    }
    std::int64_t skipped() const { return skipped_; }  ///< steps that were skipped

    /// What the last forward passes since commit() gave, without gradients.
    const std::vector<Outputs>& last() const { return last_; }
    /// Takes a pass as done that gave these outputs: of a captured step, which runs without the host.
    void replayed(Outputs outputs, const std::vector<std::int64_t>& norm_passes) {
        norm_passes_.count(norm_passes);
        outputs.at = at;
        last_.push_back(std::move(outputs));
        groups_.push_back(group_);
    }
    /// Replaces the outputs of the last pass.
    void last_given(Outputs outputs) {
        outputs.at = at;
        last_.back() = std::move(outputs);
    }
    const std::vector<std::int64_t>& norm_passes() const { return norm_passes_.last(); }  ///< of the last pass
    /// Whether the forward pass may be captured, and the numbers of the host that it depends on at a step besides the shapes of
    /// its inputs: where they differ, another capture is needed. Nothing: not to be captured, since the loss does not say.
    std::optional<std::vector<double>> host_numbers(const TrainingStep& step) const {
        return contracts::host_numbers(recipe.loss, step);
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
    /// Views → loss, with all draws made.
    Tensor forward_drawn(const Batch& batch, const auto& route) {
        norm_passes_.begin();
        const Group group = detail::group_for(batch, group_, recipe.layout.bn_groups);
        Outputs out{.index = batch.index, .label = batch.label, .globals = batch.globals, .at = at};
        run_online(batch, route, group, out);
        run_target(batch, route, group, out);
        detail::to_float32(out);
        if constexpr (has_queue) out.memory = memory_->read();

        const Autocast float32(batch.views.front().device().type(), Precision::fp32);
        Tensor loss = detail::loss_on(recipe, out, route, group, seed_, last_.size());
        require(loss.defined() && loss.dim() == 0, "Recipe.loss must give a scalar, got shape ",
                loss.defined() ? loss.sizes() : at::IntArrayRef{});
        last_.push_back(detail::without_gradients(std::move(out)));
        groups_.push_back(group);
        norm_passes_.end();
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

    contracts::Counters loss_counters() {
        if constexpr (contracts::HasCounters<Loss>)
            return recipe.loss.counters();
        else
            return {};
    }

    void run_online(const Batch& batch, const Route& route, const Group& group, Outputs& out) {
        auto result = online_->forward(batch.views, route.online, layout_, {.masked = &batch.masked, .group = &group});
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

    void run_target(const Batch& batch, const Route& route, const Group& group, Outputs& out) {
        if constexpr (has_target) {
            const at::NoGradGuard no_grad;
            auto result = target_->forward(batch.views, route.target, layout_,
                                           {.masked = &batch.masked, .visible = true, .orders = &batch.orders, .group = &group});
            out.target = std::move(result.projected);
            out.patches.target = result.patches;
        } else {
            out.target = out.projected;  // never a second pass
            for (Tensor& z : out.target)
                if (z.defined()) z = recipe.target.output(z);
        }
    }

    void forget_passes() { last_.clear(), groups_.clear(); }

    void update_target() {
        contracts::update(recipe.target, target_->parameters(), online_->parameters(), at, bad_);
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
            if (!item.key().starts_with("queue.") && !item.key().starts_with("loss.")) {
                buffers_.add(item.value());
                normalizes_ |= item.key().ends_with("running_mean");
            }
        for (const auto& part : this->modules(/*include_self=*/false))
            if (auto* layer = dynamic_cast<SplitsBatch*>(part.get())) norm_passes_.add(*layer);
    }

    std::optional<Branch> online_, target_;
    Predictor predictor_ = detail::empty<Predictor>();
    std::optional<typename detail::QueueMemory<typename R::Queue>::type> memory_;
    Group group_;  // without the images of a batch
    ForwardLayout layout_ = recipe.layout;  // of this process's part
    std::vector<Outputs> last_;
    std::vector<Group> groups_;  // of each, with its images
    detail::WeightWatch watch_;
    detail::SavedBuffers buffers_;
    detail::NormPasses norm_passes_;
    std::int64_t dim_ = 0, target_updates_ = 0, skipped_ = 0;
    std::uint64_t seed_ = 0;
    bool normalizes_ = false;                    // by BatchNorm, in which patches without weight would count
    bool open_ = false, pending_ = false;        // between open() and the step's end; between commit(bad) and learn()
    Tensor bad_;                                 // of the last commit(bad): whether the weights have stayed
    std::int64_t masked_updates_ = 0;            // of the target since then: they left no trace if it was 1
    std::vector<std::int64_t> counters_before_;  // the loss's, before the last commit(bad)
};

}  // namespace doppel
