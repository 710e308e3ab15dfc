// SPDX-License-Identifier: Apache-2.0
// The papers' linear probe: a linear classifier on a frozen encoder, trained by SGD on augmented images.
#pragma once

#include <doppel/core/normalized.hpp>
#include <doppel/data/loader.hpp>
#include <doppel/eval/accuracy.hpp>
#include <doppel/eval/feature.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/eval/labeled_images.hpp>
#include <doppel/eval/linear_heads.hpp>
#include <doppel/eval/unchanged.hpp>
#include <doppel/options/rows.hpp>

#include <ATen/ops/cat.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <numbers>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

namespace doppel::eval {

struct LinearProbeOptions {
    std::int64_t epochs = 100, batch_size = 256;
    std::string rates = "0.003,0.01,0.03,0.1,0.3,1,3,10,30";
    double held_out = 0.1, momentum = 0.9, min_scale = 0.08;
    std::int64_t seed = 0;
    int workers = 1;                                                           ///< decoding threads
    Network network = Network::online;                                         ///< network of a method's encoder
    Feature feature{};                                                         ///< which output of the encoder
    std::shared_ptr<data::DamagedImages> train_damage{}, validation_damage{};  ///< as FeatureOptions::damage

    static constexpr auto fields() {
        using O = LinearProbeOptions;
        using options::between;
        using options::field;
        return std::tuple(
            field(&O::epochs, "probe-epochs", "passes of the linear probe over the training images", between(1, 1e6)),
            field(&O::batch_size, "probe-batch-size", "images per step of the linear probe", between(1, 1e6)),
            field(&O::rates, "probe-rates",
                  "learning rates of the linear probe for 256 images per step, with commas between them"),
            field(&O::held_out, "probe-held-out", "share of the training images that chooses the learning rate",
                  options::above(0, 0.5)),
            field(&O::momentum, "probe-momentum", "momentum of the linear probe's SGD", between(0, 0.999)),
            field(&O::min_scale, "probe-min-scale",
                  "smallest share of the image's area that a crop of the linear probe takes", options::above(0, 1)),
            field(&O::seed, "probe-seed", "seed of the linear probe", between(0, 1e15)), options::hidden(&O::workers),
            options::hidden(&O::network), options::hidden(&O::feature), options::hidden(&O::train_damage),
            options::hidden(&O::validation_damage));
    }
};
static_assert(options::described<LinearProbeOptions>);

/// What the classifiers of all learning rates reached after an epoch, in the order of the rates.
struct LinearProbeEpoch {
    std::int64_t epoch = 0;            ///< counted from 1
    std::vector<double> loss{};        ///< mean over the epoch's augmented training images
    std::vector<double> held_out{};    ///< top-1 on the images that choose; empty with a single rate
    std::vector<double> validation{};  ///< top-1 on the validation images
};

struct LinearProbeResult {
    Accuracy last{};              ///< on the validation images after the last epoch, with the chosen rate: the figure
    Accuracy best{};              ///< after the epoch that was best there: papers report it, chosen on the test images
    std::int64_t best_epoch = 0;  ///< that epoch, from 1; the first of equal ones
    double rate = 0;              ///< the chosen learning rate, for 256 images per step
    std::vector<double> rates{};  ///< all of them
    std::vector<LinearProbeEpoch> epochs{};
    std::int64_t images = 0;     ///< training images
    std::int64_t chosen_by = 0;  ///< of these, the images that chose the rate; 0 with a single rate
    Tensor weight{}, bias{};     ///< [C, F], [C]: the chosen classifier after the last epoch
    std::string protocol{};      ///< for reports: "linear probe by SGD: 100 epochs of 256 images, …"
};

namespace detail {

/// Reads numbers above 0 with commas between them.
inline std::vector<double> rates_in(std::string_view who, const std::string& text) {
    std::vector<double> rates;
    std::istringstream list(text);
    for (std::string word; std::getline(list, word, ',');) {
        double rate = 0;
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), rate);
        require(error == std::errc{} && end == word.data() + word.size() && rate > 0 && std::isfinite(rate), who,
                ": the learning rates must be numbers above 0 with commas between them, as 0.1,1,10; got '", text, "'");
        rates.push_back(rate);
    }
    require(!rates.empty(), who, ": there must be a learning rate, as 0.1 or 0.1,1,10; got ''");
    return rates;
}

