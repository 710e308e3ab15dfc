// SPDX-License-Identifier: Apache-2.0
// A training run in memory, taken step by step.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/precision.hpp>
#include <doppel/data/loader.hpp>
#include <doppel/io/safetensors.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/recipe/any_method.hpp>
#include <doppel/train/captured_passes.hpp>
#include <doppel/train/checkpoint.hpp>
#include <doppel/train/feed.hpp>
#include <doppel/train/generators.hpp>
#include <doppel/train/gpu_settings.hpp>
#include <doppel/train/options.hpp>
#include <doppel/train/result.hpp>
#include <doppel/train/verdict.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace doppel::batched {
class Augmenter;
}

namespace doppel::train {

namespace detail {

template <class Images>
data::Dataset dataset_from(Images&& images) {
    static_assert(std::convertible_to<Images, data::Dataset>,
                  "the training images must be a data set (data::ImageSource): size(), image(i), label(i) and classes(), all const");
    if constexpr (std::convertible_to<Images, data::Dataset>) return std::forward<Images>(images);
    else return {};
}

}  // namespace detail

/// A run in memory: method, optimizer, loader and where they stand. Writes no files and prints nothing; train() adds
/// what does. One step is
///
///     lr → views → forward under autocast → loss in float32 → backward → freeze, clip → optimizer → commit
///
/// On several processes (TrainOptions::group) each takes its part of every batch, and weights, queues and targets come out as those
/// of one process with the whole batch. Every process takes the same steps; callbacks of each run there.
/// A step whose loss or gradients are not finite is skipped and leaves no trace in weights, optimizer, statistics and
/// queues. On a GPU that is decided there, and the host learns of it while the next step is computed (settle()); batches are sent
/// ahead, and forward and backward passes are captured as graphs (CapturedPasses), so that the host waits for the GPU only
/// where figures are logged, epochs end or checkpoints are written. Order of images, their
/// views and a restored run are the same bit for bit on the CPU, whatever the number of workers. If a step throws, the run is
/// as it was before that step.
/// Throws Error for options out of range, a preset without learning rate, a checkpoint of another run, files that fail.
///
///     train::Trainer trainer(preset, photos, {.seed = 1});
///     while (!trainer.finished()) {
///         train::StepReport report = trainer.step();
///         if (report.ends_epoch && good_enough()) trainer.stop("good enough");
///     }
class Trainer {
public:
    Trainer(AnyPreset preset, data::Dataset images, TrainOptions options = {});
    template <class R, class Images>
    Trainer(const Preset<R>& preset, Images&& images, TrainOptions options = {})
        : Trainer(erase(preset), detail::dataset_from(std::forward<Images>(images)), std::move(options)) {}
    Trainer(const Trainer&) = delete;
    Trainer& operator=(const Trainer&) = delete;

    /// Takes or skips one optimizer step. Throws Error when the run is finished.
    StepReport step();

    /// Takes the next batch once through the method without training on it, so that what does not fit together is told
    /// before anything long is computed. Leaves the run as it was. Throws Error with the views and the batch size; OutOfMemory
    /// where the batch is too large for a GPU, with a size that fits.
    void rehearse();

    /// All steps are done, or stop() was called.
    bool finished() const { return !stopped_.empty() || step_count() >= total_steps(); }
    /// Ends the run after the current step; the first reason counts. On several processes one of them is enough, and all take one
    /// step more, with which they tell each other.
    void stop(std::string reason) {
        std::string& wanted = options_.group.alone() ? stopped_ : wants_to_stop_;
        if (wanted.empty()) wanted = reason.empty() ? "stopped" : std::move(reason);
    }
    /// The reason given to stop(), else "".
    const std::string& stopped() const { return stopped_; }

