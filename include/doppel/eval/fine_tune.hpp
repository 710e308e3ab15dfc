// SPDX-License-Identifier: Apache-2.0
// Fine-tuning: a classifier and a copy of the encoder, trained together on all labels or a few.
#pragma once

#include <doppel/core/normalized.hpp>
#include <doppel/core/seed.hpp>
#include <doppel/data/fraction.hpp>
#include <doppel/data/loader.hpp>
#include <doppel/eval/accuracy.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/eval/labeled_images.hpp>
#include <doppel/eval/linear_heads.hpp>
#include <doppel/eval/working_copy.hpp>
#include <doppel/optim/adamw.hpp>
#include <doppel/optim/layer_decay.hpp>
#include <doppel/optim/optimizer.hpp>
#include <doppel/optim/sgd.hpp>
#include <doppel/options/rows.hpp>
#include <doppel/schedules/warmup_cosine.hpp>

#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace doppel::eval {

/// The optimizer of fine-tuning. Automatic: AdamW for a Vision Transformer (an encoder with `blocks`), else SGD.
enum class FineTuneOptimizer { automatic, sgd, adamw };
constexpr std::array<std::string_view, 3> option_names(FineTuneOptimizer) { return {"auto", "sgd", "adamw"}; }

struct FineTuneOptions {
    double labels = 1;
    std::int64_t epochs = 50, batch_size = 256;
    FineTuneOptimizer optimizer = FineTuneOptimizer::automatic;
    double lr = 0, layer_decay = 0.75, weight_decay = -1, warmup = 0.05, min_scale = 0.08;
    std::int64_t evaluate_every = 0, seed = 0;
    int workers = 1;                                                           ///< decoding threads
    Network network = Network::online;                                         ///< network of a method's encoder
    std::shared_ptr<data::DamagedImages> train_damage{}, validation_damage{};  ///< as FeatureOptions::damage

    static constexpr auto fields() {
        using O = FineTuneOptions;
        using options::between;
        using options::field;
        return std::tuple(
            field(&O::labels, "fine-tune-labels",
                  "share of the training images whose labels are used, the same share of each class: 0.01, 0.1, 1",
                  options::above(0, 1)),
            field(&O::epochs, "fine-tune-epochs", "passes of fine-tuning over these images", between(1, 1e6)),
            field(&O::batch_size, "fine-tune-batch-size", "images per step of fine-tuning", between(2, 1e6)),
            field(&O::optimizer, "fine-tune-optimizer",
                  "auto: AdamW for a Vision Transformer, else SGD with Nesterov momentum"),
            field(&O::lr, "fine-tune-lr",
                  "peak learning rate of fine-tuning for 256 images per step; 0: 0.001 for AdamW, 0.05 for SGD",
                  between(0, 100)),
            field(&O::layer_decay, "fine-tune-layer-decay",
                  "learning rate of a block or stage over that of the next one", options::above(0, 1)),
            field(&O::weight_decay, "fine-tune-weight-decay",
                  "weight decay of fine-tuning; -1: 0.05 for AdamW, 0 for SGD", between(-1, 1)),
            field(&O::warmup, "fine-tune-warmup", "share of fine-tuning in which the learning rate rises",
                  options::fraction),
            field(&O::min_scale, "fine-tune-min-scale",
                  "smallest share of the image's area that a crop of fine-tuning takes", options::above(0, 1)),
            field(&O::evaluate_every, "fine-tune-evaluate-every",
                  "epochs between evaluations of fine-tuning; 0: a tenth of it", between(0, 1e6)),
            field(&O::seed, "fine-tune-seed", "seed of fine-tuning", between(0, 1e15)), options::hidden(&O::workers),
            options::hidden(&O::network), options::hidden(&O::train_damage), options::hidden(&O::validation_damage));
    }
};
static_assert(options::described<FineTuneOptions>);

/// What fine-tuning reached after some epoch.
struct FineTuneEpoch {
    std::int64_t epoch = 0;  ///< counted from 1
    double loss = 0;         ///< cross-entropy on the augmented training images, mean since the last evaluation
    double validation = 0;   ///< top-1 on the validation images
};

struct FineTuneResult {
    Accuracy last{};                      ///< on the validation images after the last epoch: the figure
    Accuracy best{};                      ///< after the evaluated epoch that was best there
    std::int64_t best_epoch = 0;          ///< that epoch, from 1; the first of equal ones
    std::vector<FineTuneEpoch> epochs{};  ///< the evaluated ones
    std::int64_t images = 0;              ///< training images whose labels were used
    std::map<std::string, Tensor>
        encoder{};            ///< parameters and buffers after the last epoch, by their names in the module
    Tensor weight{}, bias{};  ///< [C, F], [C]: the classifier
    std::string protocol{};   ///< for reports: "fine-tuning with 10 % of the labels: 50 epochs of 256 images, …"
};

