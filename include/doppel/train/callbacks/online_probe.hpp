// SPDX-License-Identifier: Apache-2.0
// A linear classifier on the encoder's features, trained while the method trains.
#pragma once

#include <doppel/core/collectives.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/eval/labeled_images.hpp>
#include <doppel/eval/linear_heads.hpp>
#include <doppel/train/callback.hpp>
#include <doppel/train/detail/group_of_batch.hpp>
#include <doppel/train/trainer.hpp>

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

namespace doppel::train {

struct OnlineProbeOptions {
    double rate =
        10;  ///< learning rate at the first step times the number of features, > 0; half a cosine to 0 over the run
    double momentum = 0.9;  ///< of SGD, from 0 to below 1
};

/// Trains a linear classifier on the features that the online encoder gives in each training step, for its global views,
/// and publishes online_top1_train after each epoch: the share of these views that it classified before it learned from
/// them. scores() classifies other features, such as those of validation images.
///
/// The features come detached, after the step is done, and the classifier draws no random numbers: weights of the method
/// are bit by bit those of a run without it. The classifier's input is standardized: in training by the batch, in scores()
/// by running mean and variance (rate 0.1), which is part of the linear map. Standardized features of width F have a mean
/// square length of F, hence a learning rate in proportion to 1/F. With accumulated passes it sees the last one;
/// on several processes, the features of all.
/// Its state is in each checkpoint (Trainer::carried()), so a resumed run continues exactly; where the checkpoint has none,
/// it starts anew, with a warning. On a GPU it makes the host wait once per epoch.
/// Throws Error in begin() unless each training image has a label and there are at least two classes.
/// Source: the online evaluation of SimCLR's and BYOL's code. The standardized input: MAE's linear probe (He et al., 2021,
/// arXiv:2111.06377).
///
///     train::OnlineProbe probe;
///     train::train(preset, labeled_images, {.seed = 1, .out = "runs/mine"}, probe);
class OnlineProbe {
public:
    explicit OnlineProbe(OnlineProbeOptions options = {}) : options_(options) {
        require(options_.rate > 0 && std::isfinite(options_.rate), "online probe: rate must be above 0, got ",
                options_.rate);
    }

    void begin(Trainer& trainer) {
        const auto classes = static_cast<std::int64_t>(trainer.images().classes().size());
        eval::require_labeled("online probe", "training", trainer.images(), classes);
        const std::int64_t features = trainer.method().feature_dim();
        heads_ = eval::LinearHeads(
            {.classes = classes, .features = features, .momentum = options_.momentum, .spread = 0}, trainer.device());
        const auto floats = heads_.weight.options();
        mean_ = at::zeros({features}, floats);
        variance_ = at::ones({features}, floats);
        right_ = at::zeros({1}, floats.dtype(at::kLong));
        seen_ = at::zeros({1}, floats.dtype(at::kLong));
        bool anew = false;
        for (const auto& [name, tensor] : state()) {
            const auto [place, added] = trainer.carried().try_emplace("online_probe." + name, *tensor);
            require(place->second.sizes() == tensor->sizes(), "online probe: '", name, "' is ", place->second.sizes(),
                    " in the checkpoint, expected ", tensor->sizes(),
                    "; the classes or the encoder are not those of that run");
            *tensor = place->second;
            anew |= added;
        }
        if (anew && trainer.resumed_at())
            trainer.warn("the online probe starts at step " + std::to_string(*trainer.resumed_at()) +
                         ": the checkpoint has none");
    }

    void step(Trainer& trainer, const StepReport& report) {
        const at::NoGradGuard no_grad;
        const auto& out = report.outputs;
        const Group group = detail::group_of_batch(trainer);
        const Tensor label_of_all = out.label.defined() ? gathered(out.label, group) : Tensor{};
        std::vector<Tensor> views, labels;
        for (std::size_t v = 0; v < std::min(out.features.size(), static_cast<std::size_t>(out.globals)); ++v) {
            if (!out.features[v].defined()) continue;
            views.push_back(gathered(out.features[v].detach().to(at::kFloat), group));
            labels.push_back(label_of_all);
        }
        require(!views.empty() && out.label.defined(),
                "online probe: the method's outputs have no features or no labels");
        const Tensor rows = at::cat(views), label = at::cat(labels);  // [V·B, F], [V·B]
        const Tensor mean = rows.mean(0), variance = rows.var(0, /*unbiased=*/false);
        const Tensor finite = at::isfinite(rows).all();
        mean_.copy_(at::where(finite, mean_ + 0.1 * (mean - mean_), mean_));
        variance_.copy_(at::where(finite, variance_ + 0.1 * (variance - variance_), variance_));
        const double done = static_cast<double>(report.step - 1) / static_cast<double>(trainer.total_steps());
        const Tensor rate = at::full(
            {1}, options_.rate / static_cast<double>(rows.size(1)) * 0.5 * (1 + std::cos(std::numbers::pi * done)),
            mean.options());
        right_ += heads_.step(standardized(rows, mean, variance), label, rate).right;
        seen_ += label.size(0);
    }

    void epoch(Trainer& trainer, std::int64_t) {
        trainer.publish({{"online_top1_train", right_.item<double>() / std::max(seen_.item<double>(), 1.0)}});
        right_.zero_();
        seen_.zero_();
    }

    /// Returns the classifier's scores of features [N, F] of the online encoder: [N, C].
    Tensor scores(const Tensor& rows) const {
        require(heads_.weight.defined(), "online probe: it has not begun; give it to train() or run() first");
        return heads_.scores(standardized(rows.detach().to(at::kFloat), mean_, variance_));
    }

private:
    static Tensor standardized(const Tensor& rows, const Tensor& mean, const Tensor& variance) {
        return (rows - mean) * (variance + 1e-5).rsqrt();
    }

    std::vector<std::pair<std::string, Tensor*>> state() {
        return {{"weight", &heads_.weight},
                {"bias", &heads_.bias},
                {"weight_velocity", &heads_.weight_velocity},
                {"bias_velocity", &heads_.bias_velocity},
                {"left_out", &heads_.left_out},
                {"mean", &mean_},
                {"variance", &variance_},
                {"right", &right_},
                {"seen", &seen_}};
    }

    OnlineProbeOptions options_;
    eval::LinearHeads heads_;
    Tensor mean_, variance_;  // [F], running
    Tensor right_, seen_;     // [1] int64, of the epoch
};
static_assert(Callback<OnlineProbe>);

}  // namespace doppel::train
