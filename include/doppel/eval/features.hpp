// SPDX-License-Identifier: Apache-2.0
// Features of a whole data set: what k-NN, probes and the report look at.
#pragma once

#include <doppel/core/precision.hpp>
#include <doppel/data/loader.hpp>
#include <doppel/methods/any_method.hpp>

#include <utility>
#include <vector>

namespace doppel::eval {

/// One row an image, in the data set's order.
struct Features {
    Tensor rows;    ///< [N, F] float32
    Tensor labels;  ///< [N] int64 on the rows' device; undefined without classes
};

/// Puts a module in evaluation mode for a scope, and each of its parts back as it was.
class EvaluationMode {
public:
    explicit EvaluationMode(torch::nn::Module& module) {
        for (const auto& part : module.modules()) before_.emplace_back(part.get(), part->is_training());
        module.eval();
    }
    ~EvaluationMode() {
        // train(bool) reaches the children too: parents come first in modules(), so each part ends as it was.
        for (auto& [part, training] : before_) part->train(training);
    }
    EvaluationMode(const EvaluationMode&) = delete;
    EvaluationMode& operator=(const EvaluationMode&) = delete;

private:
    std::vector<std::pair<torch::nn::Module*, bool>> before_;
};

struct FeatureOptions {
    std::int64_t batch_size = 256;      ///< images at once
    int workers = 1;                    ///< threads that decode
    Network network = Network::online;  ///< whose encoder
};

/// Encoder output in evaluation mode for un-augmented images: no gradient, no change to the method.
///
///     eval::Features bank = eval::features(method, train_images, views.plain, {.network = Network::online});
inline Features features(const AnyMethod& method, const data::Dataset& images, const augment::View& plain,
                         const FeatureOptions& options = {}) {
    const at::NoGradGuard no_grad;
    torch::nn::Module& module = method.module();
    const EvaluationMode scope(module);
    const auto parameters = module.parameters();
    const at::Device device = parameters.empty() ? at::Device(at::kCPU) : parameters.front().device();
    const Autocast float32(device.type(), Precision::fp32);
    const data::Loader loader(
        images, {plain},
        {.batch_size = options.batch_size, .workers = options.workers, .shuffle = false, .drop_last = false});
    std::vector<Tensor> rows, labels;
    auto pass = loader.pass(0, loader.batches());
    while (auto batch = pass->next()) {
        const Tensor views = batch->views.front().to(device).contiguous(at::MemoryFormat::ChannelsLast);
        rows.push_back(method.features(views, options.network).to(at::kFloat));
        if (batch->label.defined()) labels.push_back(batch->label);
    }
    return {at::cat(rows), labels.empty() ? Tensor{} : at::cat(labels).to(device)};
}

/// The normalised images themselves, flattened: [N, C·H·W]. What a representation must beat.
inline Features pixels(const data::Dataset& images, const augment::View& plain, const FeatureOptions& options = {}) {
    const data::Loader loader(
        images, {plain},
        {.batch_size = options.batch_size, .workers = options.workers, .shuffle = false, .drop_last = false});
    std::vector<Tensor> rows, labels;
    auto pass = loader.pass(0, loader.batches());
    while (auto batch = pass->next()) {
        rows.push_back(batch->views.front().flatten(1));
        if (batch->label.defined()) labels.push_back(batch->label);
    }
    return {at::cat(rows), labels.empty() ? Tensor{} : at::cat(labels)};
}

}  // namespace doppel::eval
