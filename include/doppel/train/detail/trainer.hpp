// SPDX-License-Identifier: Apache-2.0
// The bodies of Trainer: part of doppel::compiled.
#pragma once

#include <doppel/core/device.hpp>
#include <doppel/core/compiled.hpp>
#include <doppel/eval/collapse.hpp>
#include <doppel/optim/clip.hpp>
#include <doppel/optim/freeze.hpp>
#include <doppel/train/error_text.hpp>
#include <doppel/train/primitives.hpp>
#include <doppel/train/trainer.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <new>

namespace doppel::train {

namespace detail {

inline TrainOptions checked(TrainOptions options, const AnyPreset& preset) {
    require(preset.epochs >= 1, "train: epochs must be at least 1, got ", preset.epochs);
    require(preset.batch_size >= 2, "train: batch size must be at least 2, got ", preset.batch_size);
    options::validate("train", options);
    return options;
}

inline Precision precision_on(at::Device device, const std::string& name) {
    if (name == "auto") return device.is_cuda() ? Precision::bf16 : Precision::fp32;
    require(name == "fp32" || name == "bf16", "--precision must be auto, fp32 or bf16, got '", name, "'");
    return precision_from(name);
}

/// Adds a JSON object's leaves as "option temperature"; lengths and sizes that stand elsewhere in the identity are left out.
inline void add_options(Identity& identity, const nlohmann::ordered_json& options, const std::string& prefix = "") {
    for (const auto& [name, value] : options.items()) {
        if (value.is_object())
            add_options(identity, value, prefix + name + ".");
        else if (name != "epochs" && name != "batch-size" && name != "batch_size")
            identity["option " + prefix + name] = value.is_string() ? value.get<std::string>() : value.dump();
    }
}

inline Identity identity_of(const AnyPreset& preset, const data::Dataset& images, const TrainOptions& options,
                            const schedules::AnySchedule& lr, Precision precision) {
    Identity identity = options.identity;
    identity["method"] = preset.name;
    if (preset.options.is_object()) add_options(identity, preset.options);
    for (std::size_t v = 0; v < preset.views.pipelines.size(); ++v)
        identity["view " + std::to_string(v + 1)] = preset.views.pipelines[v].describe();
    identity["global views"] = std::to_string(preset.views.globals);
    identity["epochs"] = std::to_string(preset.epochs);
    identity["batch size"] = std::to_string(preset.batch_size);
    identity["accumulate"] = std::to_string(options.accumulate);
    identity["precision"] = std::string(name_of(precision));
    identity["seed"] = std::to_string(options.seed);
    if (options.balanced) identity["balanced"] = "true";
    if (!images.shards().empty() && !options.balanced) identity["shuffle buffer"] = std::to_string(options.shuffle_buffer);
    identity["training images"] = std::to_string(images.size());
    if (auto list = images.fingerprint(); !list.empty()) identity["list of training images"] = std::move(list);
    identity["optimizer"] = preset.optimizer.describe();
    identity["learning rate"] = lr.describe();
    if (preset.weight_decay) identity["weight decay"] = preset.weight_decay->describe();
    if (const auto clip = preset.clip.describe(); clip != "none") identity["clipping"] = clip;
    for (const auto& freeze : preset.frozen) identity["frozen"] += freeze.describe() + "; ";
    return identity;
}

inline AnyMethod prepared(AnyMethod method, at::Device device, bool with_channels_last) {
    method.module().to(device);
    if (with_channels_last) channels_last(method.module());
    method.module().train();
    return method;
}

}  // namespace detail

DOPPEL_BODY Trainer::Trainer(AnyPreset preset, data::Dataset images, TrainOptions options)
    : preset_(std::move(preset)),
      images_(std::move(images)),
      options_(detail::checked(std::move(options), preset_)),
      device_(device_from(options_.device)),
      precision_(detail::precision_on(device_, options_.precision)),
      lr_(preset_.lr.at(images_per_step())),
      loader_(images_, preset_.views.pipelines,
              {.batch_size = preset_.batch_size,
               .seed = static_cast<std::uint64_t>(options_.seed),
               .workers = options_.workers,
               .shuffle_buffer = options_.shuffle_buffer,
               .balanced = options_.balanced,
               .pinned = device_.is_cuda(),
               .multiple = options_.accumulate,
               .globals = preset_.views.globals,
               .damage = options_.damaged}),
      horizon_{.samples = images_.size(),
               .steps = preset_.epochs * (loader_.batches() / options_.accumulate),
               .steps_per_epoch = loader_.batches() / options_.accumulate},
      method_(detail::prepared(preset_.recipe.build({.seed = static_cast<std::uint64_t>(options_.seed)}), device_, options_.channels_last)),
      warnings_(method_.begin(horizon_)),
      optimizer_(preset_.build_optimizer(method_.trainable(), lr_, horizon_)),
      generators_(device_),
      identity_(detail::identity_of(preset_, images_, options_, lr_, precision_)),
      loss_sum_(at::zeros({}, at::TensorOptions(device_).dtype(at::kFloat))) {
    std::vector<std::string> doubts{preset_.optimizer.check_learning_rate(schedules::peak(lr_, horizon_)), lr_.begin(horizon_)};
    for (const auto& freeze : preset_.frozen) doubts.push_back(freeze.begin(horizon_));
    for (auto& doubt : doubts)
        if (!doubt.empty()) warn(std::move(doubt));
    for (const auto& [name, value] : method_.counters())
        if (name == "step") step_ = value;
    require(step_, "train: the method does not count its steps");
    generators_.seed(static_cast<std::uint64_t>(options_.seed));
}

DOPPEL_BODY StepReport Trainer::step() {
    require(!finished(), "Trainer: the run is finished (",
            stopped_.empty() ? std::to_string(total_steps()) + " steps" : stopped_, "); ask finished() before step()");
    const auto started = std::chrono::steady_clock::now();
    if (std::exchange(logged_, false)) recorded_.clear();
    const auto draws = generators_.state();
    if (!method_.module().is_training()) method_.module().train();
    StepReport report;
    waiting_ = 0;
    try {
        if (!pass_) pass_ = loader_.pass(step_count() * options_.accumulate, total_steps() * options_.accumulate);
        attempt(report);
    } catch (...) {
        pass_.reset();
        if (!half_updated_) {  // as if step() had not been called
            method_.discard();
            optimizer_.zero_grad();
            generators_.restore(draws);
        }
        throw;
    }
    images_done_ += report.images;
    waited_ += waiting_;
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    if (step_count() % options_.log_every == 0 || step_count() == total_steps()) log(report);
    return report;
}

DOPPEL_BODY void Trainer::rehearse() {
    if (finished()) return;
    const auto draws = generators_.state();
    const auto pass = loader_.pass(step_count() * options_.accumulate, step_count() * options_.accumulate + 1);
    std::string problem;
    try {
        Batch batch = pass->next().value();  // an Error is about an image and says which
        try {
            const at::NoGradGuard no_grad;
            const Autocast scope(device_.type(), precision_);
            method_.forward(to_device(std::move(batch), device_, options_.channels_last));
        } catch (const Error&) { problem = error_text(); }
    } catch (const c10::Error&) { problem = error_text(); } catch (const std::bad_alloc&) { problem = "out of memory"; }
    method_.discard();
    generators_.restore(draws);
    if (problem.empty()) return;
    std::string sizes;
    for (const auto& view : preset_.views.pipelines) sizes += (sizes.empty() ? "" : ", ") + std::to_string(view.size());
    fail("with views of ", sizes, " px and ", preset_.batch_size, " images a pass (--batch-size): ", problem);
}

DOPPEL_BODY void Trainer::attempt(StepReport& report) {
    const std::int64_t step = step_count();
    const doppel::TrainingStep at{.step = step, .of = horizon_};
    report.step = step + 1;
    report.lr = lr_(at);
    if (preset_.weight_decay) report.weight_decay = (*preset_.weight_decay)(at);
    report.ends_epoch = report.step % steps_per_epoch() == 0;
    for (std::int64_t part = 0; part < options_.accumulate; ++part) {
        const auto asked = std::chrono::steady_clock::now();
        auto next = pass_->next();
        waiting_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - asked).count();
        require(next.has_value(), "train: the loader ended early");
        const Batch batch = to_device(std::move(*next), device_, options_.channels_last);
        Tensor loss;
        {
            const Autocast scope(device_.type(), precision_);
            loss = method_.forward(batch);
        }
        if (options_.accumulate > 1) loss = loss / static_cast<double>(options_.accumulate);
        loss.backward();
        report.loss = report.loss.defined() ? report.loss + loss.detach() : loss.detach();
        report.images += batch.index.size(0);
    }
    report.taken = all_finite(report.loss, optimizer_.groups());
    report.outputs = method_.last().back();  // commit() and skip() forget them
    if (!report.taken) {
        const double value = report.loss.item<double>();
        optimizer_.zero_grad();
        method_.skip();
        if (skipped_in_a_row_++ == 0 && method_.skipped() <= 10)
            warn("step " + std::to_string(report.step) + ": the " +
                 (std::isfinite(value) ? std::string("gradients are not finite") : "loss is " + std::to_string(value)) +
                 "; the step is skipped");
        return;
    }
    if (report.step % options_.log_every == 0 || report.step == total_steps()) add_metrics(report);
    optim::drop_frozen(preset_.frozen, optimizer_.groups(), step, steps_per_epoch());
    preset_.clip(optimizer_.groups());
    half_updated_ = true;
    optimizer_.step(report.lr, report.weight_decay);
    optimizer_.zero_grad();
    method_.commit();
    half_updated_ = false;
    loss_sum_ += report.loss;
    ++summed_;
    skipped_in_a_row_ = 0;
}

