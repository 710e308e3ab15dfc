// SPDX-License-Identifier: Apache-2.0
// Features of a data set.
#pragma once

#include <doppel/core/group.hpp>
#include <doppel/core/normalized.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/data/loader.hpp>
#include <doppel/eval/feature.hpp>
#include <doppel/recipe/any_method.hpp>

#include <ATen/ops/cat.h>
#include <nlohmann/json.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace doppel::eval {

/// One row per image, in data set order, without damaged images.
struct Features {
    Tensor rows;    ///< [N, F] float32; [N, P, F] for patches
    Tensor labels;  ///< [N] int64 on the rows' device; undefined without classes
    Tensor index;   ///< [N] int64 on the CPU: indices of the images in the data set
};

/// Puts a module in evaluation mode for a scope, and restores the mode of each submodule afterwards.
class EvaluationMode {
public:
    explicit EvaluationMode(torch::nn::Module& module) {
        for (const auto& part : module.modules()) before_.emplace_back(part.get(), part->is_training());
        module.eval();
    }
    ~EvaluationMode() {
        // train(bool) is recursive: modules() lists parents first, so each submodule ends in its previous mode.
        for (auto& [part, training] : before_) part->train(training);
    }
    EvaluationMode(const EvaluationMode&) = delete;
    EvaluationMode& operator=(const EvaluationMode&) = delete;

private:
    std::vector<std::pair<torch::nn::Module*, bool>> before_;
};

struct FeatureOptions {
    std::int64_t batch_size = 256;      ///< images per batch
    int workers = 1;                    ///< decoding threads
    Network network = Network::online;  ///< network of the encoder
    std::shared_ptr<data::DamagedImages> damage{};  ///< records damaged images and skips them; null: they throw
    Feature feature{};  ///< which output of the encoder
    Group group{};      ///< these processes share the images, batch by batch; all of them get all rows
};