    std::int64_t step_count() const { return *step_; }          ///< optimizer steps done in the whole run
    std::int64_t total_steps() const { return horizon_.steps; }
    std::int64_t steps_per_epoch() const { return horizon_.steps_per_epoch; }
    std::int64_t epoch() const { return step_count() / steps_per_epoch(); }  ///< passes done over the training images
    /// Of all processes together.
    std::int64_t images_per_step() const { return preset_.batch_size * options_.accumulate; }
    std::int64_t skipped() const { return method_.skipped(); }  ///< steps skipped in the whole run, as far as known
    /// Waits for what the device decided on the last step; returns whether it was taken. The CPU always knows.
    bool settle();
    std::int64_t skipped_in_a_row() const { return skipped_in_a_row_; }
    /// Names of the figures that the loss gives with each logged step; known after rehearse().
    const std::vector<std::string>& loss_figures() const { return loss_figures_; }
    /// Parameters of the optimizer that got no gradient in this process's first step: the loss does not reach them.
    const std::vector<std::string>& without_gradient() const { return without_gradient_; }

    const AnyMethod& method() const { return method_; }
    optim::AnyOptimizer& optimizer() { return optimizer_; }
    const AnyPreset& preset() const { return preset_; }
    const data::Dataset& images() const { return images_; }
    const TrainOptions& options() const { return options_; }
    /// The processes that train together.
    const Group& group() const { return options_.group; }
    at::Device device() const { return device_; }
    Precision precision() const { return precision_; }
    /// What makes the views, for people: "cpu", or how the images come to the device.
    std::string augmented() const;
    const schedules::AnySchedule& lr() const { return lr_; }  ///< for the images per step really used
    const Horizon& horizon() const { return horizon_; }

    /// The run's state. Throws Error after an optimizer step that failed half-way.
    io::TensorFile snapshot() {
        settle();
        require(!half_updated_, "Trainer: the optimizer step failed half-way; its weights are no checkpoint");
        auto file = train::snapshot(method_, optimizer_, identity_, carried_);
        file.metadata.insert(options_.about.begin(), options_.about.end());
        return file;
    }
    /// Continues from a checkpoint of the same run. Only `epochs` may differ: it may be raised, and warnings() says what
    /// that does to the learning rate. Throws Error with all that differs; the run is then unchanged.
    void restore(const std::filesystem::path& path);
    const Identity& identity() const { return identity_; }
    /// Whether snapshot() is worth keeping: the last step was taken, or skipped steps lie behind a taken one.
    /// As far as known: see settle().
    bool healthy() const { return !half_updated_ && skipped_in_a_row_ == 0; }

    /// Tensors that callbacks change in place and that belong to the run's state, by name ("online_probe.weight"): every
    /// snapshot() holds them, and restore() puts them back, before begin() of the callbacks. A callback takes those that are
    /// there, and adds its own where there are none.
    Carried& carried() { return carried_; }

    /// The last checkpoint written or restored; empty when there is none.
    const std::filesystem::path& checkpoint() const { return checkpoint_; }
    /// The step that was restored; nothing in a new run.
    std::optional<std::int64_t> resumed_at() const { return resumed_at_; }
    /// Tells the trainer that its snapshot was saved.
    void saved(std::filesystem::path path) { checkpoint_ = std::move(path); checkpoint_step_ = step_count(); }
    /// The step of that checkpoint; 0 when there is none.
    std::int64_t checkpoint_step() const { return checkpoint_step_.value_or(0); }
    /// Whether that checkpoint holds the current step.
    bool is_saved() const { return checkpoint_step_ == step_count(); }

    /// What deserves attention, oldest first: doubtful options, skipped steps, what callbacks add.
    const std::vector<std::string>& warnings() const { return warnings_; }
    void warn(std::string text) { warnings_.push_back(std::move(text)); }
    /// Returns those that came since the last call, for a display.
    std::vector<std::string> take_warnings() {
        const auto from = warnings_.begin() + static_cast<std::ptrdiff_t>(std::exchange(warnings_taken_, warnings_.size()));
        return {from, warnings_.end()};
    }

    /// Adds a figure to the next line of the logs.
    void record(const std::string& name, double value) { recorded_[name] = value; }
    /// Figures recorded since the last step that was logged.
    const Metrics& recorded() const { return recorded_; }
    /// Gives evaluation figures to the evaluation() hooks of all callbacks.
    void publish(Metrics metrics) { published_.push_back(std::move(metrics)); }
    std::vector<Metrics> take_published() { return std::exchange(published_, {}); }

