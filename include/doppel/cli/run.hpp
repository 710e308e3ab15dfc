// SPDX-License-Identifier: Apache-2.0
// A whole run from the command line: data, training, evaluation, report.
#pragma once

#include <doppel/cli/common.hpp>
#include <doppel/cli/job.hpp>
#include <doppel/cli/say.hpp>
#include <doppel/cli/summary.hpp>
#include <doppel/core/version.hpp>
#include <doppel/eval/collapse.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/eval/knn.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/train/trainer.hpp>

#include <ATen/Parallel.h>
#include <ATen/Version.h>

#include <cstdio>
#include <ctime>
#include <exception>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>

namespace doppel::cli {

namespace detail {

inline std::string default_folder(const std::string& name) {
    const std::time_t now = std::time(nullptr);
    char text[32];
    std::strftime(text, sizeof text, "%Y%m%d-%H%M%S", std::localtime(&now));
    return "runs/" + name + "-" + text;
}

/// Makes the run folder, or refuses one that holds another run.
inline void prepare_folder(const Job& run) {
    const auto& out = run.options.out;
    const bool used = std::filesystem::exists(out / "config.json") || std::filesystem::exists(out / "checkpoints");
    require(!used || !run.common.resume.empty(), "--out: ", out.string(), " holds a run already; go on with it by --resume auto, or give another folder");
    io::create_folders(out);
    if (run.common.resume.empty() || (run.common.resume == "auto" && !train::Checkpoints(out / "checkpoints", 1).newest()))
        std::filesystem::remove(out / "metrics.jsonl");
    io::write_atomically(out / "config.json", run.config.dump(2) + "\n");
}

}  // namespace detail

/// k-NN accuracy of the method's encoder as it is: bank = un-augmented training images.
inline double knn_top1(const Job& run) {
    const eval::FeatureOptions how{.workers = static_cast<int>(run.common.workers), .network = run.evaluate};
    const auto bank = eval::features(run.method, run.data.train, run.plan.views.plain, how);
    const auto queries = eval::features(run.method, run.data.validation, run.plan.views.plain, how);
    return eval::knn(queries.rows, bank.rows, bank.labels, queries.labels, static_cast<std::int64_t>(run.data.train.classes().size()),
                     {.k = run.common.k})
        .top1;
}

/// Trains, evaluates, writes everything into the run folder. Gives the exit status: 0, or 130 / 143 after Ctrl-C / SIGTERM.
inline int execute(Job& run) {
    const auto& out = run.options.out;
    const bool labelled = run.data.train.labelled() && run.data.validation.labelled();
    detail::prepare_folder(run);
    say_plan(run, labelled);

    // Before training: what the trained encoder must beat. A resumed run has them in its metrics.
    nlohmann::ordered_json start{{"step", 0}, {"epoch", 0}};
    if (labelled) {
        for (const auto& line : std::filesystem::exists(out / "metrics.jsonl") ? io::read_json_lines(out / "metrics.jsonl")
                                                                               : std::vector<nlohmann::ordered_json>{})
            if (line.contains("knn_top1_random") && line.contains("knn_top1_pixels") && line.value("step", -1) == 0) start = line;
        if (!start.contains("knn_top1_random")) {
            const auto bank = eval::pixels(run.data.train, run.plan.views.plain), queries = eval::pixels(run.data.validation, run.plan.views.plain);
            start["knn_top1_pixels"] = eval::knn(queries.rows, bank.rows, bank.labels, queries.labels,
                                                 static_cast<std::int64_t>(run.data.train.classes().size()), {.k = run.common.k})
                                           .top1;
            run.method.module().to(run.options.device);
            start["knn_top1_random"] = knn_top1(run);
            io::JsonLines(out / "metrics.jsonl").append(start);
        }
        say("before training: k-NN {:.1f} % on raw pixels, {:.1f} % with the untrained encoder", 100 * start["knn_top1_pixels"].get<double>(),
            100 * start["knn_top1_random"].get<double>());
    }

    train::Hooks hooks;
    if (labelled && run.common.knn_every > 0)
        hooks.after_epoch = [&](std::int64_t epoch) {
            nlohmann::ordered_json extra = nlohmann::ordered_json::object();
            if (epoch % run.common.knn_every == 0 && epoch < run.options.epochs) extra["knn_top1"] = knn_top1(run);
            return extra;
        };
    const auto result = train::train(run.method, run.data.train, run.plan, run.options, hooks);
    if (result.signal != 0) {
        say("stopped at step {}; {} holds everything. Go on with the same command and --out {} --resume auto", result.steps,
            result.checkpoint.string(), out.string());
        return 128 + result.signal;
    }

    const eval::FeatureOptions how{.workers = static_cast<int>(run.common.workers), .network = run.evaluate};
    const auto bank = eval::features(run.method, run.data.train, run.plan.views.plain, how);
    const auto queries = eval::features(run.method, run.data.validation, run.plan.views.plain, how);
    nlohmann::ordered_json end{{"step", result.steps}, {"epoch", run.options.epochs}};
    const auto classes = static_cast<std::int64_t>(run.data.train.classes().size());
    const auto nearest = eval::knn(queries.rows, bank.rows, labelled ? bank.labels : at::zeros({bank.rows.size(0)}, at::TensorOptions(at::kLong).device(bank.rows.device())),
                                   labelled ? queries.labels : at::zeros({queries.rows.size(0)}, at::TensorOptions(at::kLong).device(queries.rows.device())), labelled ? classes : 1, {.k = run.common.k});
    if (labelled) {
        end["knn_top1"] = nearest.top1;
        end["knn_top1_random"] = start["knn_top1_random"];
        end["knn_top1_pixels"] = start["knn_top1_pixels"];
    }
    end["feature_std"] = eval::feature_std(queries.rows).item<double>();
    end["effective_rank"] = eval::effective_rank(queries.rows).item<double>();
    end["train_seconds"] = result.seconds;
    end["train_images_per_second"] = result.images_per_second;
    io::JsonLines(out / "metrics.jsonl").append(end);
    save_encoder(run, result.steps);
    eval::write_report(out / "report.html", report_of(run, nearest, end, labelled));
    say_result(run, end, labelled);
    return 0;
}

namespace detail {

/// Parses into `common` and the method's options; nothing, or the exit status.
template <class Options>
std::optional<int> parse(int argc, char** argv, const About& about, Common& common, Options& options) {
    CLI::App app(about.title + ": " + about.text, argc > 0 ? std::filesystem::path(argv[0]).filename().string() : about.name);
    app.set_help_flag("-h,--help", "show this and stop")->group("Run");
    app.get_formatter()->column_width(34);
    app.set_version_flag("--version", std::string("doppel ") + version)->group("Run");
    describe_data(common, AddOptions{app, "Data"});
    describe_encoder(common, AddOptions{app, "Encoder"});
    const AddOptions training{app, "Training"};
    training("epochs", options.epochs, "passes over the training images", Limits{1, 1e9});
    training("batch-size", options.batch_size, "images a step", Limits{2, 1e9});
    training("lr", options.lr, "highest learning rate; 0: the method's rule", Limits{0, 1e6});
    describe(options, AddOptions{app, about.title});
    describe_run(common, AddOptions{app, "Run"});
    app.footer("A run leaves config.json, metrics.jsonl, checkpoints/, encoder.safetensors and report.html in its folder.\n"
               "Example: " + app.get_name() + " --data photos --size 128 --epochs 100 --out runs/photos");
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& success) {
        return app.exit(success);
    } catch (const CLI::ParseError& problem) {
        std::string text = problem.what();
        if (const auto line = text.find('\n'); line != std::string::npos) text.resize(line);
        std::fprintf(stderr, "%s: %s (--help lists the options)\n", about.name.c_str(), text.c_str());
        return 2;
    }
    return std::nullopt;
}

}  // namespace detail

