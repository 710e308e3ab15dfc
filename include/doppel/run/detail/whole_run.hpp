// SPDX-License-Identifier: Apache-2.0
// The steps of run::run() before and after training.
#pragma once

#include <doppel/core/compiled.hpp>
#include <doppel/eval/accuracy.hpp>
#include <doppel/eval/labeled_images.hpp>
#include <doppel/image/sheet.hpp>
#include <doppel/image/write_png.hpp>
#include <doppel/io/tensorboard.hpp>
#include <doppel/run/data_wait.hpp>
#include <doppel/run/detail/prepared_run.hpp>
#include <doppel/run/baselines.hpp>
#include <doppel/run/config.hpp>
#include <doppel/run/context.hpp>
#include <doppel/run/evaluation.hpp>
#include <doppel/run/feature_sections.hpp>
#include <doppel/run/folder.hpp>
#include <doppel/run/measures.hpp>
#include <doppel/run/messages.hpp>
#include <doppel/run/report_of.hpp>
#include <doppel/run/sheets.hpp>
#include <doppel/run/start.hpp>
#include <doppel/run/told.hpp>
#include <doppel/train/callbacks/evaluate_every.hpp>
#include <doppel/train/callbacks/expectation.hpp>
#include <doppel/train/callbacks/online_probe.hpp>
#include <doppel/train/error_text.hpp>
#include <doppel/train/fit_to_memory.hpp>
#include <doppel/train/train.hpp>
#include <doppel/weights/encoder_file.hpp>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>

namespace doppel::run::detail {

inline std::int64_t parameter_count(const torch::nn::Module& module) {
    std::int64_t count = 0;
    for (const Tensor& parameter : module.parameters()) count += parameter.numel();
    return count;
}

/// A run from its folder to its report.
class WholeRun {
public:
    Context context;
    train::Trainer trainer;  ///< builds and checks everything before the folder is made
    train::Expectation expectation;
    std::optional<train::OnlineProbe> online{};  ///< with --online-probe: a callback

    /// `own`: callbacks of the caller may give figures.
    WholeRun(AnyPreset preset, Data data, RunOptions options, bool own)
        : context(context_of(std::move(preset), std::move(data), std::move(options))),
          trainer(context.preset, context.data.train, context.options.train),
          expectation(train::milestones_of(context.options.expect), evaluation_figures(context), own) {
        if (context.options.online_probe) online.emplace();
        context.device = trainer.device();
        context.precision = trainer.precision();
        if (!context.options.init.empty()) {
            const auto report = start_from(context, trainer.method());
            if (!report.origin.empty()) context.started_from += " (" + report.origin + ")";
            start_notes_ = report.notes;
        }
        trainer.rehearse();
        expectation.check(trainer);
        const std::filesystem::path from = told(group(), [&] {
            const auto found = train::resume_point(trainer.options());
            folder_.emplace(context.out, !context.options.train.resume.empty());
            return found ? found->string() : std::string();
        });
        if (!from.empty()) trainer.restore(from);  // compares first; only then is anything written
        if (group().first()) write_start(!from.empty());
        measure_baselines();
    }

    /// The processes that train together; the first one writes and speaks.
    const Group& group() const { return context.options.train.group; }

    void write_start(bool resumed) {
        if (!resumed) std::filesystem::remove(context.out / "metrics.jsonl");
        using Handler = nlohmann::ordered_json::error_handler_t;
        if (!context.data.list.empty()) io::write_atomically(context.out / "images.tsv", context.data.list);
        io::write_atomically(context.out / "config.json", config_of(context, trainer).dump(2, ' ', false, Handler::replace) + "\n");
        say_plan();
    }

    train::EvaluateEvery while_training() {
        return {.epochs = context.labeled ? context.options.knn_every : 0, .measure = [this](train::Trainer& t) {
                    const Stopwatch watch;
                    const auto rows = compare(context, t.method());
                    const auto own = online_rows(rows);
                    return told(group(), [&] {
                        train::Metrics found{{"knn_top1", knn(context, rows).top1}};
                        if (online) found["online_top1"] = online_top1(own);
                        found["evaluation_seconds"] = watch.seconds();
                        return found;
                    });
                }};
    }

