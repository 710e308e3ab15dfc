// SPDX-License-Identifier: Apache-2.0
// The command line of the program that shows a step of a run again.
#pragma once

#include <doppel/cli/arguments.hpp>
#include <doppel/cli/config_file.hpp>
#include <doppel/cli/exit_status.hpp>
#include <doppel/cli/prepare.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/random.hpp>
#include <doppel/eval/collapse.hpp>
#include <doppel/eval/report.hpp>
#include <doppel/io/safetensors.hpp>
#include <doppel/methods/entry.hpp>
#include <doppel/options/rows.hpp>
#include <doppel/run/context.hpp>
#include <doppel/run/messages.hpp>
#include <doppel/run/skipped.hpp>
#include <doppel/run/start.hpp>
#include <doppel/train/replay.hpp>

#include <ATen/Parallel.h>
#include <ATen/ops/clamp.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace doppel::cli {

/// Which step is shown, and where.
struct ReplayOptions {
    std::int64_t step = 0, rows = 16;
    bool views_only = false;
    std::string out{}, tensors{};

    static constexpr auto fields() {
        using O = ReplayOptions;
        using options::field;
        return std::tuple(field(&O::step, "step", "step that is shown, counted from 1", options::at_least(0)),
                          field(&O::rows, "rows", "images of the step that are shown", options::between(1, 10'000)),
                          field(&O::views_only, "views-only", "only images and views, which need no network"),
                          field(&O::out, "out", "page to write; empty: replay-STEP.html in the run folder"),
                          field(&O::tensors, "tensors", "safetensors file for views, outputs and loss of the step; empty: none"));
    }
};

namespace detail {

/// The views' and branches' tensors that are there, as "view 1 projected".
template <class Use>
void each_output(const Outputs& outputs, Use&& use) {
    for (const auto& [name, list] : {std::pair<const char*, const std::vector<Tensor>&>{"features", outputs.features},
                                     {"projected", outputs.projected}, {"online", outputs.online}, {"target", outputs.target}})
        for (std::size_t v = 0; v < list.size(); ++v)
            if (list[v].defined()) use(name, v, list[v]);
}

/// Cosines of each row of `a` with each row of `b` [rows, rows], float32.
inline Tensor cosines(const Tensor& a, const Tensor& b) {
    const auto unit = [](const Tensor& rows) {
        const Tensor z = rows.to(at::kFloat);
        return z / z.norm(2, 1, true).clamp_min(1e-12);
    };
    return unit(a).mm(unit(b).t());
}

/// A matrix of cosines as a picture: −1 black, 1 white, and each value some pixels wide.
inline Image picture_of(const Tensor& cosines) {
    const auto rows = static_cast<int>(cosines.size(0));
    const int wide = std::max(1, 224 / rows);
    const Tensor values = at::clamp((cosines + 1) * 127.5, 0, 255).to(at::kByte).contiguous();
    Image image(rows * wide, rows * wide, 1);
    for (int y = 0; y < image.height; ++y)
        for (int x = 0; x < image.width; ++x) image.at(x, y)[0] = values.const_data_ptr<std::uint8_t>()[(y / wide) * rows + x / wide];
    return image;
}

/// The embeddings of the first two views that have some.
inline std::vector<std::pair<std::size_t, Tensor>> two_embeddings(const Outputs& outputs) {
    std::vector<std::pair<std::size_t, Tensor>> found;
    const auto& list = outputs.projected.empty() ? outputs.features : outputs.projected;
    for (std::size_t v = 0; v < list.size() && found.size() < 2; ++v)
        if (list[v].defined() && list[v].dim() == 2) found.emplace_back(v, list[v]);
    if (found.size() == 2 && found[0].second.sizes() != found[1].second.sizes()) found.pop_back();
    return found;
}

/// One of a batch's views as an image.
inline Image view_of(const Tensor& view, std::int64_t row) {
    const Tensor planes = view[row].permute({1, 2, 0}).contiguous();  // [H, W, C]
    Image image(static_cast<int>(planes.size(1)), static_cast<int>(planes.size(0)), static_cast<int>(planes.size(2)));
    std::copy_n(planes.const_data_ptr<std::uint8_t>(), image.pixels.size(), image.pixels.data());
    return image;
}

/// The images with their views, and what each operation drew; with outputs, how alike the embeddings of two views are.
inline eval::ContactSheet replayed_images(const train::ReplayedViews& seen, const run::Context& run, const Outputs* outputs, std::int64_t rows) {
    eval::ContactSheet sheet{.title = "Images and views",
                             .note = "A row is an image of the step; under a view stands what its operations drew."};
    const auto two = outputs ? two_embeddings(*outputs) : std::vector<std::pair<std::size_t, Tensor>>{};
    const Tensor alike = two.size() == 2 ? cosines(two[0].second, two[1].second) : Tensor{};  // [B, B]
    const auto classes = run.data.train.classes();
    for (std::int64_t r = 0; r < std::min(rows, seen.batch.index.size(0)); ++r) {
        const auto i = seen.batch.index[r].item<std::int64_t>();
        const Image image = run.data.train.image(i);
        const auto label = run.data.train.label(i);
        std::string caption = fmt::format("image {}", i);
        if (label >= 0 && label < static_cast<std::int64_t>(classes.size())) caption += ", " + classes[static_cast<std::size_t>(label)];
        if (alike.defined() && r < alike.size(0))
            caption += fmt::format("; cosine of views {} and {}: {:.3f}", two[0].first + 1, two[1].first + 1, alike[r][r].item<double>());
        eval::ContactSheet::Row row{.source = {image, std::move(caption)}};
        for (std::size_t v = 0; v < seen.batch.views.size(); ++v) {
            const random::Stream draw({.seed = static_cast<std::uint64_t>(run.options.train.seed),
                                       .epoch = static_cast<std::uint64_t>(seen.epoch),
                                       .index = static_cast<std::uint64_t>(seen.drawn[static_cast<std::size_t>(r)]),
                                       .view = v});
            std::string drawn = fmt::format("view {}", v + 1);
            for (const auto& line : run.preset.views.pipelines[v].drawn(image, draw)) drawn += "; " + line;
            row.views.push_back({view_of(seen.batch.views[v], r), std::move(drawn)});
        }
        sheet.rows.push_back(std::move(row));
    }
    return sheet;
}

/// What the loss compared, as figures and, for two views, as a picture.
inline void add_outputs(eval::Report& page, const Outputs& outputs) {
    each_output(outputs, [&](const char* name, std::size_t v, const Tensor& rows) {
        if (rows.dim() != 2) return;
        const Tensor z = rows.to(at::kFloat);
        page.figures.push_back({fmt::format("{}, view {}", name, v + 1), fmt::format("{} x {}", z.size(0), z.size(1)),
                                fmt::format("mean length {:.4g}{}", z.norm(2, 1).mean().item<double>(),
                                            z.size(0) < 2 ? ""
                                                          : fmt::format("; spread {:.2f}, where about 1 is healthy and 0 is collapse",
                                                                        eval::feature_std(z).item<double>() *
                                                                            std::sqrt(static_cast<double>(z.size(1)))))});
    });
    const auto two = two_embeddings(outputs);
    if (two.size() < 2) return;
    eval::ContactSheet sheet{.title = "Embeddings",
                             .note = "Cosines of the embeddings of one view (rows) with those of the other (columns): white 1, gray 0, black -1. "
                                     "The diagonal holds the two views of one image."};
    sheet.rows.push_back({.source = {picture_of(cosines(two[0].second, two[1].second)),
                                     fmt::format("views {} and {}", two[0].first + 1, two[1].first + 1)}});
    page.sheets.push_back(std::move(sheet));
}

inline void save_tensors(const std::filesystem::path& path, const train::ReplayedViews& seen, const train::Replay* again) {
    io::TensorFile file;
    for (std::size_t v = 0; v < seen.batch.views.size(); ++v) file.tensors[fmt::format("view.{}", v + 1)] = seen.batch.views[v];
    file.tensors["index"] = seen.batch.index;
    if (seen.batch.label.defined()) file.tensors["label"] = seen.batch.label;
    file.metadata["step"] = std::to_string(seen.step);
    if (again) {
        each_output(again->report.outputs, [&](const char* name, std::size_t v, const Tensor& rows) {
            file.tensors[fmt::format("{}.{}", name, v + 1)] = rows.contiguous();
        });
        file.tensors["loss"] = again->report.loss.cpu();
    }
    io::save_safetensors(path, file);
}

/// Splits words into those of `own` options and others: --name VALUE, --name=VALUE, switches.
inline std::pair<std::vector<std::string>, std::vector<std::string>> split_words(const std::vector<std::string>& words,
                                                                                 const std::vector<options::Row>& own) {
    std::pair<std::vector<std::string>, std::vector<std::string>> parts;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const auto name = words[i].substr(0, words[i].find('='));
        const auto row = std::find_if(own.begin(), own.end(), [&](const auto& one) { return name == "--" + one.name; });
        const bool help = words[i] == "--help" || words[i] == "-h" || words[i] == "--version";
        (row != own.end() || help ? parts.first : parts.second).push_back(words[i]);
        if (row != own.end() && !row->is_switch() && name == words[i] && i + 1 < words.size()) parts.first.push_back(words[++i]);
    }
    return parts;
}

/// The number of threads that the run's tensor operations had: sums are added in another order with another number.
inline void take_threads(const std::filesystem::path& config) {
    std::ifstream in(config);
    const auto content = nlohmann::ordered_json::parse(in, nullptr, false);
    if (content.contains("resolved") && content["resolved"].contains("threads") && content["resolved"]["threads"].is_number_integer())
        if (const auto threads = content["resolved"]["threads"].get<int>(); threads > 0) at::set_num_threads(threads);
}

inline int replay(std::vector<std::string> words, const std::string& program, const std::vector<methods::MethodEntry>& entries,
                  const CustomData& custom) {
    ReplayOptions o;
    const auto rows = options::rows_of(o);
    std::filesystem::path folder;
    if (!words.empty() && !words.front().starts_with("-")) {
        folder = words.front();
        words.erase(words.begin());
    }
    auto [own, others] = split_words(words, rows);
    const auto arguments = parse(own, program + " RUN",
                                 "Shows a step of a run again: its images, views, outputs and loss, as a page. All is a function of seed and "
                                 "step; weights come from the newest checkpoint before it, from which it trains up to the step, or from the seed.",
                                 {{"Replay", rows}},
                                 "Other options are those of training, for what has changed since: --data where the images lie now, --device.\n"
                                 "Example: " + program + " runs/mine --step 1200");
    if (!arguments.answer.empty()) return std::fputs(arguments.answer.c_str(), stdout) < 0 ? 1 : 0;
    set_given(arguments, rows);
    require(!folder.empty(), "expected a run folder before the options (--help lists them)");
    const auto config = folder / "config.json";
    require(std::filesystem::exists(config), folder.string(), " is no run folder: it has no config.json");
    require(o.step >= 1, "--step names the step that is shown, counted from 1; it was not given");
    const std::string method = ConfigFile(config).method();
    const auto& entry = methods::find_in(entries, method);
    const bool threads_given = std::any_of(others.begin(), others.end(), [](const auto& word) { return word.starts_with("--threads"); });
    others.insert(others.begin(), {"--config", config.string(), "--resume", folder.string()});
    auto prepared = prepare(others, program, entry, custom);
    if (const auto* status = std::get_if<int>(&prepared)) return *status;
    auto& [preset, data, options, processes] = std::get<Prepared>(prepared);
    require(processes == 1, "--processes: a step is shown by one process; leave it out");
    run::Context run{.preset = std::move(preset), .data = std::move(data), .options = std::move(options)};
    run.encoder = run.options.encoder;
    run::prepare_start(run);
    if (!threads_given) take_threads(config);
    run::Skipped skipped(run.options.strict);
    run.options.train.damaged = skipped.train;

    const auto seen = train::replay_views(run.preset, run.data.train, run.options.train, o.step);
    eval::Report page{.title = fmt::format("Step {} of {}", o.step, std::filesystem::weakly_canonical(folder).filename().string())};
    page.facts = {{"method", entry.about.title}, {"step", fmt::format("{} (epoch {})", o.step, seen.epoch + 1)},
                  {"seed", std::to_string(run.options.train.seed)}};
    if (run.options.train.accumulate > 1)
        page.facts.emplace_back("passes", fmt::format("{} per step; images, views and outputs are those of the last", run.options.train.accumulate));
    page.details.push_back({.title = "Views"});
    for (std::size_t v = 0; v < run.preset.views.pipelines.size(); ++v)
        page.details.back().facts.emplace_back(fmt::format("view {}", v + 1), run.preset.views.pipelines[v].describe());
    std::optional<train::Replay> again;
    if (!o.views_only) {
        run::say("training up to step {}", o.step);
        auto said = std::chrono::steady_clock::now();
        const auto progress = [&](std::int64_t done, std::int64_t of) {
            const auto now = std::chrono::steady_clock::now();
            if (now - said < std::chrono::seconds(10)) return;
            said = now;
            run::say("{} of {} steps", done, of);
        };
        const auto start = [&](const AnyMethod& fresh) {
            if (!run.options.init.empty()) run::start_from(run, fresh);
        };
        again = train::replay(run.preset, run.data.train, run.options.train, folder, o.step, progress, start);
        for (const auto& warning : again->warnings) run::say("warning: {}", warning);
        const auto& report = again->report;
        const std::string weights = !again->checkpoint.empty() ? again->checkpoint.string() : run.options.init.empty() ? "those of the seed" : run.started_from;
        const auto steps = o.step - 1 - again->from;
        const auto began = fmt::format("{}, then {} step{} of training", weights, steps, steps == 1 ? "" : "s");
        run::say("weights: {}", began);
        page.facts.emplace_back("weights", began);
        const std::string loss = fmt::format("{}", report.loss.item<double>());
        run::say("step {}: loss {}, learning rate {}{}", o.step, loss, report.lr, report.taken ? "" : "; the step was skipped");
        page.facts.emplace_back("loss", loss + (report.taken ? "" : " (the step was skipped)"));
        std::string log = again->logged ? fmt::format("metrics.jsonl at step {}: loss {}, replayed {}: {}", again->logged_at, *again->logged, again->loss,
                                                      again->agrees() ? "the same" : "they differ")
                                        : fmt::format("metrics.jsonl has no loss at step {}", again->logged_at);
        if (again->logged && !again->agrees())
            log += "; on another device, with another number of threads or after a resume in these steps they may, by a little";
        run::say("{}", log);
        page.facts.emplace_back("the log", log);
        for (const auto& [name, value] : report.metrics)
            if (name != "loss" && name != "images_per_second" && name != "train_seconds" && name != "data_wait")
                page.figures.push_back({name, fmt::format("{:.6g}", value), "of this step"});
    }
    page.sheets.push_back(replayed_images(seen, run, again ? &again->report.outputs : nullptr, o.rows));
    if (again) add_outputs(page, again->report.outputs);
    const auto out = o.out.empty() ? folder / fmt::format("replay-{}.html", o.step) : std::filesystem::path(o.out);
    eval::write_report(out, page);
    if (!o.tensors.empty()) {
        save_tensors(o.tensors, seen, again ? &*again : nullptr);
        run::say("{}", o.tensors);
    }
    run::say("{}", out.string());
    return 0;
}

}  // namespace detail

/// Shows a step of a run again as the arguments say: `replay RUN --step N [options]`. Returns the exit status.
///
///     int main(int argc, char** argv) { return cli::replay(argc, argv, methods::all()); }
inline int replay(int argc, char** argv, const std::vector<methods::MethodEntry>& entries, const CustomData& own = {}) {
    const std::string program = argc > 0 ? std::filesystem::path(argv[0]).filename().string() : "replay";
    return exit_status_of(program, [&] { return detail::replay({argv + std::min(argc, 1), argv + argc}, program, entries, own); });
}

}  // namespace doppel::cli