namespace detail {

class FineTuning {
public:
    FineTuning(torch::nn::Module& module, std::function<Tensor(const Tensor&)> forward, const data::Dataset& train,
               const data::Dataset& validation, const augment::Pipeline& eval_view, FineTuneOptions options)
        : module_(module),
          forward_(std::move(forward)),
          validation_(validation),
          eval_view_(eval_view),
          options_(std::move(options)) {
        options::validate(who, options_);
        classes_ = static_cast<std::int64_t>(train.classes().size());
        require_labeled(who, "training", train, classes_);
        require_labeled(who, "validation", validation, classes_);
        train_ = data::stratified(train, options_.labels, static_cast<std::uint64_t>(options_.seed));
        require(train_.size() >= 2, who, ": needs at least two training images, got ", train_.size());
        view_ = training_view(eval_view, options_.min_scale);
        options_.batch_size = std::min(options_.batch_size, train_.size());
        if (options_.evaluate_every == 0) options_.evaluate_every = std::max<std::int64_t>(1, options_.epochs / 10);
    }

    FineTuneResult run(const std::function<void(const FineTuneEpoch&)>& progress) {
        const SeedScope seed(
            static_cast<std::uint64_t>(options_.seed));  // dropout and drop path draw from torch's generator
        optim::NamedParameters encoder;
        for (const auto& item : module_.named_parameters())
            if (item.value().is_floating_point()) encoder.emplace_back(item.key(), item.value());
        require(!encoder.empty(), who, ": the encoder has no parameters");
        const at::Device device = encoder.front().second.device();
        const LinearHeads first(
            {.classes = classes_, .features = width(device), .seed = static_cast<std::uint64_t>(options_.seed)},
            device);
        weight_ = first.weight[0].clone().set_requires_grad(true);
        bias_ = first.bias[0].clone().set_requires_grad(true);
        const bool adamw = uses_adamw(encoder);
        auto optimizer = optimizer_for(encoder, adamw);
        const data::Loader loader(train_, {view_},
                                  {.batch_size = options_.batch_size,
                                   .seed = static_cast<std::uint64_t>(options_.seed),
                                   .workers = options_.workers,
                                   .pinned = device.is_cuda(),
                                   .damage = options_.train_damage});
        const schedules::WarmupCosine lr{.peak = peak(adamw) * static_cast<double>(options_.batch_size) / 256,
                                         .warmup_fraction = options_.warmup};
        const Horizon horizon{
            .samples = train_.size(), .steps = options_.epochs * loader.batches(), .steps_per_epoch = loader.batches()};
        FineTuneResult result{.images = train_.size()};
        auto pass = loader.pass(0, horizon.steps);
        Tensor loss = at::zeros({}, weight_.options().requires_grad(false));
        std::int64_t summed = 0;
        for (std::int64_t step = 0; step < horizon.steps; ++step) {
            module_.train();
            loss += loss_of(*pass->next());
            optimizer.step(lr({.step = step, .of = horizon}));
            optimizer.zero_grad();
            ++summed;
            const std::int64_t epoch = (step + 1) / loader.batches();
            if ((step + 1) % loader.batches() != 0 ||
                (epoch % options_.evaluate_every != 0 && epoch != options_.epochs))
                continue;
            const double mean = loss.item<double>() / static_cast<double>(std::exchange(summed, 0));
            require(std::isfinite(mean), who, ": the loss is not finite in epoch ", epoch, " (", mean,
                    "); lower the learning rate, ", peak(adamw), " for 256 images");
            loss.zero_();
            result.last = evaluate();
            result.epochs.push_back({.epoch = epoch, .loss = mean, .validation = result.last.top1});
            if (result.best_epoch == 0 || result.last.top1 > result.best.top1) {
                result.best = result.last;
                result.best_epoch = epoch;
            }
            if (progress) progress(result.epochs.back());
        }
        for (const auto& item : module_.named_parameters()) result.encoder[item.key()] = item.value().detach();
        for (const auto& item : module_.named_buffers()) result.encoder[item.key()] = item.value().detach();
        result.weight = weight_.detach();
        result.bias = bias_.detach();
        result.protocol = protocol(adamw);
        return result;
    }

private:
    static constexpr std::string_view who = "fine-tuning";

    /// The width of the features, found with an empty image before anything long.
    std::int64_t width(at::Device device) {
        const at::NoGradGuard no_grad;
        const EvaluationMode scope(module_);
        const Tensor rows =
            forward_(at::zeros({1, view_.channels(), view_.size(), view_.size()}, at::TensorOptions(device)));
        require(rows.dim() == 2, who, ": the encoder must return [images, features], got ", rows.sizes());
        return rows.size(1);
    }

    bool uses_adamw(const optim::NamedParameters& encoder) const {
        if (options_.optimizer != FineTuneOptimizer::automatic) return options_.optimizer == FineTuneOptimizer::adamw;
        return std::any_of(encoder.begin(), encoder.end(),
                           [](const auto& item) { return item.first.find("blocks.") != std::string::npos; });
    }
    double peak(bool adamw) const { return options_.lr > 0 ? options_.lr : adamw ? 1e-3 : 0.05; }
    double weight_decay(bool adamw) const {
        return options_.weight_decay >= 0 ? options_.weight_decay : adamw ? 0.05 : 0;
    }

