// SPDX-License-Identifier: Apache-2.0
// The training loop.
#pragma once

#include <doppel/core/precision.hpp>
#include <doppel/data/loader.hpp>
#include <doppel/eval/collapse.hpp>
#include <doppel/io/json_lines.hpp>
#include <doppel/io/tensorboard.hpp>
#include <doppel/recipe/any_method.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/optim/clip.hpp>
#include <doppel/optim/freeze.hpp>
#include <doppel/optim/sgd.hpp>
#include <doppel/optim/any_spec.hpp>
#include <doppel/train/checkpoint.hpp>
#include <doppel/train/interrupt.hpp>
#include <doppel/train/progress.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace doppel::train {

/// How a run goes, beside what the preset fixes.
struct TrainOptions {
    std::int64_t epochs = 100;      ///< passes over the training images, ≥ 1
    std::int64_t batch_size = 256;  ///< images a forward pass, ≥ 2
    std::int64_t accumulate = 1;    ///< forward passes an optimizer step, ≥ 1; negatives stay those of one pass
    std::uint64_t seed = 0;         ///< seed of order, views and torch's generators (dropout, drop-path)
    int workers = 1;                ///< loader threads
    at::Device device = at::kCPU;
    Precision precision = Precision::fp32;
    std::filesystem::path out{};  ///< run folder; empty: nothing is written
    std::string resume{};  ///< "": start anew; "auto": newest checkpoint in `out`, if any; else a checkpoint's path
    std::int64_t checkpoint_every =
        0;                        ///< epochs between checkpoints; 0: every tenth of the run. There is one at the end
    int keep = 2;                 ///< checkpoints kept
    std::int64_t log_every = 10;  ///< optimizer steps between lines of metrics.jsonl
    ProgressMode progress = ProgressMode::automatic;
    bool channels_last = true;                      ///< memory format of images and convolutions
    std::int64_t give_up_after = 5;  ///< steps in a row without a finite loss and gradients that end the run, ≥ 1
    std::shared_ptr<data::DamagedImages> damage{};         ///< where damaged images are noted; none: they end the run
    std::map<std::string, std::string> identity{};  ///< what must agree on resuming, beside epochs, batch size, seed …
};

/// Called while training; may be left out.
struct Hooks {
    /// After an epoch (counted from 1): figures to be written into metrics.jsonl beside step and epoch.
    std::function<nlohmann::ordered_json(std::int64_t epoch)> after_epoch{};
};

/// What came of a run.
struct TrainResult {
    std::int64_t steps = 0;              ///< optimizer steps done, earlier ones of a resumed run included
    double loss = 0;                     ///< mean of the last logged steps
    double seconds = 0;                  ///< of training in this process
    double images_per_second = 0;        ///< in this process
    std::int64_t skipped = 0;            ///< steps skipped because loss or gradients were not finite, of the whole run
    bool collapsed = false;              ///< the embeddings looked collapsed at some time in this process
    int signal = 0;                      ///< SIGINT or SIGTERM when one ended it; then there is a checkpoint
    std::filesystem::path checkpoint{};  ///< the last one written, or the one that the run went on from
};

/// Parts that training needs of a preset, without its recipe's type.
struct Plan {
    views::Views views{};
    optim::AnyOptimizerSpec optimizer = optim::Sgd{};
    schedules::AnySchedule lr{};
    std::optional<schedules::AnySchedule> weight_decay{};
    optim::Clip clip{};
    std::vector<optim::Freeze> frozen{};
};
template <class R>
Plan plan_of(const Preset<R>& preset) {
    return {preset.views, preset.optimizer, preset.lr, preset.weight_decay, preset.clip, preset.frozen};
}

