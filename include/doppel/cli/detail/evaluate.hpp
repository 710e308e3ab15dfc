// SPDX-License-Identifier: Apache-2.0
// The evaluating program: part of doppel::compiled.
#pragma once

#include <doppel/cli/evaluate.hpp>
#include <doppel/cli/arguments.hpp>
#include <doppel/cli/config_file.hpp>
#include <doppel/cli/data_options.hpp>
#include <doppel/cli/exit_status.hpp>
#include <doppel/cli/number_list.hpp>
#include <doppel/cli/opened_encoder.hpp>
#include <doppel/core/compiled.hpp>
#include <doppel/core/error.hpp>
#include <doppel/eval/cka.hpp>
#include <doppel/run/evaluate.hpp>
#include <doppel/run/evaluation_files.hpp>

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace doppel::cli {

/// What is measured, and where it is written.
struct EvaluateOptions {
    std::string feature = "output", k = "20,1,5,200", temperature = "0.1", labels = "1", against{}, out{};
    bool linear = true, sgd_probe = false, fine_tune = false, baselines = true, strict = false;
    std::int64_t augmented = 256, seed = 1;

    static constexpr auto fields() {
        using O = EvaluateOptions;
        using options::field;
        return std::tuple(
            field(&O::feature, "feature", "which feature of the encoder is judged: output; of a ViT the class tokens of the last blocks, cls1, cls4 or cls4+mean"),
            field(&O::k, "k", "neighbors that vote in k-NN, a list; the first is the headline"),
            field(&O::temperature, "temperature", "of the votes, exp(cosine / temperature), a list"),
            field(&O::linear, "linear", "fit a linear probe: logistic regression to convergence on the features"),
            field(&O::sgd_probe, "sgd-probe", "also train the papers' linear probe: SGD with augmentation on the frozen encoder (its options below)"),
            field(&O::fine_tune, "fine-tune", "also fine-tune a copy of the encoder (its options below)"),
            field(&O::labels, "labels", "parts of the labels that linear probe and fine-tuning learn from, a list, as in 0.01,0.1,1"),
            field(&O::baselines, "baselines", "measure the untrained network and raw pixels too"),
            field(&O::augmented, "augmented", "validation images whose augmented views alignment and LiDAR look at; 0: neither",
                  options::between(0, 1e6)),
            field(&O::against, "against", "another encoder: linear CKA tells how alike both see the validation images, 0 to 1"),
            field(&O::strict, "strict", "end with an error at a damaged image, instead of skipping it"),
            field(&O::seed, "seed", "of the untrained network, of what the probe holds out and of held-out images", options::between(0, 9e18)),
            field(&O::out, "out", "folder for evaluation.json and report.html; empty: evaluation/ in the run folder, or evaluation-NAME/"));
    }
};
static_assert(options::described<EvaluateOptions>);

namespace detail {

inline run::EvaluateOptions measured_by(const EvaluateOptions& o, bool typed_k, const eval::LinearProbeOptions& sgd_probe,
                                        const eval::FineTuneOptions& fine_tune) {
    return {.measures = {.k = number_list<std::int64_t>("k", o.k, 1, 1'000'000),
                         .temperatures = number_list<double>("temperature", o.temperature, 1e-4, 100),
                         .linear = o.linear,
                         .label_shares = number_list<double>("labels", o.labels, 1e-6, 1),
                         .seed = static_cast<std::uint64_t>(o.seed),
                         .strict_k = typed_k},
            .baselines = o.baselines,
            .augmented = o.augmented,
            .sgd_probe = o.sgd_probe ? std::optional(sgd_probe) : std::nullopt,
            .fine_tune = o.fine_tune ? std::optional(fine_tune) : std::nullopt,
            .say = [](const std::string& line) { run::say("{}", line); }};
}

/// Returns the folder of the run that a path belongs to: itself, that of its weights or of its checkpoint; empty for other files.
inline std::filesystem::path run_folder_of(const std::filesystem::path& path) {
    if (std::filesystem::is_directory(path)) return path;
    const auto parent = std::filesystem::absolute(path).lexically_normal().parent_path();
    const auto folder = parent.filename() == "checkpoints" ? parent.parent_path() : parent;
    return std::filesystem::exists(folder / "config.json") && std::filesystem::exists(folder / "metrics.jsonl") ? folder : std::filesystem::path();
}

inline std::filesystem::path evaluation_folder(const std::filesystem::path& encoder, const std::string& out) {
    if (!out.empty()) return out;
    if (std::filesystem::is_directory(encoder)) return encoder / "evaluation";
    return "evaluation-" + encoder.stem().string();
}

inline int evaluate(std::vector<std::string> words, const std::string& program) {
    EvaluateOptions o;
    OpenedOptions encoder;
    DataOptions data;
    const auto rows = options::rows_of(o), encoder_rows = options::rows_of(encoder), all_data_rows = options::rows_of(data);
    std::vector<options::Row> data_rows;
    for (const auto& row : all_data_rows)
        if (row.name != "size") data_rows.push_back(row);  // the encoder's
    eval::LinearProbeOptions sgd_probe;
    eval::FineTuneOptions fine_tune;
    const auto probe_rows = options::rows_of(sgd_probe);
    std::vector<options::Row> tune_rows;
    for (const auto& row : options::rows_of(fine_tune))
        if (row.name != "fine-tune-labels") tune_rows.push_back(row);  // --labels
    const auto path = first_word(words);
    const auto arguments =
        parse(words, program + " ENCODER",
              "Judges an encoder: that of a run folder or a checkpoint, or a file of weights, also one trained elsewhere. Nothing is trained but probes.",
              {{"What is measured", rows}, {"Data (default: the run's own)", data_rows}, {"Encoder", encoder_rows}, {"Linear probe by SGD", probe_rows}, {"Fine-tuning", tune_rows}},
              "Examples: " + program + " runs/photos\n          " + program + " resnet50.safetensors --data photos --labels 0.01,0.1,1");
    if (!arguments.answer.empty()) return std::fputs(arguments.answer.c_str(), stdout) < 0 ? 1 : 0;
    require(!path.empty(), "expected a run folder, a checkpoint or a file of weights before the options (--help lists them)");
    require(std::filesystem::exists(path), path.string(), ": no such file or folder; expected a run folder, a checkpoint or a file of weights");
    set_given(arguments, rows);
    set_given(arguments, encoder_rows);
    set_given(arguments, probe_rows);
    set_given(arguments, tune_rows);
    for (const auto& [given, used] : {std::pair("probe-", o.sgd_probe), std::pair("fine-tune-", o.fine_tune)})
        for (const auto& [name, value] : arguments.given)
            require(used || !name.starts_with(given), "--", name, " has no effect without --", given[0] == 'p' ? "sgd-probe" : "fine-tune");
    require(o.feature == "output" || !o.fine_tune, "--fine-tune trains on the encoder's output; leave --feature out");
    const auto folder = run_folder_of(path);
    const bool of_run = std::filesystem::exists(folder / "config.json");
    run::RunOptions run_options{.train = {.seed = o.seed}};
    if (of_run) {
        const ConfigFile config((folder / "config.json").string());
        config.apply("data", all_data_rows);
        config.apply("run", options::rows_of(run_options));
        data.size = 0;
    }
    set_given(arguments, data_rows);
    require(of_run || arguments.given.contains("data"), "--data is missing: images to judge ", path.string(),
            " by, a folder of class folders, a list of files …, or 'embedded'");
    const auto feature = eval::Feature::named(o.feature);
    require(feature.kind != eval::Feature::Kind::patches, "--feature patches is not one row an image; ./run embed --patches writes them");
    const bool own_data = of_run && !arguments.given.contains("data");
    require(!own_data || data.data == "embedded" || std::filesystem::exists(data.data) || data.data.find('{') != std::string::npos, path.string(),
            ": the images of its run, ", data.data, " by config.json, are not there; name them with --data");
    sgd_probe.feature = feature;
    const auto how = measured_by(o, arguments.given.contains("k"), sgd_probe, fine_tune);
    if (data.threads > 0) at::set_num_threads(static_cast<int>(data.threads));

    auto [opened, features] = open_for_features(path, encoder);
    if (const auto normalize = normalize_of(data, opened.pipeline.channels())) opened.pipeline = opened.pipeline.with_normalize(*normalize);
    features.feature = feature;
    data.size = opened.pipeline.size();
    const auto samples = samples_of(data, opened.pipeline.channels());
    auto splits = open_data(data, static_cast<std::uint64_t>(own_data ? run_options.train.seed : o.seed),
                            own_data ? folder / "images.tsv" : std::filesystem::path(), {}, samples);
    if (samples) read_samples(splits, data, *samples, false);
    auto images = run::data_from(std::move(splits), data_name(data));
    const auto skipped = std::make_shared<run::Skipped>(o.strict);
    skipped->add_files(images.skipped);
    const auto& bank = images.bank.empty() ? images.train : images.bank;
    for (const auto k : how.measures.k)
        require(!how.measures.strict_k || k <= bank.size(), "--k ", k, " is more than the ", bank.size(), " images to compare with");
    run::say("{}: {} images to compare with, {} to judge by ({})", images.name, bank.size(), images.validation.size(), images.split_rule);
    if (!bank.labeled() || !images.validation.labeled())
        run::say("the images have no labels: only what needs none is measured; --data or --val with labeled images, in folders by class, enables the rest");

    std::optional<weights::OpenedEncoder> other;
    if (!o.against.empty()) other = open_for_features(o.against, encoder).first;

    const auto out = evaluation_folder(path, o.out);
    auto found = run::evaluate(opened, images, features, how, skipped);
    if (other)
        found.measures.attempt("CKA with " + o.against, [&] {
            features.feature = {};
            features.damage = skipped->validation;
            const auto theirs = eval::features(other->module, images.validation, other->pipeline, features);
            found.measures.figures["cka"] = eval::linear_cka(found.rows.queries.rows, theirs.rows, {.debiased = true});
        });
    io::create_folders(out);
    std::fputs(run::evaluation_table(found).c_str(), stdout);
    run::write_evaluation(out, {.file = path, .opened = opened, .images = images, .feature = feature, .how = how, .skipped = skipped}, found);
    run::say("{}", (out / "report.html").string());
    return 0;
}

}  // namespace detail

DOPPEL_BODY int evaluate(int argc, char** argv) {
    const std::string program = argc > 0 ? std::filesystem::path(argv[0]).filename().string() : "evaluate";
    return exit_status_of(program, [&] { return detail::evaluate({argv + std::min(argc, 1), argv + argc}, program); });
}

}  // namespace doppel::cli
