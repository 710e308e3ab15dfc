// SPDX-License-Identifier: Apache-2.0
// Any method behind one type: what training and evaluation work with, so that they are compiled once.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/module.hpp>
#include <doppel/recipe/check.hpp>
#include <doppel/recipe/method.hpp>
#include <doppel/recipe/recipe.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace doppel {

/// Which of a method's two encoders evaluation, report and encoder.safetensors use.
enum class Network { online, target };

/// A Method of any recipe; cheap to copy (copies share the method).
///
///     AnyMethod method = Method{recipe, {.seed = 1}};
class AnyMethod {
public:
    AnyMethod() = default;
    template <class R>
        requires Check<R>::ok
    AnyMethod(Method<R> method) : self_(std::make_shared<Model<R>>(std::move(method))) {}  // NOLINT: implicit by intent

    std::vector<std::string> begin(const Horizon& horizon) { return self_->begin(horizon); }
    Tensor forward(const Batch& batch) { return self_->forward(batch); }
    void join(const Group& group, bool sync_batch_norm = true) { self_->join(group, sync_batch_norm); }
    void open() { self_->open(); }
    void draw(Batch& batch, std::int64_t step, std::size_t pass, bool filled = false) { self_->draw(batch, step, pass, filled); }
    void commit(const Tensor& bad = {}) { self_->commit(bad); }
    void learn(bool bad) { self_->learn(bad); }
    void replayed(Outputs outputs, const std::vector<std::int64_t>& norm_passes) { self_->replayed(std::move(outputs), norm_passes); }
    void last_given(Outputs outputs) { self_->last_given(std::move(outputs)); }
    const std::vector<std::int64_t>& norm_passes() const { return self_->norm_passes(); }
    std::optional<std::vector<double>> host_numbers(const TrainingStep& step) const { return self_->host_numbers(step); }
    void discard() { self_->discard(); }
    void skip() { self_->skip(); }
    std::int64_t skipped() const { return self_->skipped(); }
    const std::vector<Outputs>& last() const { return self_->last(); }
    contracts::Counters counters() { return self_->counters(); }
    contracts::Metrics metrics() const { return self_->metrics(); }

    /// All modules: parameters, buffers, to(), train().
    torch::nn::Module& module() const { return self_->module(); }
    /// One of the encoders.
    std::shared_ptr<torch::nn::Module> encoder(Network which) const { return self_->encoder(which); }
    /// images [B, C, H, W] → features [B, F] of one of the encoders, in the mode it is in.
    Tensor features(const Tensor& images, Network which) const { return self_->features(images, which); }
    std::int64_t feature_dim() const { return self_->feature_dim(); }
    /// Whether the loss trains on labels.
    bool uses_labels() const { return self_->uses_labels(); }
    /// Parameters that the optimizer trains, by name.
    std::vector<std::pair<std::string, Tensor>> trainable() const {
        std::vector<std::pair<std::string, Tensor>> list;
        for (const auto& item : module().named_parameters())
            if (item.value().requires_grad()) list.emplace_back(item.key(), item.value());
        return list;
    }

private:
    struct Interface {
        virtual ~Interface() = default;
        virtual std::vector<std::string> begin(const Horizon&) = 0;
        virtual Tensor forward(const Batch&) = 0;
        virtual void join(const Group&, bool) = 0;
        virtual void open() = 0;
        virtual void draw(Batch&, std::int64_t, std::size_t, bool) = 0;
        virtual void commit(const Tensor&) = 0;
        virtual void learn(bool) = 0;
        virtual void replayed(Outputs, const std::vector<std::int64_t>&) = 0;
        virtual void last_given(Outputs) = 0;
        virtual const std::vector<std::int64_t>& norm_passes() const = 0;
        virtual std::optional<std::vector<double>> host_numbers(const TrainingStep&) const = 0;
        virtual void discard() = 0;
        virtual void skip() = 0;
        virtual std::int64_t skipped() const = 0;
        virtual const std::vector<Outputs>& last() const = 0;
        virtual contracts::Counters counters() = 0;
        virtual contracts::Metrics metrics() const = 0;
        virtual torch::nn::Module& module() const = 0;
        virtual std::shared_ptr<torch::nn::Module> encoder(Network) const = 0;
        virtual Tensor features(const Tensor&, Network) const = 0;
        virtual std::int64_t feature_dim() const = 0;
        virtual bool uses_labels() const = 0;
    };
    template <class R>
    struct Model final : Interface {
        explicit Model(Method<R> m) : method(std::move(m)) {}
        std::vector<std::string> begin(const Horizon& horizon) override { return method->begin(horizon); }
        Tensor forward(const Batch& batch) override { return method->forward(batch); }
        void join(const Group& group, bool sync_batch_norm) override { method->join(group, sync_batch_norm); }
        void open() override { method->open(); }
        void draw(Batch& batch, std::int64_t step, std::size_t pass, bool filled) override { method->draw(batch, step, pass, filled); }
        void commit(const Tensor& bad) override { method->commit(bad); }
        void learn(bool bad) override { method->learn(bad); }
        void replayed(Outputs outputs, const std::vector<std::int64_t>& norm_passes) override {
            method->replayed(std::move(outputs), norm_passes);
        }
        void last_given(Outputs outputs) override { method->last_given(std::move(outputs)); }
        const std::vector<std::int64_t>& norm_passes() const override { return method->norm_passes(); }
        std::optional<std::vector<double>> host_numbers(const TrainingStep& step) const override { return method->host_numbers(step); }
        void discard() override { method->discard(); }
        void skip() override { method->skip(); }
        std::int64_t skipped() const override { return method->skipped(); }
        const std::vector<Outputs>& last() const override { return method->last(); }
        contracts::Counters counters() override { return method->counters(); }
        contracts::Metrics metrics() const override { return method->metrics(); }
        torch::nn::Module& module() const override { return *method; }
        auto& network(Network which) const { return which == Network::online ? method->encoder() : method->target_encoder(); }
        std::shared_ptr<torch::nn::Module> encoder(Network which) const override {
            if constexpr (requires { network(which).ptr(); })
                return network(which).ptr();
            else
                return network(which);
        }
        Tensor features(const Tensor& images, Network which) const override { return network(which)->forward(images); }
        std::int64_t feature_dim() const override { return method->feature_dim(); }
        bool uses_labels() const override { return contracts::UsesLabels<decltype(R::loss)>; }
        mutable Method<R> method;
    };
    std::shared_ptr<Interface> self_;
};

/// A recipe of any type: what a preset without its type holds.
///
///     AnyRecipe any = Recipe{.encoder = encoders::ResNet{.depth = 18}, .loss = losses::NtXent{}};
///     AnyMethod method = any.build({.seed = 1});
class AnyRecipe {
public:
    AnyRecipe() = default;
    template <class R>
        requires is_recipe<R>
    AnyRecipe(R recipe)  // NOLINT: implicit by intent
        : build_([recipe = std::move(recipe)](const BuildOptions& options) { return AnyMethod(Method<R>(recipe, options)); }) {}

    /// Builds the method. Throws Error for an empty AnyRecipe.
    AnyMethod build(const BuildOptions& options = {}) const {
        require(build_ != nullptr, "AnyRecipe: holds no recipe");
        return build_(options);
    }

private:
    std::function<AnyMethod(const BuildOptions&)> build_{};
};

}  // namespace doppel
