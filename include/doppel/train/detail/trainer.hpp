// SPDX-License-Identifier: Apache-2.0
// The bodies of Trainer: part of doppel::compiled.
#pragma once

#include <doppel/core/device.hpp>
#include <doppel/core/compiled.hpp>
#include <doppel/eval/collapse.hpp>
#include <doppel/optim/clip.hpp>
#include <doppel/optim/freeze.hpp>
#include <doppel/optim/gradient_norm.hpp>
#include <doppel/optim/loss_scaling.hpp>
#include <doppel/train/detail/identity_of.hpp>
#include <doppel/train/detail/loading.hpp>
#include <doppel/train/detail/compute_stream.hpp>
#include <doppel/train/detail/processes.hpp>
#include <doppel/train/primitives.hpp>
#include <doppel/train/trainer.hpp>

#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace doppel::train {

namespace detail {

inline TrainOptions checked(TrainOptions options, const AnyPreset& preset) {
    require(preset.epochs >= 1, "train: epochs must be at least 1, got ", preset.epochs);
    require(preset.batch_size >= 2, "train: batch size must be at least 2, got ", preset.batch_size);
    require(options.accumulate >= 1, "train: accumulate must be at least 1, got ", options.accumulate,
            "; train::fit_to_memory() finds a number, as --accumulate 0 does in a run");
    options::validate("train", options);
    require(preset.batch_size >= options.group.size(), "train: a batch of ", preset.batch_size, " images cannot be shared by ",
            options.group.size(), " processes; use a larger --batch-size or fewer processes");
    return options;
}

inline Precision precision_on(at::Device device, const std::string& name) {
    const bool gpu_has_bf16 = device.is_cuda() && at::detail::getCUDAHooks().supportsBFloat16ConvolutionWithCuDNNv8();
    if (name == "auto") return gpu_has_bf16 ? Precision::bf16 : Precision::fp32;
    require(name == "fp32" || name == "bf16" || name == "fp16", "--precision must be auto, fp32, bf16 or fp16, got '", name, "'");
    require(name != "bf16" || !device.is_cuda() || gpu_has_bf16,
            "--precision bf16: this GPU has no bfloat16 (they have since Ampere); use --precision fp16 or fp32");
    return precision_from(name);
}

/// What deserves a word about a precision on a device; empty: nothing.
inline std::string precision_warning(at::Device device, Precision precision) {
    if (!device.is_cpu() || precision == Precision::fp32) return {};
#if defined(__x86_64__)
    if (precision == Precision::bf16 && __builtin_cpu_supports("avx512bf16")) return {};
#else
    if (precision == Precision::bf16) return {};  // not known
#endif
    return "this CPU computes " + std::string(name_of(precision)) + " by emulation, many times slower than fp32: --precision fp32";
}

inline optim::AnyOptimizer optimizer_for(optim::AnyOptimizer optimizer, at::Device device, Precision precision, Tensor& scale) {
    if (precision != Precision::fp16) return optimizer;
    optim::LossScaling scaled(std::move(optimizer), device);
    scale = scaled.scale;
    return scaled;
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
      augmenter_(detail::augmenter_of(preset_, images_, options_, device_)),
      loader_(images_, preset_.views.pipelines, detail::loader_options(preset_, options_, device_, augmenter_.get())),
      horizon_{.samples = images_.size(),
               .steps = preset_.epochs * (loader_.batches() / options_.accumulate),
               .steps_per_epoch = loader_.batches() / options_.accumulate},
      method_(detail::prepared(preset_.recipe.build({.seed = static_cast<std::uint64_t>(options_.seed)}), device_, options_.channels_last)),
      warnings_(method_.begin(horizon_)),
      optimizer_(detail::optimizer_for(preset_.build_optimizer(method_.trainable(), lr_, horizon_), device_, precision_, scale_)),
      generators_(device_),
      identity_(detail::identity_of(preset_, images_, options_, lr_, precision_)),
      feed_(device_),
      captured_(options_.accumulate > 1),
      loss_sum_(at::zeros({}, at::TensorOptions(device_).dtype(at::kFloat))) {
    std::vector<std::string> doubts{preset_.optimizer.check_learning_rate(schedules::peak(lr_, horizon_)), lr_.begin(horizon_)};
    for (const auto& freeze : preset_.frozen) doubts.push_back(freeze.begin(horizon_));
    doubts.push_back(detail::precision_warning(device_, precision_));
    if (device_.is_cuda()) settings_.emplace(options_.tune, options_.tf32, options_.deterministic);
    for (auto& doubt : doubts)
        if (!doubt.empty()) warn(std::move(doubt));
    if (augmenter_ && device_.is_cpu()) warn("--augment device: the training device is the CPU, where --augment cpu is faster");
    for (const auto& [name, value] : method_.counters())
        if (name == "step") step_ = value;
    require(step_, "train: the method does not count its steps");
    generators_.seed(static_cast<std::uint64_t>(options_.seed));
    if (options_.group.alone()) return;
    detail::require_same_run(options_.group, identity_, method_.module());
    detail::send_state(options_.group, method_.module());
    method_.join(options_.group, options_.sync_batch_norm);
    average_ = options_.group.collectives().gradient_average(method_.trainable(), {.bf16 = options_.compress_gradients});
}

DOPPEL_BODY std::string Trainer::augmented() const { return augmenter_ ? augmenter_->text() : "cpu"; }

DOPPEL_BODY Batch Trainer::with_views(Batch batch) const { return augmenter_ ? (*augmenter_)(std::move(batch)) : std::move(batch); }

DOPPEL_BODY StepReport Trainer::step() {
    require(!finished(), "Trainer: the run is finished (",
            stopped_.empty() ? std::to_string(total_steps()) + " steps" : stopped_, "); ask finished() before step()");
    const auto started = std::chrono::steady_clock::now();
    if (std::exchange(logged_, false)) recorded_.clear();
    const auto draws = generators_.state();
    if (!options_.group.alone())  // other draws in each process, and the same ones after a resume
        generators_.seed(detail::seed_of_step(options_, step_count()));
    if (!method_.module().is_training()) method_.module().train();
    StepReport report;
    waiting_ = 0;
    {
        const detail::ComputeStream stream(device_);
        try {
            attempt(report);
        } catch (...) {
            pass_.reset();
            ahead_.reset();
            no_batch_ = nullptr;
            if (!half_updated_) {  // as if step() had not been called
                method_.discard();
                optimizer_.zero_grad();
                generators_.restore(draws);
            }
            if (!options_.group.alone()) detail::explain(options_.group);
            throw;
        }
    }
    if (device_.is_cuda()) {  // callbacks read them on the stream of the caller
        const c10::Stream here = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
        for (const Tensor& given : {report.outputs.index, report.outputs.label})
            if (given.defined() && given.is_cuda()) given.record_stream(here);
    }
    if (average_ && report.ends_epoch) detail::require_equal_weights(options_.group, method_.module());
    images_done_ += report.images;
    waited_ += waiting_;
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    if (step_count() % options_.log_every == 0 || step_count() == total_steps()) log(report);
    return report;
}

/// Takes the next batch from the loader and sends it to the device.
DOPPEL_BODY void Trainer::load() {
    if (!pass_) {
        loaded_ = step_count() * options_.accumulate;
        pass_ = loader_.pass(loaded_, total_steps() * options_.accumulate);
    }
    const auto asked = std::chrono::steady_clock::now();
    auto next = pass_->next();
    waiting_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - asked).count();
    require(next.has_value(), "train: the loader ended early");
    const std::int64_t number = loaded_++;
    method_.draw(*next, number / options_.accumulate, static_cast<std::size_t>(number % options_.accumulate), device_.is_cuda());
    ahead_ = feed_.send(std::move(*next));
}

DOPPEL_BODY void Trainer::attempt(StepReport& report) {
    const std::int64_t step = step_count();
    const doppel::TrainingStep at{.step = step, .of = horizon_};
    report.step = step + 1;
    report.lr = lr_(at);
    if (preset_.weight_decay) report.weight_decay = (*preset_.weight_decay)(at);
    report.ends_epoch = report.step % steps_per_epoch() == 0;
    const bool late = device_.is_cuda() && optimizer_.takes_verdict();
    for (std::int64_t part = 0; part < options_.accumulate; ++part) {
        if (auto problem = std::exchange(no_batch_, nullptr)) std::rethrow_exception(problem);
        if (!ahead_) load();
        Batch batch = with_views(feed_.receive(std::move(*std::exchange(ahead_, std::nullopt))));
        if (part == 0) method_.open();
        report.images += batch.all > 0 ? batch.all : batch.index.size(0);
        const Tensor loss = forward_and_backward(std::move(batch), part + 1 == options_.accumulate);
        report.loss = report.loss.defined() ? report.loss + loss : loss;
        const bool more = part + 1 < options_.accumulate || report.step < total_steps();
        if (device_.is_cuda() && more) try {  // on its way while this pass is computed
                load();
            } catch (...) { no_batch_ = std::current_exception(); }
    }
    finish_step(report, late);
}

/// Returns the loss of a batch without its graph; the gradients are added to the parameters'.
DOPPEL_BODY Tensor Trainer::forward_and_backward(Batch batch, bool last) {
    const auto pass = [&](const Batch& sent) {
        const Batch views = with_normalized_views(sent, options_.channels_last);
        Tensor loss;
        {
            const Autocast scope(device_.type(), precision_);
            loss = method_.forward(views);
        }
        if (options_.accumulate > 1) loss = loss / static_cast<double>(options_.accumulate);
        const Tensor root = scale_.defined() ? (loss * scale_).sum() : loss;
        if (average_) average_->before_backward(root, last);
        root.backward();
        if (average_) average_->after_backward(last);
        return loss.detach();
    };
    replayed_metrics_ = nullptr;
    if (!device_.is_cuda() || !options_.capture || average_) return pass(batch);  // a graph cannot hold what processes say
    const bool could = captured_.problem().empty();
    const auto result = captured_(std::move(batch), method_, optimizer_.groups(), {.step = step_count(), .of = horizon_}, pass);
    replayed_metrics_ = result.metrics;
    if (could && !captured_.problem().empty()) warn("steps are not captured as graphs: " + captured_.problem());
    return result.loss;
}

/// What follows the backward pass: verdict, optimizer, commit.
DOPPEL_BODY void Trainer::finish_step(StepReport& report, bool late) {
    const std::int64_t step = step_count();
    const bool logs = report.step % options_.log_every == 0 || report.step == total_steps();
    if (average_) tell_others(report);
    const Tensor bad = scale_.defined() ? not_finite(report.loss, {}).maximum(optim::unscale(scale_, optimizer_.groups()))
                                        : not_finite(report.loss, optimizer_.groups());
    if (late) settle();  // of the step before: known by now, or soon
    stop_together();
    report.outputs = method_.last().back();  // commit() and skip() forget them
    if (!late && bad.item<float>() != 0) {
        report.taken = last_taken_ = false;
        if (scale_.defined()) optimizer_.step(report.lr, report.weight_decay, bad);  // lowers the scale, and nothing else
        optimizer_.zero_grad();
        method_.skip();
        warn_of_skipped(report.step, report.loss.item<double>());
        others_stop_ = others_stop_ || (stops_.defined() && stops_.item<float>() > 0);
        stop_together();
        return;
    }
    if (logs) add_metrics(report);
    if (!std::exchange(looked_for_gradients_, true)) find_without_gradient();
    optim::drop_frozen(preset_.frozen, optimizer_.groups(), step, steps_per_epoch());
    if (logs) report.metrics["grad_norm"] = optim::gradient_norm(optimizer_.groups()).item<double>();
    preset_.clip(optimizer_.groups());
    half_updated_ = true;
    if (late || scale_.defined())
        optimizer_.step(report.lr, report.weight_decay, bad);
    else
        optimizer_.step(report.lr, report.weight_decay);
    optimizer_.zero_grad();
    method_.commit(late ? bad : Tensor{});
    half_updated_ = false;
    ++summed_;
    if (!late) {
        loss_sum_ += report.loss;
        skipped_in_a_row_ = overflows_ = 0;
        last_taken_ = true;
        others_stop_ = others_stop_ || (stops_.defined() && stops_.item<float>() > 0);
        stop_together();
        return;
    }
    loss_sum_ += at::where(bad.ne(0), at::zeros_like(report.loss), report.loss);
    late_.emplace(report.loss, bad, stops_);
    late_step_ = report.step;
    if (logs || report.ends_epoch) {
        report.taken = settle();
        stop_together();
    }
}

/// The loss becomes that of the whole batch, and a wish to stop that of any process; the host does not wait.
DOPPEL_BODY void Trainer::tell_others(StepReport& report) {
    const at::NoGradGuard no_grad;
    const Tensor wish = at::full({}, wants_to_stop_.empty() ? 0 : 1, report.loss.options().dtype(at::kFloat));
    Tensor told = at::stack({report.loss.to(at::kFloat) / options_.group.size(), wish});
    options_.group.collectives().sum(told);
    report.loss = told[0];
    stops_ = told[1];
}

/// Where all processes know of it: ends the run.
DOPPEL_BODY void Trainer::stop_together() {
    if (others_stop_ && stopped_.empty()) stopped_ = wants_to_stop_.empty() ? "another process stopped" : wants_to_stop_;
}

DOPPEL_BODY bool Trainer::settle() {
    auto verdict = std::exchange(late_, std::nullopt);
    if (!verdict) return last_taken_;
    const bool bad = verdict->bad();
    others_stop_ = others_stop_ || verdict->stops();
    method_.learn(bad);
    last_taken_ = !bad;
    if (bad) {
        --summed_;
        warn_of_skipped(late_step_, verdict->loss());
    } else {
        skipped_in_a_row_ = overflows_ = 0;
    }
    return last_taken_;
}

DOPPEL_BODY void Trainer::warn_of_skipped(std::int64_t step, double loss) {
    if (scale_.defined() && std::isfinite(loss) && ++overflows_ <= 20) return;  // the scale of the loss finds its place
    if (skipped_in_a_row_++ > 0 || method_.skipped() > 10) return;
    warn("step " + std::to_string(step) + ": the " +
         (std::isfinite(loss) ? std::string("gradients are not finite") : "loss is " + std::to_string(loss)) +
         "; the step is skipped");
}

/// In the first step of this process: which parameters the loss does not reach.
DOPPEL_BODY void Trainer::find_without_gradient() {
    without_gradient_ = optim::without_gradient(optimizer_.groups());
    if (without_gradient_.empty()) return;
    std::string names;
    for (std::size_t i = 0; i < without_gradient_.size() && i < 5; ++i) names += (i > 0 ? ", " : "") + without_gradient_[i];
    const auto count = without_gradient_.size();
    warn(std::to_string(count) + (count == 1 ? " parameter gets no gradient and stays as it is: " : " parameters get no gradient and stay as they are: ") +
         names + (count > 5 ? ", …" : "") + "; the loss does not depend on " + (count == 1 ? "it" : "them"));
}

/// What is known only between forward() and commit().
DOPPEL_BODY void Trainer::add_metrics(StepReport& report) const {
    for (const Tensor& features : report.outputs.features)
        if (features.defined()) {
            report.metrics["feature_std"] = eval::feature_std(features).item<double>();
            break;
        }
    for (const auto& [name, value] : replayed_metrics_ ? *replayed_metrics_ : method_.metrics()) report.metrics[name] = value.item<double>();
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
    settle();
    Carried carried;
    const auto there = train::restore(path, method_, optimizer_, identity_, longer, &carried);
    for (auto& [name, value] : carried) {
        Tensor& own = carried_[name];  // in place, where a callback has it already
        if (own.defined() && own.sizes() == value.sizes() && own.dtype() == value.dtype()) own.copy_(value);
        else own = value.to(device_);
    }
    pass_.reset();
    ahead_.reset();
    no_batch_ = nullptr;
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
