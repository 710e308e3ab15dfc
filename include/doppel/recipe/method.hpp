// SPDX-License-Identifier: Apache-2.0
// A method: the modules and the state that a recipe describes, and one training step of it.
#pragma once

#include <doppel/core/batch.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/core/seed.hpp>
#include <doppel/recipe/detail/branch.hpp>
#include <doppel/recipe/detail/draws.hpp>
#include <doppel/recipe/recipe.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
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
/// forward() reads state, commit() writes it (queue, EMA, the loss's own); a step that is not taken is thrown
/// away with discard() or skip() and leaves no trace: running statistics go back to where they were, and the EMA
/// target follows each state of the weights once. Several forward() before one commit() accumulate.
/// State names are fixed, because checkpoints live long:
/// encoder.* projector.* predictor.* target.encoder.* target.projector.* queue.* loss.*
template <class R>
class MethodImpl : public torch::nn::Module {
    static constexpr bool projects = !std::same_as<typename R::Projector, None>;
    static constexpr bool predicts = !std::same_as<typename R::Predictor, None>;
    static constexpr bool remembers = !std::same_as<typename R::Queue, None>;
    static constexpr bool follows = targets::is_ema<typename R::Target>;
    static constexpr bool whole = slots::OutputsLoss<typename R::Loss>;
    /// A whole loss that names no pairing: every view goes through every branch.
    static constexpr bool sees_all =
        whole && std::same_as<typename R::Pairing, ByLoss> && !requires { typename R::Loss::Pairing; };
    static constexpr bool masks = slots::MaskingLoss<typename R::Loss>;

public:
    using Branch = detail::Branch<typename R::Encoder, typename R::Projector>;
    using Encoder = typename Branch::Encoder;
    using Predictor = typename detail::HeadModule<typename R::Predictor>::type;

    R recipe;  ///< the specs; `recipe.loss` is the loss in use, with its state

    explicit MethodImpl(R r, BuildOptions options = {}) : torch::nn::Module("Method"), recipe(std::move(r)) {
        require(recipe.passes.bn_groups >= 1, "Recipe.passes.bn_groups must be at least 1, got ", recipe.passes.bn_groups);
        require(!masks || (recipe.passes.bn_groups == 1 && !recipe.passes.shuffle_target),
                "Recipe.passes: a loss that hides patches takes neither bn_groups nor shuffle_target");
        require(recipe.passes.bn_groups == 1 || !recipe.passes.join_heads,
                "Recipe.passes: join_heads takes all views through the head at once and cannot be cut into bn_groups, got ",
                recipe.passes.bn_groups);
        const SeedScope seed(options.seed);
        seed_ = options.seed;
        online_.emplace(recipe.encoder, recipe.projector);
        online_->register_in(*this);
        dim_ = online_->out;
        if constexpr (predicts) {
            auto built = slots::make_head(recipe.predictor, dim_);
            require(built.out == dim_, "Recipe.predictor gives ", built.out, " values a row, the target branch ", dim_);
            predictor_ = this->register_module("predictor", built.module);
        }
        if constexpr (follows) {
            target_.emplace(recipe.encoder, recipe.projector);
            target_->copy_from(*online_);
            auto box = std::make_shared<torch::nn::Module>("Target");
            target_->register_in(*box);
            this->register_module("target", box);
        }
        if constexpr (remembers) {
            memory_.emplace(recipe.queue.build(dim_));
            keep("queue", *memory_);
        }
        if constexpr (requires { recipe.loss.build(dim_); }) recipe.loss.build(dim_);
        if constexpr (requires { recipe.loss.state(slots::NamesTensors{}); }) keep("loss", recipe.loss);
        find_statistics();
        train();
    }

    /// Called before training: what needs the length of the run is checked here. Gives warnings, a line each.
    std::vector<std::string> begin(const Horizon& horizon) {
        at.of = horizon;
        std::vector<std::string> warnings;
        const auto ask = [&](auto& part) {
            if constexpr (requires { { part.begin(horizon) } -> std::convertible_to<std::string>; }) {
                if (std::string warning = part.begin(horizon); !warning.empty()) warnings.push_back(std::move(warning));
            } else if constexpr (requires { part.begin(horizon); }) {
                part.begin(horizon);
            }
        };
        ask(recipe.loss);
        if constexpr (remembers) ask(*memory_);
        if constexpr (follows)
            for (const std::int64_t step : {std::int64_t{0}, horizon.steps / 2, horizon.steps}) {
                const double m = recipe.target.schedule({.step = step, .of = horizon});
                require(m >= 0 && m <= 1, "Ema: m must lie between 0 and 1, the schedule gives ", m, " at step ", step);
            }
        return warnings;
    }