/// What is known only between forward() and commit().
DOPPEL_BODY void Trainer::add_metrics(StepReport& report) const {
    for (const Tensor& features : report.outputs.features)
        if (features.defined()) {
            report.metrics["feature_std"] = eval::feature_std(features).item<double>();
            break;
        }
    for (const auto& [name, value] : method_.metrics()) report.metrics[name] = value.item<double>();
}

DOPPEL_BODY void Trainer::log(StepReport& report) {
    logged_ = true;
    report.metrics["loss"] = summed_ > 0 ? loss_sum_.item<double>() / static_cast<double>(summed_)
                                         : std::numeric_limits<double>::quiet_NaN();
    loss_sum_.zero_();
    summed_ = 0;
    report.metrics["lr"] = report.lr;
    report.metrics["images_per_second"] =
        static_cast<double>(images_done_ - images_logged_) / std::max(seconds_ - seconds_logged_, 1e-9);
    report.metrics["data_wait"] = (waited_ - waited_logged_) / std::max(seconds_ - seconds_logged_, 1e-9);
    images_logged_ = images_done_;
    seconds_logged_ = seconds_;
    waited_logged_ = waited_;
    report.metrics["train_seconds"] = seconds();
    if (skipped() > 0) report.metrics["skipped_steps"] = static_cast<double>(skipped());
}