namespace detail {

/// Module::to has no memory format: convolution weights are laid out one by one.
inline void lay_out_channels_last(torch::nn::Module& module) {
    const at::NoGradGuard no_grad;
    for (Tensor& parameter : module.parameters())
        if (parameter.dim() == 4) parameter.set_data(parameter.contiguous(at::MemoryFormat::ChannelsLast));
}

inline void move_to(Batch& batch, at::Device device, bool channels_last) {
    const auto format = channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
    for (Tensor& view : batch.views) view = view.to(device, /*non_blocking=*/true).contiguous(format);
    batch.index = batch.index.to(device, true);
    if (batch.label.defined()) batch.label = batch.label.to(device, true);
}

/// True when the loss and all gradients are finite: one value read from the device.
inline bool finite(const Tensor& loss, const optim::Groups& groups) {
    const at::NoGradGuard no_grad;
    std::vector<Tensor> gradients;
    for (const auto& group : groups)
        for (const auto& [name, parameter] : group.parameters)
            if (parameter.grad().defined()) gradients.push_back(parameter.grad());
    Tensor largest = loss.detach().abs().to(at::kDouble);
    if (!gradients.empty()) {
        const auto norms = at::_foreach_norm(gradients, std::numeric_limits<double>::infinity());
        largest = largest + at::stack(norms).to(at::kDouble).sum();  // double: finite values stay finite
    }
    return std::isfinite(largest.item<double>());
}

/// The highest value of a schedule.
inline double peak(const schedules::AnySchedule& schedule, const Horizon& horizon) {
    double highest = 0;
    const std::int64_t apart = std::max<std::int64_t>(1, horizon.steps / 1000);
    for (std::int64_t step = 0; step < horizon.steps; step += apart)
        highest = std::max(highest, schedule({.step = step, .of = horizon}));
    return highest;
}

}  // namespace detail