/// Returns features of images without augmentation. Throws Error for those that are not finite.
inline Features checked_features(std::string_view who, std::string_view what, torch::nn::Module& module,
                                 const std::function<Tensor(const Tensor&)>& forward, const data::Dataset& images,
                                 const augment::Pipeline& eval_view, const FeatureOptions& options) {
    auto found = features_of(module, module, forward, images, eval_view, options);
    const Tensor strange = at::isfinite(found.rows).all(1).logical_not();  // [N]
    const auto count = strange.sum().item<std::int64_t>();
    require(count == 0, who, ": the encoder's features of ", count, " ", what,
            " images are not finite (the first is image ",
            count > 0 ? found.index[strange.to(at::kInt).argmax().item<std::int64_t>()].item<std::int64_t>() : 0,
            "); the network diverged, or its weights do not fit the pipeline's normalization");
    return found;
}

/// The classifiers of a probe while they are trained. With several rates there are two sets: the first learns from all training
/// images and is reported; the second learns without those that are held out, and these choose the rate.
class ProbeTraining {
public:
    ProbeTraining(torch::nn::Module& module, std::function<Tensor(const Tensor&)> forward, const data::Dataset& train,
                  const data::Dataset& validation, const augment::Pipeline& eval_view,
                  const LinearProbeOptions& options)
        : forward_(std::move(forward)), train_(train), options_(options), rates_(rates_in(who, options.rates)) {
        options::validate(who, options_);
        classes_ = static_cast<std::int64_t>(train.classes().size());
        require_labeled(who, "training", train, classes_);
        require_labeled(who, "validation", validation, classes_);
        view_ = training_view(eval_view, options.min_scale);
        validation_ =
            features_without_augmentation(module, "validation", validation, eval_view, options.validation_damage);
        const at::Device device = validation_.rows.device();
        if (rates_.size() > 1) {
            const auto held = held_out(train, options.held_out, static_cast<std::uint64_t>(options.seed));
            require(!held.empty(), who, ": ", rates_.size(),
                    " learning rates need images that choose among them, but each class has a single "
                    "training image; give one rate, or more images");
            learned_from_ = at::ones({train.size()});
            for (const auto i : held) learned_from_[i] = 0;
            held_out_ = features_without_augmentation(module, "training", data::Subset{train, held}, eval_view,
                                                      options.train_damage);
        }
        heads_ = LinearHeads({.heads = static_cast<std::int64_t>(rates_.size()) * (held_out_.rows.defined() ? 2 : 1),
                              .classes = classes_,
                              .features = validation_.rows.size(1),
                              .momentum = options.momentum,
                              .seed = static_cast<std::uint64_t>(options.seed)},
                             device);
        const double scale = static_cast<double>(std::min(options.batch_size, train.size())) / 256;
        peak_ = at::tensor(rates_, at::kDouble).mul(scale).to(at::kFloat).to(device);
        if (held_out_.rows.defined()) peak_ = at::cat({peak_, peak_});
    }