    double seconds() const { return earlier_seconds_ + seconds_; }  ///< spent in step(), with earlier processes'
    double images_per_second() const {
        return seconds() > 0 ? static_cast<double>(earlier_images_ + images_done_) / seconds() : 0;
    }
    /// Share of seconds() that this process waited for images, 0 … 1.
    double data_wait() const { return seconds_ > 0 ? waited_ / seconds_ : 0; }
    std::int64_t images_done() const { return images_done_; }  ///< in this process
    /// Seconds that earlier processes spent on the run's first `steps` steps.
    void add_earlier(double seconds, std::int64_t steps) {
        earlier_seconds_ = seconds;
        earlier_images_ = steps * images_per_step();
    }

private:
    void attempt(StepReport& report);
    void load();
    Batch with_views(Batch batch) const;
    Tensor forward_and_backward(Batch batch, bool last);
    void tell_others(StepReport& report);
    void stop_together();
    void finish_step(StepReport& report, bool late);
    void warn_of_skipped(std::int64_t step, double loss);
    void find_without_gradient();
    void add_metrics(StepReport& report) const;
    void log(StepReport& report);

    AnyPreset preset_;
    data::Dataset images_;
    TrainOptions options_;
    at::Device device_;
    Precision precision_;
    schedules::AnySchedule lr_;
    std::shared_ptr<batched::Augmenter> augmenter_;  // makes the views on the device; null: the loader makes them
    data::Loader loader_;
    Horizon horizon_;
    AnyMethod method_;
    std::vector<std::string> warnings_;
    std::size_t warnings_taken_ = 0;
    std::optional<GpuSettings> settings_{};
    Tensor scale_{};  // of the loss, with fp16
    std::int64_t overflows_ = 0;  // of scaled gradients, in a row
    optim::AnyOptimizer optimizer_;
    Generators generators_;
    Identity identity_;
    std::int64_t* step_ = nullptr;                // the method's own counter
    std::unique_ptr<data::Loader::Pass> pass_{};  // from the current step on; made when needed
    std::int64_t loaded_ = 0;                     // batches of the run taken from the loader, or skipped by a resume
    Feed feed_;
    std::optional<Feed::Sent> ahead_{};           // the next batch
    std::exception_ptr no_batch_{};               // why there is none
    CapturedPasses captured_;
    const contracts::Metrics* replayed_metrics_ = nullptr;  // of a captured pass
    std::optional<LateVerdict> late_{};           // on the last step
    std::int64_t late_step_ = 0;
    bool last_taken_ = true;
    bool looked_for_gradients_ = false;
    std::vector<std::string> without_gradient_{}, loss_figures_{};

    std::unique_ptr<GradientAverage> average_{};  // over the processes; null: alone
    Tensor stops_{};  // [], on several processes: > 0 if one of them wants to stop
    bool others_stop_ = false;
    std::string stopped_, wants_to_stop_;
    std::filesystem::path checkpoint_;
    std::optional<std::int64_t> resumed_at_, checkpoint_step_;
    std::int64_t skipped_in_a_row_ = 0;
    bool half_updated_ = false;
    Metrics recorded_;
    bool logged_ = false;  // the last step's figures were given out
    std::vector<Metrics> published_;
    Carried carried_;

    Tensor loss_sum_;
    std::int64_t summed_ = 0, images_done_ = 0, images_logged_ = 0, earlier_images_ = 0;
    double seconds_ = 0, seconds_logged_ = 0, earlier_seconds_ = 0;
    double waited_ = 0, waited_logged_ = 0, waiting_ = 0;  // seconds in which the loader had no batch ready
};

}  // namespace doppel::train

#ifndef DOPPEL_COMPILED
#include <doppel/train/detail/rehearsal.hpp>
#include <doppel/train/detail/trainer.hpp>
#endif