    RunResult finish(train::TrainResult training) {
        RunResult result{.training = std::move(training), .metrics = baselines_, .failures = failures_, .folder = context.out};
        tell_signal(result.training);
        write_skipped(result);
        if (result.training.signal != 0) {
            say("stopped at step {}; {} holds everything. To resume, add --resume {} to the same command",
                result.training.steps, result.training.checkpoint.string(), context.out.string());
            return result;
        }
        if (group().first()) {
            write_weights(result);
            write_end(result);
        }
        const Stopwatch watch;
        std::optional<Compared> rows;
        eval::Features own;
        if (!context.data.validation.empty())
            attempt(result, "features", [&] {
                auto found = compare(context, trainer.method());
                own = online_rows(found);
                rows = std::move(found);
            });
        write_skipped(result);
        result.missed = told(group(), [&] {
            evaluate(result, rows, own);
            expectation.finish(result.metrics, result.training.steps == trainer.total_steps());
            result.missed = expectation.missed();
            evaluation_seconds_ = watch.seconds();
            attempt(result, "skipped.jsonl", [&] { context.skipped->write(context.out); });
            write_end(result);
            attempt(result, "tensorboard", [&] { write_board(result.metrics, result.training.steps); });
            say_result(result);
            return result.missed;
        });
        return result;
    }

    /// Lists the images that any process skipped.
    void write_skipped(RunResult& result) {
        context.skipped->tell_first(group());
        if (group().first()) attempt(result, "skipped.jsonl", [&] { context.skipped->write(context.out); });
    }

    /// A signal that came to one of the processes ends all.
    void tell_signal(train::TrainResult& training) const {
        if (group().alone()) return;
        for (const auto& said : group().collectives().texts(std::to_string(training.signal))) training.signal = std::max(training.signal, std::stoi(said));
    }

    /// Lists skipped images also where training threw.
    void write_skipped() const noexcept {
        try {
            context.skipped->write(context.out);
        } catch (...) {}  // the training's own problem counts
    }

    /// Records why training threw, for those who read the folder later; without "step", so that a run can start here anew.
    void write_failure() const noexcept {
        try {
            write_event(context.out / "metrics.jsonl", "failure", {{"after_step", trainer.step_count()}, {"reason", train::error_text()}});
        } catch (...) {}
    }

private:
    /// Runs a part of the evaluation; what it throws is reported and recorded, and the run continues.
    void attempt(RunResult& result, const std::string& what, const std::function<void()>& part) {
        try {
            part();
        } catch (...) {
            result.failures.push_back({what, train::error_text()});
            say("{} failed: {}", what, result.failures.back().reason);
        }
    }

    void say_plan() {
        const auto& data = context.data;
        const auto classes = context.bank().classes().size();
        say("{}: {} images per step of {} px with {} ({:.1f} M parameters{}), {}, {}", context.title(), trainer.images_per_step(),
            context.pipeline().size(), context.encoder.text,
            static_cast<double>(parameter_count(*trainer.method().encoder(Network::online))) / 1e6,
            context.options.init.empty() ? "" : ", starting from " + context.started_from, context.device.str(), name_of(context.precision));
        for (const auto& line : start_notes_) say("--init: {}", line);
        say("data: {} training and {} validation images{}{}{}", data.train.size(), data.validation.size(),
            data.bank.empty() ? "" : fmt::format(", {} images to compare with", data.bank.size()),
            classes > 0 ? fmt::format(", {} class{}", classes, classes == 1 ? "" : "es") : "",
            data.split_rule.empty() ? "" : " (" + data.split_rule + ")");
        for (const auto& line : data.notes) say("data: {}", line);
        for (const auto& line : not_measurable(context)) say("{}", line);
        if (context.options.train.progress != train::ProgressMode::off)  // before the baselines, which may take minutes
            for (const auto& warning : trainer.take_warnings()) say("warning: {}", warning);
        say("run folder: {}", context.out.string());
    }

    void measure_baselines() {
        if (!context.labeled) return;
        if (context.options.strict) {
            baselines_ = baselines(context);  // a damaged image ends the run, before it trains
        } else {
            RunResult outcome;
            attempt(outcome, "baselines", [&] { baselines_ = baselines(context); });
            failures_ = outcome.failures;
        }
        if (baselines_.empty() || !group().first()) return;
        say("before training: k-NN {:.1f} % on raw pixels, {:.1f} % with the untrained encoder",
            100 * baselines_.at("knn_top1_pixels"), 100 * baselines_.at("knn_top1_random"));
        if (baselines_.contains("knn_top1_init")) say("before training: k-NN {:.1f} % with the weights of --init", 100 * baselines_.at("knn_top1_init"));
        write_board(baselines_, 0);
    }

    void write_weights(RunResult& result) {
        auto metadata = context.encoder.metadata;
        metadata["feature_dim"] = std::to_string(trainer.method().feature_dim());
        metadata["method"] = context.preset.name;
        metadata["step"] = std::to_string(result.training.steps);
        metadata["network"] = context.preset.export_encoder == Network::online ? "online" : "target";
        metadata["started_from"] = context.started_from;
        result.encoder = context.out / "encoder.safetensors";
        weights::save_encoder(result.encoder, *trainer.method().encoder(context.preset.export_encoder), context.pipeline(), metadata);
    }