    LinearProbeResult run(const std::function<void(const LinearProbeEpoch&)>& progress) {
        const data::Loader loader(train_, {view_},
                                  {.batch_size = std::min(options_.batch_size, train_.size()),
                                   .seed = static_cast<std::uint64_t>(options_.seed),
                                   .workers = options_.workers,
                                   .drop_last = false,
                                   .pinned = peak_.is_cuda(),
                                   .damage = options_.train_damage});
        const std::int64_t steps = options_.epochs * loader.batches();
        auto pass = loader.pass(0, steps);
        LinearProbeResult result{.rates = rates_, .images = train_.size()};
        result.chosen_by = held_out_.rows.defined() ? held_out_.rows.size(0) : 0;
        std::vector<Accuracy> best(rates_.size()), now(rates_.size());
        std::vector<std::int64_t> best_epoch(rates_.size());
        Tensor loss = at::zeros_like(peak_);
        for (std::int64_t step = 0; step < steps; ++step) {
            loss += step_on(*pass->next(), 0.5 * (1 + std::cos(std::numbers::pi * static_cast<double>(step) /
                                                               static_cast<double>(steps))));
            if ((step + 1) % loader.batches() != 0) continue;
            const std::int64_t epoch = (step + 1) / loader.batches();
            const auto left_out = heads_.left_out.item<std::int64_t>();
            require(left_out == 0, who, ": in epoch ", epoch, " the encoder's features of ", left_out,
                    " batches of augmented training images were not finite; the network diverged");
            auto& line = result.epochs.emplace_back(LinearProbeEpoch{.epoch = epoch});
            const Tensor mean = (loss / static_cast<double>(loader.batches())).cpu();
            loss.zero_();
            for (std::size_t r = 0; r < rates_.size(); ++r) {
                const auto head = static_cast<std::int64_t>(r);
                line.loss.push_back(mean[head].item<double>());
                now[r] = accuracy_of(heads_.scores(validation_.rows, head), validation_.labels);
                line.validation.push_back(now[r].top1);
                if (held_out_.rows.defined())
                    line.held_out.push_back(accuracy_of(scores_of_held_out(r), held_out_.labels).top1);
                if (best_epoch[r] != 0 && now[r].top1 <= best[r].top1) continue;
                best[r] = now[r];
                best_epoch[r] = epoch;
            }
            if (progress) progress(line);
        }
        const std::size_t r = choice(result.epochs.back());
        result.last = now[r];
        result.best = best[r];
        result.best_epoch = best_epoch[r];
        result.rate = rates_[r];
        result.weight = heads_.weight[static_cast<std::int64_t>(r)].clone();
        result.bias = heads_.bias[static_cast<std::int64_t>(r)].clone();
        std::ostringstream text;
        text << "linear probe by SGD: " << options_.epochs << " epochs of " << loader.options().batch_size
             << " images, random resized crops and flips, " << options_.feature.title() << ", learning rate "
             << result.rate << " for 256 images";
        if (result.chosen_by > 0)
            text << ", chosen of " << rates_.size() << " on " << result.chosen_by << " held-out training images";
        result.protocol = text.str();
        return result;
    }

private:
    static constexpr std::string_view who = "linear probe";

    Features features_without_augmentation(torch::nn::Module& module, std::string_view what,
                                           const data::Dataset& images, const augment::Pipeline& eval_view,
                                           const std::shared_ptr<data::DamagedImages>& damage) const {
        return checked_features(who, what, module, forward_, images, eval_view,
                                {.workers = options_.workers, .damage = damage});
    }

    /// Trains all classifiers on a batch; returns their losses.
    Tensor step_on(Batch batch, double factor) {
        const at::Device device = peak_.device();
        const Tensor images = normalized(batch.views.front().to(device, /*non_blocking=*/true), view_.normalize(),
                                         at::MemoryFormat::ChannelsLast);
        const Autocast float32(device.type(), Precision::fp32);
        const Tensor rows = forward_(images);  // [B, F]
        Tensor use;
        if (held_out_.rows.defined()) {
            const Tensor second = learned_from_.index_select(0, batch.index).to(device);  // [B]
            const auto each = [&](const Tensor& weights) {
                return weights.expand({static_cast<std::int64_t>(rates_.size()), -1});
            };
            use = at::cat({each(at::ones_like(second)), each(second)});  // [H, B]
        }
        return heads_.step(rows, batch.label.to(device), peak_ * factor, use).loss;
    }

    Tensor scores_of_held_out(std::size_t rate) const {
        return heads_.scores(held_out_.rows, static_cast<std::int64_t>(rates_.size() + rate));
    }