/// A whole program: reads the command line, trains what `make` gives, evaluates and reports. `defaults(size)` are the
/// method's options for views of that size; what stands on the command line goes before them. `make(encoder, options)`
/// gives the preset. Exit status: 0; 2 for wrong input (one line on stderr); 1 for anything else; 130, 143 after signals.
///
///     int main(int argc, char** argv) {
///         return cli::run(argc, argv, {"simclr", "SimCLR", "…"}, defaults,
///                         [](auto encoder, const auto& options) { return methods::sim_clr(encoder, options); });
///     }
template <class Defaults, class Make>
int run(int argc, char** argv, const About& about, Defaults defaults, Make make) {
    Common common;
    try {
        auto options = defaults(32);
        if (const auto status = detail::parse(argc, argv, about, common, options)) return *status;
        Job run{.about = about, .data = open_data(common)};
        run.size = size_for(common, run.data.train);
        options = defaults(run.size);  // what the command line does not say follows from the size
        if (const auto status = detail::parse(argc, argv, about, common, options)) return *status;
        options.size = run.size;
        options.channels = static_cast<int>(common.channels);
        require(common.channels == 1 || common.channels == 3, "--channels must be 1 or 3, got ", common.channels);
        run.common = common;
        if (common.threads > 0) at::set_num_threads(static_cast<int>(common.threads));
        run.encoder = encoder_from(common, run.size);
        const auto preset = make(run.encoder, options);
        run.options = {.epochs = preset.epochs,
                       .batch_size = preset.batch_size,
                       .seed = static_cast<std::uint64_t>(common.seed),
                       .workers = static_cast<int>(common.workers),
                       .device = device_from(common.device),
                       .out = common.out.empty() ? detail::default_folder(about.name) : common.out,
                       .resume = common.resume,
                       .checkpoint_every = common.checkpoint_every,
                       .log_every = common.log_every,
                       .identity = {{"method", preset.name}, {"encoder", run.encoder.name() + " " + std::string(name_of(run.encoder.stem))},
                                    {"size", std::to_string(run.size)}, {"data", common.data}}};
        run.options.precision = common.precision == "auto" ? (run.options.device.is_cuda() ? Precision::bf16 : Precision::fp32)
                                                           : precision_from(common.precision);
        run.evaluate = preset.evaluate;
        run.plan = train::plan_of(preset);
        auto& config = run.config;
        config["doppel"] = version;
        config["torch"] = TORCH_VERSION;
        config["method"] = preset.name;
        describe_data(common, ToJson{config["data"]});
        describe_encoder(common, ToJson{config["encoder"]});
        auto& training = config["training"];
        training = {{"epochs", preset.epochs}, {"batch_size", preset.batch_size}, {"optimiser", preset.optimiser.describe()}, {"lr", preset.lr.describe()}};
        describe(options, ToJson{config[preset.name]});
        describe_run(common, ToJson{config["run"]});
        config["run"]["out"] = run.options.out.string();
        config["resolved"] = {{"size", run.size},
                              {"encoder", run.encoder.name()},
                              {"stem", std::string(name_of(run.encoder.stem))},
                              {"device", run.options.device.str()},
                              {"precision", std::string(name_of(run.options.precision))},
                              {"threads", at::get_num_threads()},
                              {"data_kind", run.data.kind},
                              {"data_split", run.data.how},
                              {"train_images", run.data.train.size()},
                              {"validation_images", run.data.validation.size()},
                              {"classes", run.data.train.classes()}};
        for (const auto& view : preset.views.each) config["views"].push_back(view.describe());
        config["view_plain"] = preset.views.plain.describe();
        require(preset.batch_size <= run.data.train.size(), "--batch-size ", preset.batch_size, " is larger than the training set (",
                run.data.train.size(), " images)");
        run.method = Method{preset.recipe, {.seed = static_cast<std::uint64_t>(common.seed)}};
        return execute(run);
    } catch (const Error& problem) {
        std::fprintf(stderr, "%s: %s\n", about.name.c_str(), problem.what());
        return 2;
    } catch (const c10::Error& problem) {
        const std::string text = common.verbose ? problem.what() : problem.what_without_backtrace();
        std::fprintf(stderr, "%s: %s%s\n", about.name.c_str(), common.verbose ? text.c_str() : text.substr(0, text.find('\n')).c_str(),
                     common.verbose ? "" : " (--verbose tells more)");
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "%s: %s\n", about.name.c_str(), problem.what());
    }
    return 1;
}

}  // namespace doppel::cli