    /// Switches training mode. The target keeps only its batch statistics in it: dropout and drop-path are off there.
    void train(bool on = true) override {
        torch::nn::Module::train(on);
        if constexpr (follows)
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
    /// The encoder that follows, or the online one where nothing follows.
    Encoder& target_encoder() {
        if constexpr (follows)
            return target_->encoder;
        else
            return online_->encoder;
    }

    /// Views → scalar loss, float32. The network runs under the autocast that the caller set, the loss never does.
    Tensor forward(const Batch& batch) {
        const std::size_t views = batch.views.size();
        require(views >= 1, "Method: the batch has no views");
        if (!remembered_ && this->is_training()) remember_statistics();
        const auto pairs = pairs_of(views, static_cast<std::size_t>(batch.globals));
        std::vector<bool> seen_online(views, sees_all), seen_target = seen_online;
        for (const auto [o, t] : pairs) {
            require(o < views && t < views, "Recipe.pairing asks for view ", std::max(o, t), ", the batch has ", views);
            seen_online[o] = seen_target[t] = true;
        }
        if constexpr (!follows)  // one network: what the target needs is a pass of the online branch
            for (std::size_t v = 0; v < views; ++v) seen_online[v] = seen_online[v] || seen_target[v];

        Outputs out{.index = batch.index, .label = batch.label, .globals = batch.globals, .at = at};
        const typename Branch::Cut cut{
            .join = recipe.passes.join_views, .join_heads = recipe.passes.join_heads, .groups = recipe.passes.bn_groups};
        std::optional<typename Branch::Hidden> hidden;
        if constexpr (masks) {
            hidden.emplace();
            hidden->masks = detail::hidden_patches(recipe.loss, online_->encoder, batch, seed_, at.step, last_.size());
        }
        online_->run(batch.views, seen_online, cut, out.features, out.projected, hidden ? &*hidden : nullptr);
        if (hidden) out.patches = {.online = hidden->projected, .weight = hidden->weight};
        out.online = out.projected;
        if constexpr (predicts) {
            if (recipe.passes.join_heads)
                detail::together(out.online, [&](const Tensor& z) { return predictor_->forward(z); });
            else
                for (Tensor& z : out.online)
                    if (z.defined()) z = predictor_->forward(z);
            if (out.patches.online.defined()) out.patches.online = predictor_->forward(out.patches.online);
        }
        if constexpr (follows) {
            if (recipe.target.timing == targets::EmaTiming::before_forward && followed_ == updates()) follow();
            const at::NoGradGuard no_grad;
            std::vector<Tensor> features;
            auto target_cut = cut;
            if (recipe.passes.shuffle_target)
                target_cut.order = [this](std::int64_t rows, std::size_t view) { return detail::permutation(rows, seed_, at.step, view); };
            if (hidden) hidden->shown = true;
            target_->run(batch.views, seen_target, target_cut, features, out.target, hidden ? &*hidden : nullptr);
            if (hidden) out.patches.target = hidden->projected;
        } else {
            out.target = out.projected;  // never a second pass
            if constexpr (std::same_as<typename R::Target, targets::StopGradient>)
                for (Tensor& z : out.target)
                    if (z.defined()) z = z.detach();
        }
        const auto widen = [](Tensor& z) {
            if (z.defined() && z.scalar_type() != at::kDouble) z = z.to(at::kFloat);
        };
        for (auto* list : {&out.online, &out.target})
            for (Tensor& z : *list) widen(z);
        widen(out.patches.online);
        widen(out.patches.target);
        if constexpr (remembers) out.memory = memory_->read();

        const Autocast float32(batch.views.front().device().type(), Precision::fp32);
        Tensor loss = value(out, pairs);
        require(loss.defined() && loss.dim() == 0, "Recipe.loss must give a scalar, got shape ", loss.defined() ? loss.sizes() : at::IntArrayRef{});
        for (auto* list : {&out.features, &out.projected, &out.online, &out.target})
            for (Tensor& z : *list)
                if (z.defined()) z = z.detach();
        if (out.patches.online.defined()) out.patches.online = out.patches.online.detach();
        last_.push_back(std::move(out));
        return loss;
    }

    /// After a successful optimizer step: writes queue, EMA and the loss's own state, and counts the step.
    void commit() {
        const at::NoGradGuard no_grad;
        if constexpr (follows)
            if (recipe.target.timing == targets::EmaTiming::after_step) follow();
        for (const Outputs& out : last_) {
            if constexpr (remembers) memory_->commit(out);
            if constexpr (requires { recipe.loss.commit(out); }) recipe.loss.commit(out);
        }
        last_.clear();
        remembered_ = false;
        ++at.step;
    }

    /// Instead of commit(), when the step is not taken: as if forward() had not been called.
    void discard() {
        const at::NoGradGuard no_grad;
        if (remembered_)
            for (auto& [type, kept] : statistics_) at::_foreach_copy_(kept.now, kept.before);
        remembered_ = false;
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

    Progress at{};  ///< the step about to be taken

    /// Numbers that belong to a checkpoint beside the tensors: the step, how many were skipped, and how many updates
    /// of the weights the EMA target has followed.
    std::vector<std::pair<std::string, std::int64_t*>> counters() {
        std::vector<std::pair<std::string, std::int64_t*>> all{
            {"step", &at.step}, {"skipped", &skipped_}, {"target.followed", &followed_}};
        if constexpr (requires { recipe.loss.counters(); })
            for (const auto& [name, value] : recipe.loss.counters()) all.emplace_back("loss." + name, value);
        return all;
    }

private:
    /// Registers what part.state() names: tensors that require a gradient as parameters, others as buffers.
    template <class Part>
    void keep(const std::string& name, Part& part) {
        auto box = std::make_shared<torch::nn::Module>(name);
        part.state([&](const char* key, Tensor& value) {
            require(value.defined(), name, ".", key, " is undefined after build()");
            value = value.requires_grad() ? box->register_parameter(key, value) : box->register_buffer(key, value);
        });
        this->register_module(name, box);
    }

    static auto default_pairing() {
        if constexpr (requires { typename R::Loss::Pairing; })
            return typename R::Loss::Pairing{};
        else
            return pairings::OneWay{};
    }
    auto pairing() const {
        if constexpr (std::same_as<typename R::Pairing, ByLoss>)
            return default_pairing();
        else
            return recipe.pairing;
    }
    std::vector<pairings::Pair> pairs_of(std::size_t views, std::size_t globals) const {
        if constexpr (sees_all)
            return {};
        else
            return pairing()(views, globals);
    }

    Tensor value(const Outputs& out, const std::vector<pairings::Pair>& pairs) {
        if constexpr (whole) {
            return recipe.loss(out);
        } else {
            Tensor sum;
            for (const auto [o, t] : pairs) {
                Tensor term;
                if constexpr (remembers)
                    term = recipe.loss(out.online[o], out.target[t], out.memory);
                else
                    term = recipe.loss(out.online[o], out.target[t]);
                sum = sum.defined() ? sum + term : term;
            }
            require(sum.defined(), "Recipe.pairing gives no pair for ", out.online.size(), " views");
            return pairing().reduce == pairings::Reduce::mean ? sum / static_cast<double>(pairs.size()) : sum;
        }
    }

    void follow() {
        const double m = recipe.target.schedule(at);
        require(m >= 0 && m <= 1, "Ema: m must lie between 0 and 1, the schedule gives ", m, " at step ", at.step);
        target_->follow(*online_, m);
        followed_ = updates() + 1;
    }

    /// How often the weights were updated.
    std::int64_t updates() const { return at.step - skipped_; }

    /// The networks' buffers of one type: handles, which stay when a module moves, and their values before the step.
    struct Statistics {
        std::vector<Tensor> now, before;
    };

    void find_statistics() {
        for (const auto& item : this->named_buffers())
            if (!item.key().starts_with("queue.") && !item.key().starts_with("loss."))
                statistics_[item.value().scalar_type()].now.push_back(item.value());
    }

    /// Keeps the buffers as they are before a step, in tensors that are reused.
    void remember_statistics() {
        const at::NoGradGuard no_grad;
        for (auto& [type, kept] : statistics_) {
            bool fits = kept.before.size() == kept.now.size();
            for (std::size_t i = 0; fits && i < kept.now.size(); ++i)
                fits = kept.before[i].device() == kept.now[i].device() && kept.before[i].dtype() == kept.now[i].dtype();
            if (!fits) {
                kept.before.clear();
                for (const Tensor& value : kept.now) kept.before.push_back(at::empty_like(value));
            }
            at::_foreach_copy_(kept.before, kept.now);
        }
        remembered_ = true;
    }

    std::optional<Branch> online_, target_;
    Predictor predictor_ = detail::empty<Predictor>();
    std::optional<typename detail::QueueMemory<typename R::Queue>::type> memory_;
    std::vector<Outputs> last_;
    std::map<at::ScalarType, Statistics> statistics_;
    bool remembered_ = false;  // since the last commit(), discard() or skip()
    std::int64_t dim_ = 0, followed_ = 0, skipped_ = 0;
    std::uint64_t seed_ = 0;
};

namespace detail {
/// Stands in for the method of a recipe that Check refuses, so that nothing more is said about it.
struct Refused : torch::nn::Module {
    template <class... Any>
    explicit Refused(const Any&...) {}
};
template <class R>
using MethodBody = std::conditional_t<Check<R>::ok, MethodImpl<R>, Refused>;
}  // namespace detail

/// A built recipe behind a module holder (copies share the method).
///
///     Method method{Recipe{.encoder = encoders::ResNet{.depth = 18}, .loss = losses::NtXent{}}, {.seed = 1}};
///     Tensor loss = method->forward(batch);
template <class R>
class Method : public torch::nn::ModuleHolder<detail::MethodBody<R>> {
public:
    using torch::nn::ModuleHolder<detail::MethodBody<R>>::ModuleHolder;
    explicit Method(R recipe, BuildOptions options = {})
        : torch::nn::ModuleHolder<detail::MethodBody<R>>(std::make_shared<detail::MethodBody<R>>(std::move(recipe), options)) {}
};
template <class R>
Method(R) -> Method<R>;
template <class R>
Method(R, BuildOptions) -> Method<R>;

}  // namespace doppel