    optim::AnyOptimizer optimizer_for(const optim::NamedParameters& encoder, bool adamw) const {
        auto groups = optim::layer_decay(encoder, {{"classifier.weight", weight_}, {"classifier.bias", bias_}},
                                         options_.layer_decay, weight_decay(adamw));
        if (adamw) return optim::AdamW{}.build_groups(std::move(groups));
        return optim::Sgd{.nesterov = true}.build_groups(std::move(groups));
    }

    /// Computes the gradients of a batch; returns its loss.
    Tensor loss_of(Batch batch) {
        const at::AutoGradMode with_gradients(true);
        const at::Device device = weight_.device();
        const Autocast float32(device.type(), Precision::fp32);
        const Tensor images = normalized(batch.views.front().to(device, /*non_blocking=*/true), view_.normalize(),
                                         at::MemoryFormat::ChannelsLast);
        const Tensor loss =
            at::cross_entropy_loss(at::linear(forward_(images).to(at::kFloat), weight_, bias_), batch.label.to(device));
        loss.backward();
        return loss.detach();
    }

    Accuracy evaluate() {
        const auto found = features_of(module_, module_, forward_, validation_, eval_view_,
                                       {.workers = options_.workers, .damage = options_.validation_damage});
        const at::NoGradGuard no_grad;
        return accuracy_of(at::linear(found.rows, weight_, bias_), found.labels);
    }

    std::string protocol(bool adamw) const {
        std::ostringstream text;
        text << "fine-tuning with " << 100 * options_.labels << " % of the labels (" << train_.size()
             << " images): " << options_.epochs << " epochs of " << options_.batch_size << " images, "
             << (adamw ? "AdamW" : "SGD") << ", learning rate " << peak(adamw) << " for 256 images, times "
             << options_.layer_decay << " for each layer toward the images";
        return text.str();
    }

    torch::nn::Module& module_;
    std::function<Tensor(const Tensor&)> forward_;
    const data::Dataset& validation_;
    const augment::Pipeline& eval_view_;
    FineTuneOptions options_;
    data::Dataset train_;
    std::int64_t classes_ = 0;
    augment::Pipeline view_;
    Tensor weight_, bias_;
};

}  // namespace detail

/// Trains a linear classifier and a copy of the whole encoder on a share of the labels, and returns the accuracy on the
/// validation images after the last epoch, with the best evaluated epoch beside it. The encoder given is not changed
/// (WorkingCopy); the trained one is in the result.
///
/// The images whose labels are used have the classes in their proportions (data::stratified), at least one of each class;
/// a smaller share is a part of a larger one of the same seed. Views: random resized crops and flips (training_view).
/// Learning rates fall by `layer_decay` from block to block of a Vision Transformer, from stage to stage of a ResNet
/// (optim::layer_decay); linear warm-up, then half a cosine. The encoder is in training mode, in float32.
/// All parameters are trained, also those that a method froze. An epoch's incomplete batch is left out.
/// Throws Error for unlabeled images, fewer than two classes, a loss that is not finite, options out of range, and a layer
/// decay below 1 for an encoder whose names tell no layers.
/// Source: 1 % and 10 % of the labels, SGD 0.05 with Nesterov momentum and no weight decay: SimCLR (arXiv:2002.05709,
/// appendix B.5); AdamW with layer-wise rates: BEiT and MAE (optim::layer_decay).
///
///     auto tenth = eval::fine_tune(*net, [&](const Tensor& x) { return net->forward(x); }, train, validation, views.eval, {.labels = 0.1});
///     std::cout << tenth.last.top1;
inline FineTuneResult fine_tune(torch::nn::Module& module, const std::function<Tensor(const Tensor&)>& forward,
                                const data::Dataset& train, const data::Dataset& validation,
                                const augment::Pipeline& eval_view, const FineTuneOptions& options = {},
                                const std::function<void(const FineTuneEpoch&)>& progress = {}) {
    detail::FineTuning tuning(module, forward, train, validation, eval_view, options);
    const WorkingCopy scope(module);
    return tuning.run(progress);
}

/// The same for an encoder of a method: FineTuneOptions::network says which.
///
///     auto all = eval::fine_tune(method, train, validation, preset.views.eval);
inline FineTuneResult fine_tune(const AnyMethod& method, const data::Dataset& train, const data::Dataset& validation,
                                const augment::Pipeline& eval_view, const FineTuneOptions& options = {},
                                const std::function<void(const FineTuneEpoch&)>& progress = {}) {
    const auto forward = [&](const Tensor& x) { return method.features(x, options.network); };
    return fine_tune(*method.encoder(options.network), forward, train, validation, eval_view, options, progress);
}

}  // namespace doppel::eval
