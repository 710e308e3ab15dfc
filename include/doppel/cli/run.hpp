// SPDX-License-Identifier: Apache-2.0
// A whole run from the command line: data, training, evaluation, report.
#pragma once

#include <doppel/cli/common.hpp>
#include <doppel/cli/job.hpp>
#include <doppel/cli/say.hpp>
#include <doppel/cli/summary.hpp>
#include <doppel/core/version.hpp>
#include <doppel/eval/attention.hpp>
#include <doppel/eval/collapse.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/eval/knn.hpp>
#include <doppel/eval/pixels.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/train/trainer.hpp>

#include <ATen/Parallel.h>
#include <torch/version.h>

#include <algorithm>
#include <concepts>
#include <cstdio>
#include <ctime>
#include <exception>
#include <filesystem>
#include <functional>
#include <numeric>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace doppel::cli {

namespace detail {

inline std::string default_folder(const std::string& name) {
    const std::time_t now = std::time(nullptr);
    char text[32];
    std::strftime(text, sizeof text, "%Y%m%d-%H%M%S", std::localtime(&now));
    return "runs/" + name + "-" + text;
}

/// Makes the run folder, or refuses one that holds another run or that another process is at work in. The folder is
/// this process's own as long as the result lives.
inline io::FolderLock prepare_folder(const Job& job) {
    const auto& out = job.options.out;
    const auto& from = job.common.resume;
    require(from.empty() || from == "auto" || std::filesystem::exists(from), "--resume: ", from,
            ": No such file; expected a checkpoint, or 'auto'");
    const bool used = std::filesystem::exists(out / "config.json") || std::filesystem::exists(out / "checkpoints");
    require(!used || !job.common.resume.empty(), "--out: ", out.string(),
            " holds a run already; go on with it by --resume auto, or give another folder");
    io::create_folders(out);
    io::FolderLock lock(out);
    io::remove_partial_files(out);
    io::remove_partial_files(out / "checkpoints");
    if (job.common.resume.empty() ||
        (job.common.resume == "auto" && !train::Checkpoints(out / "checkpoints", 1).newest()))
        std::filesystem::remove(out / "metrics.jsonl");
    io::write_atomically(out / "config.json",
                         job.config.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
    return lock;
}

/// What evaluation looks at: the images to compare with, and those that are judged.
struct Compared {
    eval::Features bank, queries;
};

inline Compared features(const Job& job) {
    const int workers = static_cast<int>(job.common.workers);
    const auto of = [&](const data::Dataset& images, const std::shared_ptr<data::DamagedImages>& damage) {
        return eval::features(job.method, images, job.plan.views.plain,
                              {.workers = workers, .network = job.evaluate, .damage = damage});
    };
    return {of(job.data.train, job.skipped->train), of(job.data.validation, job.skipped->validation)};
}

inline eval::KnnResult knn(const Job& job, const Compared& rows) {
    return eval::knn(rows.queries.rows, rows.bank.rows, rows.bank.labels, rows.queries.labels,
                     static_cast<std::int64_t>(job.data.train.classes().size()), {.k = job.common.k});
}

/// How much of a Vision Transformer's attention falls on the objects of up to 256 validation images, and their share of
/// the images; nothing for other encoders and for images without masks.
inline nlohmann::ordered_json attention(const Job& job) {
    auto found = nlohmann::ordered_json::object();
    const auto& images = job.data.validation;
    if (!images.has_masks() || !eval::has_attention(job.method, job.evaluate)) return found;
    std::vector<std::int64_t> which(static_cast<std::size_t>(std::min<std::int64_t>(256, images.size())));
    std::iota(which.begin(), which.end(), 0);
    const auto& plain = job.plan.views.plain;
    const Tensor maps = eval::attention(job.method, images, plain, which, job.evaluate);
    const Tensor masks = eval::patch_masks(images, plain, which, maps.size(2), maps.size(3));
    found["attention_on_objects"] = eval::attention_on_objects(maps, masks);
    found["objects_share"] = masks.mean().item<double>();
    return found;
}

/// What the trained encoder must beat: k-NN on raw pixels and on the encoder as initialized. A resumed run has them in
/// its metrics.
inline nlohmann::ordered_json baselines(Job& job) {
    const auto path = job.options.out / "metrics.jsonl";
    if (std::filesystem::exists(path))
        for (const auto& line : io::read_json_lines(path))
            if (line.value("step", -1) == 0 && line.contains("knn_top1_random")) return line;
    nlohmann::ordered_json line{{"step", 0}, {"epoch", 0}};
    line["knn_top1_pixels"] = eval::knn_pixels(job.data.train, job.data.validation, job.plan.views.plain,
                                               {.knn = {.k = job.common.k},
                                                .workers = static_cast<int>(job.common.workers),
                                                .bank_damage = job.skipped->train,
                                                .query_damage = job.skipped->validation})
                                  .top1;
    job.method.module().to(job.options.device);
    line["knn_top1_random"] = knn(job, features(job)).top1;
    if (const auto looks = attention(job); !looks.empty())
        line["attention_on_objects_random"] = looks["attention_on_objects"];
    io::JsonLines(path).append(line);
    return line;
}

}  // namespace detail

/// Trains, evaluates, writes everything into the run folder. Gives the exit status: 0, or 130 / 143 after Ctrl-C / SIGTERM.
inline int execute(Job& job) {
    const auto& out = job.options.out;
    const bool labelled = job.data.train.labeled() && job.data.validation.labeled();
    const auto lock = detail::prepare_folder(job);
    say_plan(job, labelled);

    nlohmann::ordered_json start;
    if (labelled) {
        start = detail::baselines(job);
        say("before training: k-NN {:.1f} % on raw pixels, {:.1f} % with the untrained encoder",
            100 * start["knn_top1_pixels"].get<double>(), 100 * start["knn_top1_random"].get<double>());
    }

    train::Hooks hooks;
    if (labelled && job.common.knn_every > 0)
        hooks.after_epoch = [&](std::int64_t epoch) {
            nlohmann::ordered_json extra = nlohmann::ordered_json::object();
            if (epoch % job.common.knn_every == 0 && epoch < job.options.epochs)
                extra["knn_top1"] = detail::knn(job, detail::features(job)).top1;
            return extra;
        };
    const auto result = train::train(job.method, job.data.train, job.plan, job.options, hooks);
    job.skipped->write(out);
    if (result.signal != 0) {
        say("stopped at step {}; {} holds everything. Go on with the same command and --out {} --resume auto",
            result.steps, result.checkpoint.string(), out.string());
        return 128 + result.signal;
    }

    const auto rows = detail::features(job);
    nlohmann::ordered_json end{{"step", result.steps}, {"epoch", job.options.epochs}};
    eval::Neighbors nearest;
    if (labelled) {
        const auto knn = detail::knn(job, rows);
        nearest = knn.neighbors;
        end["knn_top1"] = knn.top1;
        end["knn_top1_random"] = start["knn_top1_random"];
        end["knn_top1_pixels"] = start["knn_top1_pixels"];
    } else {
        nearest = eval::nearest(rows.queries.rows, rows.bank.rows, {.k = job.common.k});
    }
    if (start.contains("attention_on_objects_random")) {
        end.update(detail::attention(job));
        end["attention_on_objects_random"] = start["attention_on_objects_random"];
    }
    end["feature_std"] = eval::feature_std(rows.queries.rows).item<double>();
    end["effective_rank"] = eval::effective_rank(rows.queries.rows).item<double>();
    end["skipped_steps"] = result.skipped;
    end["skipped_images"] = job.skipped->count();
    end["collapsed"] = result.collapsed;
    end["train_seconds"] = result.seconds;
    end["train_images_per_second"] = result.images_per_second;
    io::JsonLines(out / "metrics.jsonl").append(end);
    save_encoder(job, result.steps);
    eval::write_report(out / "report.html", report_of(job, rows.bank, rows.queries, nearest, end, labelled));
    job.skipped->write(out);
    say_result(job, end, labelled);
    return 0;
}

namespace detail {

/// Parses into `common` and the method's options; nothing, or the exit status.
template <class Options>
std::optional<int> parse(int argc, char** argv, const About& about, Common& common, Options& options) {
    CLI::App app(about.title + ": " + about.text,
                 argc > 0 ? std::filesystem::path(argv[0]).filename().string() : about.name);
    app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);  // the last one counts
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
    app.footer(
        "A run leaves config.json, metrics.jsonl, checkpoints/, encoder.safetensors and report.html in its folder.\n"
        "Example: " +
        app.get_name() + " --data photos --size 128 --epochs 100 --out runs/photos");
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& success) { return app.exit(success); } catch (const CLI::ParseError& problem) {
        std::string text = problem.what();
        if (const auto line = text.find('\n'); line != std::string::npos) text.resize(line);
        std::fprintf(stderr, "%s: %s (--help lists the options)\n", about.name.c_str(), text.c_str());
        return 2;
    }
    return std::nullopt;
}

}  // namespace detail