namespace detail {

/// Calls use(views, labels, index) with each batch of un-augmented images, without the substitutes of damaged ones; the
/// views are normalized, on `device`, and may be modified.
template <class Use>
void each_batch(const data::Dataset& images, const augment::Pipeline& eval_view, const FeatureOptions& options,
                int prefetch, at::Device device, at::MemoryFormat format, Use&& use) {
    const data::Loader loader(images, {eval_view},
                              {.batch_size = options.batch_size,
                               .workers = options.workers,
                               .prefetch = prefetch,
                               .shuffle = false,
                               .drop_last = false,
                               .pinned = device.is_cuda(),
                               .damage = options.damage});
    const auto own_part = rows_of(loader.batches(), options.group.rank(), options.group.size());
    auto pass = loader.pass(own_part.first, own_part.first + own_part.count);
    for (std::int64_t done = own_part.first * options.batch_size; auto batch = pass->next();) {
        const std::int64_t size = batch->index.size(0);
        const Tensor own = batch->index.eq(at::arange(done, done + size, at::kLong)).nonzero().squeeze(1);
        done += size;
        const auto kept = [&](const Tensor& all) {
            return !all.defined() || own.size(0) == size ? all : all.index_select(0, own);
        };
        Tensor views = std::exchange(batch->views.front(), Tensor{});
        if (own.size(0) < size) views = kept(views);
        views = normalized(views.to(device, /*non_blocking=*/true), eval_view.normalize(), format);
        if (own.size(0) > 0) use(std::move(views), kept(batch->label), kept(batch->index));
    }
}

/// Calls use(features of a batch) for un-augmented images, with `module`, which holds the encoder, in evaluation mode.
template <class Use>
void each_feature_batch(torch::nn::Module& module, torch::nn::Module& encoder,
                        const std::function<Tensor(const Tensor&)>& forward, const data::Dataset& images,
                        const augment::Pipeline& eval_view, const FeatureOptions& options, Use&& use) {
    const at::NoGradGuard no_grad;
    const EvaluationMode scope(module);
    const auto parameters = module.parameters();
    const at::Device device = parameters.empty() ? at::Device(at::kCPU) : parameters.front().device();
    const Autocast float32(device.type(), Precision::fp32);
    const std::int64_t dims = options.feature.kind == Feature::Kind::patches ? 3 : 2;
    std::int64_t count = 0;
    each_batch(images, eval_view, options, /*prefetch=*/3, device, at::MemoryFormat::ChannelsLast,
               [&](const Tensor& views, const Tensor& label, const Tensor& number) {
                   const Tensor rows = feature_of(encoder, forward, views, options.feature).to(at::kFloat);
                   require(rows.dim() == dims, "features: the encoder must return ",
                           dims == 2 ? "[images, features]" : "[images, patches, features]", ", got ", rows.sizes());
                   count += rows.size(0);
                   use(Features{rows, label, number});
               });
    require(count > 0 || !options.group.alone(), "features: none of the ", images.size(), " images can be decoded");
}

/// The rows of all processes in their order. `problem`: why this process has none; then all throw it.
inline Features rows_of_all(const Group& group, Features own, const std::string& problem, at::Device device, std::int64_t images) {
    nlohmann::json mine{{"problem", problem}, {"shape", own.rows.defined() ? own.rows.sizes().vec() : std::vector<std::int64_t>{}},
                        {"labels", own.labels.defined()}};
    std::vector<nlohmann::json> all;
    for (const auto& text : group.collectives().texts(mine.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)))
        all.push_back(nlohmann::json::parse(text));
    std::vector<std::int64_t> shape;
    bool labels = false;
    for (std::size_t r = 0; r < all.size(); ++r) {
        const auto what = all[r]["problem"].get<std::string>();
        require(what.empty(), "process ", r, " of ", group.size(), ": ", what);
        if (all[r]["shape"].empty()) continue;
        shape = all[r]["shape"].get<std::vector<std::int64_t>>();
        labels = labels || all[r]["labels"].get<bool>();
    }
    require(!shape.empty(), "features: none of the ", images, " images can be decoded");
    const auto joined = [&](const Tensor& rows, std::vector<std::int64_t> sizes, at::ScalarType type) {
        std::vector<Tensor> parts;
        for (const auto& one : all) {
            sizes[0] = one["shape"].empty() ? 0 : one["shape"][0].get<std::int64_t>();
            parts.push_back(at::empty(sizes, at::TensorOptions(device).dtype(type)));
        }
        const auto own_part = static_cast<std::size_t>(group.rank());
        if (rows.defined()) parts[own_part].copy_(rows);
        group.collectives().gather(parts[own_part].clone(), parts);
        return at::cat(parts);
    };
    return {joined(own.rows, shape, at::kFloat), labels ? joined(own.labels, {0}, at::kLong) : Tensor{}, joined(own.index, {0}, at::kLong).cpu()};
}

inline Features features_of_part(torch::nn::Module& module, torch::nn::Module& encoder, const std::function<Tensor(const Tensor&)>& forward,
                                 const data::Dataset& images, const augment::Pipeline& eval_view, const FeatureOptions& options);

/// Returns the features of each_feature_batch together.
inline Features features_of(torch::nn::Module& module, torch::nn::Module& encoder, const std::function<Tensor(const Tensor&)>& forward,
                            const data::Dataset& images, const augment::Pipeline& eval_view, const FeatureOptions& options) {
    if (options.group.alone()) return features_of_part(module, encoder, forward, images, eval_view, options);
    const at::NoGradGuard no_grad;
    Features own;
    std::string problem;
    try {
        own = features_of_part(module, encoder, forward, images, eval_view, options);
    } catch (const std::exception& error) {
        problem = error.what();
        problem = problem.substr(0, problem.find('\n'));
    }
    const auto parameters = module.parameters();
    return rows_of_all(options.group, std::move(own), problem, parameters.empty() ? at::Device(at::kCPU) : parameters.front().device(), images.size());
}