DOPPEL_BODY void Trainer::restore(const std::filesystem::path& path) {
    const auto longer = [&](const std::string& name, const std::string& there, const std::string& here) {
        return name == "epochs" && there.size() < 10 && std::atoll(there.c_str()) < std::atoll(here.c_str()) &&
               std::atoll(there.c_str()) > 0;
    };
    const auto there = train::restore(path, method_, optimizer_, identity_, longer);
    pass_.reset();
    require(step_count() <= total_steps(), "train: the checkpoint is at step ", step_count(), ", the run has ", total_steps());
    if (const auto& before = there.at("epochs"); before != identity_.at("epochs")) {
        Horizon shorter = horizon_;
        shorter.steps = std::atoll(before.c_str()) * steps_per_epoch();
        std::ostringstream text;
        text << "epochs raised from " << before << " to " << preset_.epochs << ": schedules now span " << total_steps()
             << " steps instead of " << shorter.steps << "; the learning rate at step " << step_count() << " is "
             << lr_({.step = step_count(), .of = horizon_}) << ", it was "
             << lr_({.step = step_count(), .of = shorter});
        warn(text.str());
    }
    resumed_at_ = step_count();
    checkpoint_ = path;
    checkpoint_step_ = step_count();
    skipped_in_a_row_ = 0;
    half_updated_ = false;
    loss_sum_.zero_();
    summed_ = 0;
}

}  // namespace doppel::train