/// Trains a method: for each optimizer step
///
///     set lr → views → forward under autocast → loss in float32 → backward → freeze, clip → optimizer → commit
///
/// A step whose loss or gradients are not finite is skipped, without trace in weights, optimizer, statistics and
/// memories, and counted; `give_up_after` of them in a row end the run. For this one value a step is read from the
/// device; all other metrics every `log_every` steps. Embeddings that collapse are said once.
/// The order of images, their views and a resumed run are the same bit for bit on the CPU, whatever the number of
/// workers. Ctrl-C and SIGTERM end it after the step at hand, with a checkpoint.
/// Throws Error for options out of range, a loss that stays not finite, a checkpoint of another run, files that fail.
///
///     AnyMethod method = Method{preset.recipe, {.seed = 1}};
///     train::TrainResult run = train::train(method, photos, train::plan_of(preset), {.epochs = 200, .out = "out"});
inline TrainResult train(AnyMethod method, const data::Dataset& images, const Plan& plan, const TrainOptions& options,
                         const Hooks& hooks = {}) {
    require(options.epochs >= 1, "train: epochs must be at least 1, got ", options.epochs);
    require(options.batch_size >= 2, "train: batch size must be at least 2, got ", options.batch_size);
    require(options.accumulate >= 1, "train: accumulate must be at least 1, got ", options.accumulate);
    require(options.log_every >= 1, "train: log_every must be at least 1, got ", options.log_every);
    require(options.give_up_after >= 1, "train: give_up_after must be at least 1, got ", options.give_up_after);
    const data::Loader loader(images, plan.views.each,
                              {.batch_size = options.batch_size,
                               .seed = options.seed,
                               .workers = options.workers,
                               .pinned = options.device.is_cuda(),
                               .multiple = options.accumulate,
                               .globals = plan.views.globals,
                               .damage = options.damage});
    const std::int64_t steps_per_epoch = loader.batches() / options.accumulate;
    const std::int64_t total = options.epochs * steps_per_epoch;
    const Horizon horizon{.samples = images.size(), .steps = total, .steps_per_epoch = steps_per_epoch};

    torch::nn::Module& module = method.module();
    module.to(options.device);
    if (options.channels_last) detail::lay_out_channels_last(module);
    module.train();
    auto warnings = method.begin(horizon);
    if (auto doubt = plan.optimizer.check_learning_rate(detail::peak(plan.lr, horizon)); !doubt.empty()) warnings.push_back(std::move(doubt));
    auto optimizer = plan.optimizer.build(method.trainable());

    auto identity = options.identity;
    identity["epochs"] = std::to_string(options.epochs);
    identity["batch size"] = std::to_string(options.batch_size);
    identity["accumulate"] = std::to_string(options.accumulate);
    identity["seed"] = std::to_string(options.seed);
    identity["training images"] = std::to_string(images.size());
    identity["optimizer"] = plan.optimizer.describe();
    identity["learning rate"] = plan.lr.describe();
    if (plan.weight_decay) identity["weight decay"] = plan.weight_decay->describe();
    if (const auto clip = plan.clip.describe(); clip != "none") identity["clipping"] = clip;
    for (const auto& freeze : plan.frozen) identity["frozen"] += freeze.describe() + "; ";

    const bool writes = !options.out.empty();
    const Checkpoints checkpoints(options.out / "checkpoints", options.keep);
    std::optional<std::filesystem::path> from;
    if (options.resume == "auto")
        from = checkpoints.newest();
    else if (!options.resume.empty())
        from = options.resume;
    // LibTorch seeds its generators by chance: dropout and drop-path would differ from run to run.
    for (auto& [name, generator] : detail::generators(method)) {
        const std::lock_guard lock(generator.mutex());
        generator.set_current_seed(options.seed);
    }
    if (from) restore(*from, method, optimizer, identity);
    std::int64_t* step_counter = nullptr;
    for (const auto& [name, value] : method.counters())
        if (name == "step") step_counter = value;
    require(step_counter, "train: the method does not count its steps");
    std::int64_t step = *step_counter;
    require(step <= total, "train: the checkpoint stands at step ", step, ", the run has ", total);

    std::optional<io::JsonLines> metrics;
    std::optional<io::TensorBoard> board;
    if (writes) {
        io::create_folders(options.out);
        metrics.emplace(options.out / "metrics.jsonl");
        if (from) metrics->truncate_after(step);
        board.emplace(options.out / "tensorboard", from ? std::optional(step) : std::nullopt);
    }
    Progress progress(
        {.epochs = options.epochs, .steps_per_epoch = steps_per_epoch, .start_step = step, .mode = options.progress});
    for (const auto& warning : warnings) progress.note("warning: " + warning);
    if (from)
        progress.note("going on from " + from->string() + " (step " + std::to_string(step) + " of " +
                      std::to_string(total) + ")");

    TrainResult result{.steps = step, .loss = std::numeric_limits<double>::quiet_NaN(), .checkpoint = from.value_or("")};
    eval::CollapseWatch watch(total);
    std::int64_t bad_in_a_row = 0;
    const auto save = [&] {
        if (writes) result.checkpoint = checkpoints.save(step, snapshot(method, optimizer, identity));
    };
    const std::int64_t epochs_between =
        options.checkpoint_every > 0 ? options.checkpoint_every : std::max<std::int64_t>(1, options.epochs / 10);

    const Interrupt interrupt;
    const auto started = std::chrono::steady_clock::now();
    const auto seconds = [&] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    };
    double logged_at = 0;
    std::int64_t images_done = 0, images_logged = 0, summed = 0;
    Tensor loss_sum = at::zeros({}, at::TensorOptions(options.device).dtype(at::kFloat));

    const auto pass = loader.pass(step * options.accumulate, total * options.accumulate);
    while (step < total && !interrupt.signal()) {
        const double lr = plan.lr({.step = step, .of = horizon});
        Tensor step_loss;
        for (std::int64_t part = 0; part < options.accumulate; ++part) {
            auto batch = pass->next();
            require(batch.has_value(), "train: the loader ended early");
            detail::move_to(*batch, options.device, options.channels_last);
            Tensor loss;
            {
                const Autocast scope(options.device.type(), options.precision);
                loss = method.forward(*batch);
            }
            if (options.accumulate > 1) loss = loss / static_cast<double>(options.accumulate);
            loss.backward();
            step_loss = step_loss.defined() ? step_loss + loss.detach() : loss.detach();
            images_done += batch->index.size(0);
        }
        const bool logs = (step + 1) % options.log_every == 0 || step + 1 == total;
        const bool good = detail::finite(step_loss, optimizer.groups());
        auto line = nlohmann::ordered_json::object();
        if (good && (logs || watch.due(step))) {
            const auto& outputs = method.last().back();
            const auto first = [](const std::vector<Tensor>& views) {
                const auto found = std::find_if(views.begin(), views.end(), [](const Tensor& v) { return v.defined(); });
                return found == views.end() ? Tensor{} : *found;
            };
            if (const Tensor features = first(outputs.features); features.defined())
                line["feature_std"] = eval::feature_std(features).item<double>();
            if (const Tensor embeddings = first(outputs.projected); embeddings.defined() && watch.due(step)) {
                const auto seen = watch.look(embeddings);
                line["embedding_std"] = seen.std;
                line["embedding_rank"] = seen.rank;
                line["embedding_cos"] = seen.cos;
                if (seen.warning) progress.note("step " + std::to_string(step + 1) + ": " + *seen.warning);
                result.collapsed = watch.collapsed();
            }
            for (const auto& [name, value] : method.metrics()) line[name] = value.item<double>();
        }
        if (good) {
            optim::drop_frozen(plan.frozen, optimizer.groups(), step, steps_per_epoch);
            plan.clip(optimizer.groups());
            if (plan.weight_decay)
                optimizer.step(lr, (*plan.weight_decay)({.step = step, .of = horizon}));
            else
                optimizer.step(lr);
            optimizer.zero_grad();
            method.commit();
            loss_sum += step_loss;
            ++summed;
            bad_in_a_row = 0;
        } else {
            const double value = step_loss.item<double>();
            optimizer.zero_grad();
            method.skip();
            if (bad_in_a_row++ == 0 && method.skipped() <= 10)
                progress.note("step " + std::to_string(step + 1) + ": the " +
                              (std::isfinite(value) ? std::string("gradients are not finite")
                                                    : "loss is " + std::to_string(value)) +
                              "; the step is skipped");
            require(bad_in_a_row < options.give_up_after, "train: loss or gradients were not finite ", bad_in_a_row,
                    " steps in a row (step ", step + 1, ", loss ", value, "); likely causes: a learning rate that is too "
                    "high (--lr) or rises too fast (--warmup), a temperature that is too low, bf16 where fp32 is needed; ",
                    result.checkpoint.empty() ? "no checkpoint was written yet"
                                              : "the last good checkpoint is " + result.checkpoint.string());
        }
        step = *step_counter;
        result.steps = step;
        result.skipped = method.skipped();

        if (logs) {
            result.loss = summed > 0 ? loss_sum.item<double>() / static_cast<double>(summed)
                                     : std::numeric_limits<double>::quiet_NaN();
            loss_sum.zero_();
            summed = 0;
            const double now = seconds();
            nlohmann::ordered_json head{{"step", step},
                                        {"epoch", static_cast<double>(step) / static_cast<double>(steps_per_epoch)},
                                        {"loss", result.loss},
                                        {"lr", lr},
                                        {"images_per_second", static_cast<double>(images_done - images_logged) /
                                                                  std::max(now - logged_at, 1e-9)}};
            logged_at = now;
            images_logged = images_done;
            if (result.skipped > 0) head["skipped_steps"] = result.skipped;
            head.update(line);
            if (metrics) metrics->append(head);
            if (board)
                for (const auto& [name, value] : head.items())
                    if (name != "step") board->scalar("train/" + name, value.get<double>(), step);
        }
        progress.update(step, result.loss, images_done);

        if (step % steps_per_epoch == 0) {
            const std::int64_t done = step / steps_per_epoch;
            if (hooks.after_epoch) {
                auto extra = hooks.after_epoch(done);
                module.train();
                if (!extra.empty()) {
                    nlohmann::ordered_json head{{"step", step}, {"epoch", done}};
                    head.update(extra);
                    if (metrics) metrics->append(head);
                    if (board)
                        for (const auto& [name, value] : extra.items())
                            if (value.is_number()) board->scalar("eval/" + name, value.get<double>(), step);
                }
            }
            if (done % epochs_between == 0 && step < total && bad_in_a_row == 0) save();  // never weights in doubt
        }
    }
    result.signal = interrupt.signal();
    result.seconds = seconds();
    result.images_per_second = static_cast<double>(images_done) / std::max(result.seconds, 1e-9);
    progress.finish();
    save();
    return result;
}

}  // namespace doppel::train