/// Of this process's batches.
inline Features features_of_part(torch::nn::Module& module, torch::nn::Module& encoder,
                            const std::function<Tensor(const Tensor&)>& forward, const data::Dataset& images,
                            const augment::Pipeline& eval_view, const FeatureOptions& options) {
    // Filled in place: many small tensors among large buffers would fragment the heap.
    Features found;
    std::int64_t count = 0;
    each_feature_batch(module, encoder, forward, images, eval_view, options, [&](const Features& part) {
        if (count == 0) {
            auto shape = part.rows.sizes().vec();
            shape[0] = images.size();
            found.rows = at::empty(shape, part.rows.options());
            found.index = at::empty({images.size()}, at::kLong);
            if (part.labels.defined()) found.labels = at::empty({images.size()}, at::kLong);
        }
        const std::int64_t size = part.rows.size(0);
        found.rows.narrow(0, count, size).copy_(part.rows);
        found.index.narrow(0, count, size).copy_(part.index);
        if (part.labels.defined()) found.labels.narrow(0, count, size).copy_(part.labels);
        count += size;
    });
    if (count == 0) return {};
    return {found.rows.narrow(0, 0, count),
            found.labels.defined() ? found.labels.narrow(0, 0, count).to(found.rows.device()) : Tensor{},
            found.index.narrow(0, 0, count)};
}

/// A module (holder or shared pointer) whose forward(images [B, C, H, W]) returns features.
template <class Encoder>
concept FeatureModule = !std::same_as<Encoder, AnyMethod> && requires(Encoder e, const Tensor& x) {
    { e->forward(x) } -> std::convertible_to<Tensor>;
    { *e } -> std::convertible_to<torch::nn::Module&>;
};

}  // namespace detail

/// Returns features in evaluation mode for un-augmented images, by default the encoder's output, without gradient and
/// without changing the method. Throws Error if the encoder does not have FeatureOptions::feature.
///
///     eval::Features bank = eval::features(method, train_images, views.eval, {.network = Network::online});
inline Features features(const AnyMethod& method, const data::Dataset& images, const augment::Pipeline& eval_view,
                         const FeatureOptions& options = {}) {
    const auto forward = [&](const Tensor& x) { return method.features(x, options.network); };
    return detail::features_of(method.module(), *method.encoder(options.network), forward, images, eval_view, options);
}

/// Overload for any module (holder or shared pointer) whose forward(images [B, C, H, W]) returns features [B, F].
///
///     auto net = encoders::ResNet{.depth = 18}.build();
///     eval::Features rows = eval::features(net, photos, views::simclr_small().eval);
template <detail::FeatureModule Encoder>
Features features(Encoder encoder, const data::Dataset& images, const augment::Pipeline& eval_view,
                  const FeatureOptions& options = {}) {
    const auto forward = [&](const Tensor& x) { return encoder->forward(x); };
    return detail::features_of(*encoder, *encoder, forward, images, eval_view, options);
}

/// Calls use(eval::Features) for each batch, in order, where all rows together would not fit into memory: 50,000 images of
/// 196 patches and 384 features are 15 GB. `labels` and `index` are on the CPU; `rows` may be kept.
///
///     eval::each_feature_batch(net, photos, pipeline, {.feature = {.kind = eval::Feature::Kind::patches}},
///                              [&](const eval::Features& part) { file.write(part.rows); });
template <detail::FeatureModule Encoder, class Use>
void each_feature_batch(Encoder encoder, const data::Dataset& images, const augment::Pipeline& eval_view,
                        const FeatureOptions& options, Use&& use) {
    const auto forward = [&](const Tensor& x) { return encoder->forward(x); };
    detail::each_feature_batch(*encoder, *encoder, forward, images, eval_view, options, use);
}

}  // namespace doppel::eval