    void evaluate(RunResult& result, const std::optional<Compared>& rows, const eval::Features& own) {
        if (context.data.validation.empty()) {
            conclude(result, 0);
            attempt(result, "report", [&] { eval::write_report(context.out / "report.html", report_of(context, trainer, result)); });
            return;
        }
        const AnyMethod& method = trainer.method();
        Measures measures;
        if (rows) {
            measures = measure(*rows, static_cast<std::int64_t>(context.bank().classes().size()), measured_by(context));
            for (const auto& failure : measures.failures) {
                result.failures.push_back(failure);
                say("{} failed: {}", failure.what, failure.reason);
            }
            for (const auto& [name, value] : measures.figures) result.metrics[name] = value;
            if (online && context.labeled) attempt(result, "online probe", [&] { result.metrics["online_top1"] = online_top1(own); });
        }
        if (baselines_.contains("attention_on_objects_random"))
            attempt(result, "attention", [&] {
                for (const auto& [name, value] : attention_metrics(context, method)) result.metrics[name] = value;
            });
        conclude(result, rows ? rows->queries.rows.size(0) : 0);
        write_report(result, rows, measures);
    }

    /// `images`: validation images that were classified.
    void conclude(RunResult& result, std::int64_t images) {
        attempt(result, "outcome", [&] {
            result.outcome = outcome_of({.end = result.metrics,
                                         .history = io::read_json_lines(context.out / "metrics.jsonl"),
                                         .images = images,
                                         .k = context.options.k,
                                         .feature_dim = trainer.method().feature_dim(),
                                         .epochs = trainer.epoch(),
                                         .steps = result.training.steps - result.training.skipped,
                                         .skipped_steps = result.training.skipped,
                                         .collapse_seen = result.training.collapsed});
        });
    }

    /// The online encoder's features of the validation images, which the online probe has learned; nothing without the probe.
    eval::Features online_rows(const Compared& rows) const {
        if (!online || !context.labeled) return {};
        if (context.preset.export_encoder == Network::online) return rows.queries;
        return eval::features(trainer.method(), context.data.validation, context.pipeline(),
                              {.workers = train::loader_threads(context.options.train), .damage = context.skipped->validation, .group = group()});
    }
    double online_top1(const eval::Features& own) const { return eval::accuracy_of(online->scores(own.rows), own.labels).top1; }

    void write_report(RunResult& result, const std::optional<Compared>& rows, const Measures& measures) {
        std::vector<eval::ContactSheet> sheets;
        std::vector<eval::NeighborSheet> neighbors;
        if (rows) attempt(result, "picture of the views", [&] { sheets = view_sheets(context); });
        if (rows && measures.nearest)
            attempt(result, "picture of the neighbors", [&] {
                neighbors.push_back(neighbor_sheet(context.bank(), context.data.validation, context.labeled, rows->bank, rows->queries, *measures.nearest,
                                                   context.data.bank.empty() ? "training images" : "labeled images"));
            });
        std::vector<eval::FeatureMap> maps;
        if (rows) attempt(result, "maps of the features", [&] { maps = feature_maps(rows->queries, context.data.validation); });
        if (rows)
            attempt(result, "picture of the attention", [&] {
                auto made = attention_sheet(*trainer.method().encoder(context.preset.export_encoder), context.data.validation, context.pipeline(), rows->queries);
                if (!made) return;
                image::write_png(context.out / "attention.png", image::sheet(made->pictures));
                sheets.push_back(std::move(made->sheet));
            });
        if (rows)
            attempt(result, "picture of the patches", [&] {
                if (auto made = patch_sheet(*trainer.method().encoder(context.preset.export_encoder), context.data.validation, context.pipeline(), rows->queries))
                    sheets.push_back(*std::move(made));
            });
        attempt(result, "report", [&] {
            auto report = report_of(context, trainer, result);
            report.sheets = std::move(sheets);
            report.neighbors = std::move(neighbors);
            report.maps = std::move(maps);
            if (measures.spectrum) report.spectra = {spectrum_curve(*measures.spectrum)};
            if (!measures.scores.empty()) report.tables.insert(report.tables.begin(), score_table(measures.scores));
            for (const auto& score : measures.scores) report.confusion.push_back(confusion_of(score.protocol, score.accuracy, context.bank().classes()));
            eval::write_report(context.out / "report.html", report);
        });
    }