/// A whole program: reads the command line, trains what `make` gives, evaluates and reports. `defaults(size)`, or
/// `defaults(size, arch)`, are the method's options for views of that size; what stands on the command line goes before
/// them. `make(encoder, options)` gives the preset; the encoder is the one of --arch. Exit status: 0; 2 for wrong input (one line on stderr); 1 for anything else; 130, 143 after signals.
///
///     int main(int argc, char** argv) {
///         return cli::run(argc, argv, {"simclr", "SimCLR", "…"}, defaults,
///                         [](auto encoder, const auto& options) { return methods::simclr(encoder, options); });
///     }
template <class Defaults, class Make>
int run(int argc, char** argv, const About& about, Defaults defaults, Make make) {
    Common common;
    common.arch = about.arch;
    try {
        const auto defaults_for = [&](int size) {
            if constexpr (requires { defaults(size, common.arch); })
                return defaults(size, common.arch);
            else
                return defaults(size);
        };
        auto options = defaults_for(32);
        if (const auto status = detail::parse(argc, argv, about, common, options)) return *status;
        Job run{.about = about, .data = open_data(common), .skipped = std::make_shared<Skipped>(common.strict)};
        run.skipped->left_out(run.data.skipped);
        require(run.data.train.size() >= 2, "--data: ", common.data, " has one image, expected at least two to train on");
        run.size = size_for(common, run.data.train, run.skipped->train.get());
        options = defaults_for(run.size);  // what the command line does not say follows from the size
        if (const auto status = detail::parse(argc, argv, about, common, options)) return *status;
        options.size = run.size;
        options.channels = static_cast<int>(common.channels);
        if constexpr (requires { options.images = run.data.train.size(); }) options.images = run.data.train.size();
        require(common.channels == 1 || common.channels == 3, "--channels must be 1 or 3, got ", common.channels);
        run.common = common;
        if (common.threads > 0) at::set_num_threads(static_cast<int>(common.threads));
        run.encoder = encoder_from(common, run.size);
        const auto preset = make(run.encoder, options);
        if constexpr (std::same_as<std::remove_cvref_t<decltype(preset.recipe.encoder)>, encoders::ByName>) {
            run.encoder = preset.recipe.encoder;  // as the method has adjusted it
        } else {
            run.own_encoder = true;
            require(common.arch == about.arch && common.stem == Common{}.stem,
                    "--arch and --stem choose nothing here: this method has an encoder of its own");
        }
        run.options = {.epochs = preset.epochs,
                       .batch_size = preset.batch_size,
                       .seed = static_cast<std::uint64_t>(common.seed),
                       .workers = static_cast<int>(common.workers),
                       .device = device_from(common.device),
                       .out = common.out.empty() ? detail::default_folder(about.name) : common.out,
                       .resume = common.resume,
                       .checkpoint_every = common.checkpoint_every,
                       .log_every = common.log_every,
                       .damage = run.skipped->train,
                       .identity = {{"method", preset.name},
                                    {"encoder", encoder_text(run)},
                                    {"size", std::to_string(run.size)},
                                    {"data", common.data}}};
        run.options.precision = common.precision == "auto"
                                    ? (run.options.device.is_cuda() ? Precision::bf16 : Precision::fp32)
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
        training = {{"epochs", preset.epochs},
                    {"batch_size", preset.batch_size},
                    {"optimizer", preset.optimizer.describe()},
                    {"lr", preset.lr.describe()}};
        if (preset.weight_decay) training["weight_decay"] = preset.weight_decay->describe();
        if (const auto clip = preset.clip.describe(); clip != "none") training["clipping"] = clip;
        for (const auto& freeze : preset.frozen) training["frozen"].push_back(freeze.describe());
        describe(options, ToJson{config[preset.name]});
        describe_run(common, ToJson{config["run"]});
        config["run"]["out"] = run.options.out.string();
        config["resolved"] = {{"size", run.size},
                              {"encoder", encoder_text(run)},
                              {"device", run.options.device.str()},
                              {"precision", std::string(name_of(run.options.precision))},
                              {"threads", at::get_num_threads()},
                              {"data_kind", run.data.format},
                              {"data_split", run.data.split_rule},
                              {"train_images", run.data.train.size()},
                              {"validation_images", run.data.validation.size()},
                              {"classes", run.data.train.classes()}};
        for (const auto& view : preset.views.each) config["views"].push_back(view.describe());
        config["view_plain"] = preset.views.plain.describe();
        require(preset.batch_size <= run.data.train.size(), "--batch-size ", preset.batch_size,
                " is larger than the training set (", run.data.train.size(), " images)");
        run.method = Method{preset.recipe, {.seed = static_cast<std::uint64_t>(common.seed)}};
        return execute(run);
    } catch (const Error& problem) {
        std::fprintf(stderr, "%s: %s\n", about.name.c_str(), problem.what());
        return 2;
    } catch (const c10::Error& problem) {
        const std::string text = common.verbose ? problem.what() : problem.what_without_backtrace();
        std::fprintf(stderr, "%s: %s%s\n", about.name.c_str(),
                     common.verbose ? text.c_str() : text.substr(0, text.find('\n')).c_str(),
                     common.verbose ? "" : " (--verbose tells more)");
    } catch (const std::exception& problem) { std::fprintf(stderr, "%s: %s\n", about.name.c_str(), problem.what()); }
    return 1;
}

}  // namespace doppel::cli