    /// The rate with the best top-1 on the held-out images after the last epoch; of equal ones, that of the smallest loss there.
    std::size_t choice(const LinearProbeEpoch& last) const {
        std::size_t best = 0;
        double least = 0;
        for (std::size_t r = 0; r < last.held_out.size(); ++r) {
            const Tensor log_p = scores_of_held_out(r).log_softmax(1);
            const double loss = -log_p.gather(1, held_out_.labels.unsqueeze(1)).mean().item<double>();
            if (r > 0 &&
                (last.held_out[r] < last.held_out[best] || (last.held_out[r] == last.held_out[best] && loss >= least)))
                continue;
            best = r;
            least = loss;
        }
        return best;
    }

    std::function<Tensor(const Tensor&)> forward_;
    const data::Dataset& train_;
    LinearProbeOptions options_;
    std::vector<double> rates_;
    std::int64_t classes_ = 0;
    augment::Pipeline view_;
    Features validation_, held_out_;
    Tensor learned_from_;  // [training images], 0 where held out
    LinearHeads heads_;
    Tensor peak_;  // [H], learning rates for the batch size
};

}  // namespace detail

/// Trains linear classifiers on the features of a frozen encoder, as papers do, and returns their accuracy on the validation
/// images: random resized crops and flips (training_view) for training, `eval_view` for evaluation, SGD with momentum,
/// without weight decay, half a cosine from the peak learning rate to 0.
///
/// All learning rates are trained at once on the same features, so that the encoder's passes are paid once. The rate is chosen
/// on held-out training images (held_out()), never on validation images, by classifiers that do not learn from them; a second
/// set of classifiers learns from all training images, and that of the chosen rate is reported, after its last epoch, with
/// its best epoch beside it. With a single rate nothing is held out: the protocol of MoCo (30), SimCLR (0.1), DINO (0.001).
/// The encoder runs in evaluation mode, in float32, without gradient; its mode is restored. Each parameter and each buffer
/// is shown to be unchanged by a hash before and after (Unchanged); a change throws. Damaged training images are replaced
/// by the next decodable one; damaged validation images have no row.
/// Memory: besides validation features, 2 · rates · C · F weights and as many momenta: 295 MB for 9 rates, 1,000 classes
/// and 2,048 features.
/// Throws Error for unlabeled images, fewer than two classes, features that are not finite, and options out of range.
/// Differs: papers choose the rate on the figures' images, several report the best epoch; many take other values for each
/// method (MoCo: lr 30, steps at epochs 60 and 80; SimSiam: LARS).
/// Source: the protocol of MoCo's main_lincls.py, with DINO's cosine and, as in DINOv2, several rates at once.
///
///     auto result = eval::linear_probe(*net, [&](const Tensor& x) { return net->forward(x); }, train, validation, views.eval);
///     std::cout << result.last.top1 << " at learning rate " << result.rate;
inline LinearProbeResult linear_probe(torch::nn::Module& module, const std::function<Tensor(const Tensor&)>& forward,
                                      const data::Dataset& train, const data::Dataset& validation,
                                      const augment::Pipeline& eval_view, const LinearProbeOptions& options = {},
                                      const std::function<void(const LinearProbeEpoch&)>& progress = {}) {
    const at::NoGradGuard no_grad;
    const Unchanged before(module);
    LinearProbeResult result;
    {
        const EvaluationMode scope(module);
        const auto feature = [&](const Tensor& x) { return feature_of(module, forward, x, options.feature); };
        result = detail::ProbeTraining(module, feature, train, validation, eval_view, options).run(progress);
    }
    before.require_same("linear probe");
    return result;
}

/// The same for an encoder of a method: LinearProbeOptions::network says which.
///
///     auto result = eval::linear_probe(method, train, validation, preset.views.eval, {.epochs = 20});
inline LinearProbeResult linear_probe(const AnyMethod& method, const data::Dataset& train,
                                      const data::Dataset& validation, const augment::Pipeline& eval_view,
                                      const LinearProbeOptions& options = {},
                                      const std::function<void(const LinearProbeEpoch&)>& progress = {}) {
    const auto forward = [&](const Tensor& x) { return method.features(x, options.network); };
    return linear_probe(*method.encoder(options.network), forward, train, validation, eval_view, options, progress);
}

}  // namespace doppel::eval