    /// The last line of metrics.jsonl; a line of an earlier end is replaced.
    void write_end(RunResult& result) {
        nlohmann::ordered_json line{{"step", result.training.steps}, {"epoch", context.preset.epochs}};
        for (const auto& [name, value] : result.metrics) line[name] = value;
        line["skipped_steps"] = result.training.skipped;
        line["skipped_images"] = context.skipped->count();
        line["collapsed"] = result.training.collapsed;
        line["train_seconds"] = result.training.seconds;
        line["evaluation_seconds"] = evaluation_seconds_ + evaluation_seconds_in(context.out / "metrics.jsonl");
        line["train_images_per_second"] = result.training.images_per_second;
        line["data_wait"] = result.training.data_wait;
        if (!result.outcome.sentence.empty()) line["outcome"] = to_json(result.outcome);
        if (!result.missed.empty()) line["missed"] = result.missed;
        for (const auto& failure : result.failures) line["failed"][failure.what] = failure.reason;
        attempt(result, "metrics", [&] { write_event(context.out / "metrics.jsonl", "end", std::move(line)); });
    }

    void write_board(const train::Metrics& metrics, std::int64_t step) const {
        io::TensorBoard board(context.out / "tensorboard");
        for (const auto& [name, value] : metrics) board.scalar("eval/" + name, value, step);
    }

    void say_result(const RunResult& result) const {
        const auto& training = result.training;
        const auto& end = result.metrics;
        const auto &folder = result.folder, &encoder = result.encoder;
        say("trained {} steps in {}, {:.0f} images/s", training.steps, train::duration_text(training.seconds),
            training.images_per_second);
        if (const auto hint = data_wait_hint(training.data_wait, train::loader_threads(context.options.train)); !hint.empty()) say("{}", hint);
        if (training.skipped > 0) say("{} steps were skipped, because loss or gradients were not finite", training.skipped);
        if (context.skipped->count() > 0)
            say("damaged or unreadable files that were skipped: {} ({})", context.skipped->count(), (folder / "skipped.jsonl").string());
        if (context.skipped->count_noted() > 0)
            say("image files that lack their end but have all rows, and were used: {} ({})", context.skipped->count_noted(),
                (folder / "skipped.jsonl").string());
        if (end.contains("linear_top1"))
            say("linear probe: {:.1f} %{}", 100 * end.at("linear_top1"),
                end.contains("linear_top1_random") ? fmt::format("   untrained encoder {:.1f} %", 100 * end.at("linear_top1_random")) : "");
        if (end.contains("online_top1")) say("online probe: {:.1f} % of the validation images", 100 * end.at("online_top1"));
        if (end.contains("attention_on_objects"))
            say("attention on the objects: {:.1f} %   untrained encoder {:.1f} %   even {:.1f} %",
                100 * end.at("attention_on_objects"), 100 * end.at("attention_on_objects_random"), 100 * end.at("objects_share"));
        if (!result.outcome.sentence.empty()) say("{}", result.outcome.sentence);
        if (!result.outcome.advice.empty()) say("advice: {}", result.outcome.advice);
        for (const auto& line : result.missed)
            say("missed: {}; {} holds everything. To go on all the same: the same command without --expect, with --resume {}", line,
                training.checkpoint.string(), folder.string());
        if (std::filesystem::exists(folder / "report.html")) say("report:  {}", (folder / "report.html").string());
        say("encoder: {}", encoder.string());
        if (const auto found = context.encoder.metadata.find("python"); found != context.encoder.metadata.end() && !encoder.empty())
            say("in Python:\n\n{}{}{}", found->second, weights::python_load(encoder.string()), weights::python_prepare(context.pipeline()));
    }

    std::optional<Folder> folder_;
    train::Metrics baselines_;
    double evaluation_seconds_ = 0;  ///< of the one at the end
    std::vector<Failure> failures_;
    std::vector<std::string> start_notes_;  ///< of --init
};

DOPPEL_BODY RunResult whole_run(AnyPreset preset, Data data, RunOptions options, std::vector<train::CallbackRef> callbacks) {
    WholeRun whole(std::move(preset), std::move(data), std::move(options), !callbacks.empty());
    auto evaluation = whole.while_training();
    callbacks.insert(callbacks.begin(), train::CallbackRef(evaluation));
    if (whole.group().first()) callbacks.push_back(train::CallbackRef(whole.expectation));
    if (whole.online) callbacks.insert(callbacks.begin(), train::CallbackRef(*whole.online));
    try {
        return whole.finish(train::run_with_logs_and(whole.trainer, std::move(callbacks)));
    } catch (...) {
        if (whole.group().first()) {
            whole.write_failure();
            whole.write_skipped();
        }
        throw;
    }
}

}  // namespace doppel::run::detail
