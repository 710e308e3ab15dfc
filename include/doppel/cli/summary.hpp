// SPDX-License-Identifier: Apache-2.0
// What a run tells: the lines at its start and end, the encoder's file, the report.
#pragma once

#include <doppel/cli/job.hpp>
#include <doppel/cli/say.hpp>
#include <doppel/core/version.hpp>
#include <doppel/eval/attention.hpp>
#include <doppel/eval/attention_pictures.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/eval/knn.hpp>
#include <doppel/eval/report.hpp>
#include <doppel/io/json_lines.hpp>
#include <doppel/image/channels.hpp>
#include <doppel/image/write_png.hpp>
#include <doppel/image/resize.hpp>
#include <doppel/io/safetensors.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace doppel::cli {

inline std::int64_t parameter_count(const torch::nn::Module& module) {
    std::int64_t count = 0;
    for (const Tensor& parameter : module.parameters()) count += parameter.numel();
    return count;
}

/// The encoder in words.
inline std::string encoder_text(const Job& job) {
    return job.own_encoder ? "an encoder of its own" : encoder_text(job.encoder);
}

/// The lines before training.
inline void say_plan(const Job& job, bool labelled) {
    const auto& train = job.data.train;
    const auto classes = train.classes().size();
    say("{}: {} of {} px with {} ({:.1f} M parameters), {}, {}", job.about.title, job.options.batch_size, job.size,
        encoder_text(job), static_cast<double>(parameter_count(*job.method.encoder(Network::online))) / 1e6,
        job.options.device.str(), name_of(job.options.precision));
    say("data: {} training and {} validation images{}{}", train.size(), job.data.validation.size(),
        classes > 0 ? fmt::format(", {} classes", classes) : "", job.data.split_rule.empty() ? "" : " (" + job.data.split_rule + ")");
    if (!labelled) say("there are no labels for k-NN, so there will be no knn_* figures");
    say("run folder: {}", job.options.out.string());
}

/// The lines after training.
inline void say_result(const Job& job, const nlohmann::ordered_json& end, bool labelled) {
    say("trained {} steps in {}, {:.0f} images/s", end["step"].get<std::int64_t>(),
        train::duration_text(end["train_seconds"].get<double>()), end["train_images_per_second"].get<double>());
    if (end["skipped_steps"] != 0)
        say("{} steps were skipped, because loss or gradients were not finite", end["skipped_steps"].get<std::int64_t>());
    if (job.skipped->count() > 0)
        say("{} damaged or unreadable image files were left out: {}", job.skipped->count(),
            (job.options.out / "skipped.jsonl").string());
    if (labelled)
        say("k-NN (k = {}): {:.1f} %   untrained encoder {:.1f} %   raw pixels {:.1f} %", job.common.k,
            100 * end["knn_top1"].get<double>(), 100 * end["knn_top1_random"].get<double>(),
            100 * end["knn_top1_pixels"].get<double>());
    if (end.contains("attention_on_objects"))
        say("attention on the objects: {:.1f} %   untrained encoder {:.1f} %   even {:.1f} %",
            100 * end["attention_on_objects"].get<double>(), 100 * end["attention_on_objects_random"].get<double>(),
            100 * end["objects_share"].get<double>());
    say("report:  {}", (job.options.out / "report.html").string());
    say("encoder: {}", (job.options.out / "encoder.safetensors").string());
}

/// encoder.safetensors: torchvision's names, and in the metadata what a program needs to use the weights.
inline void save_encoder(const Job& job, std::int64_t steps) {
    const auto encoder = job.method.encoder(job.evaluate);
    io::TensorFile file;
    for (const auto& item : encoder->named_parameters())
        file.tensors[item.key()] = item.value().detach().cpu().contiguous();
    for (const auto& item : encoder->named_buffers()) file.tensors[item.key()] = item.value().cpu().contiguous();
    const auto text = [](const auto& value) {
        std::ostringstream out;
        out << value;
        return out.str();
    };
    const auto list = [](const auto& values) {
        std::ostringstream out;
        for (std::size_t i = 0; i < 3; ++i) out << (i ? "," : "") << values[i];
        return out.str();
    };
    const auto normalize = job.plan.views.plain.normalize();
    file.metadata = {{"format", "pt"},
                     {"feature_dim", text(job.method.feature_dim())},
                     {"image_size", text(job.size)},
                     {"channels", text(job.common.channels)},
                     {"mean", list(normalize.mean)},
                     {"std", list(normalize.std)},
                     {"preprocessing", job.plan.views.plain.describe()},
                     {"interpolation", job.size < 64 ? "bilinear" : "bicubic"},
                     {"method", job.config["method"].get<std::string>()},
                     {"step", text(steps)},
                     {"network", job.evaluate == Network::online ? "online" : "target"},
                     {"doppel", version}};
    if (job.own_encoder) {
        file.metadata["arch"] = "custom";
    } else if (const auto* net = std::get_if<encoders::ResNet>(&job.encoder.spec)) {
        file.metadata["arch"] = "resnet" + text(net->depth);
        file.metadata["width"] = text(net->width);
        file.metadata["stem"] = name_of(net->stem);
    } else if (const auto* vit = std::get_if<encoders::Vit>(&job.encoder.spec)) {
        file.metadata["arch"] = vit->name();
        file.metadata["patch"] = text(vit->patch);
        file.metadata["heads"] = text(vit->resolved().heads);
    }
    io::save_safetensors(job.options.out / "encoder.safetensors", file);
}

namespace detail {

/// A curve of one key of metrics.jsonl over the epochs; empty when no line has it.
inline eval::Curve curve_of(const std::vector<nlohmann::ordered_json>& lines, const std::string& key,
                            const std::string& name, const std::string& y_label) {
    eval::Curve curve{.name = name, .x_label = "epoch", .y_label = y_label, .series = {{}}};
    for (const auto& line : lines)
        if (line.contains(key) && line[key].is_number() && line.contains("epoch"))
            curve.series[0].points.emplace_back(line["epoch"].get<double>(), line[key].get<double>());
    return curve;
}

/// Rows of up to `count` images, of as many classes as there are.
inline std::vector<std::int64_t> examples_of(const data::Dataset& images, const Tensor& index, std::size_t count) {
    std::vector<std::int64_t> chosen;
    std::set<std::int64_t> seen;
    const auto* numbers = index.const_data_ptr<std::int64_t>();
    for (std::int64_t row = 0; row < index.size(0) && chosen.size() < count; ++row)
        if (seen.insert(images.label(numbers[row])).second) chosen.push_back(row);
    for (std::int64_t row = 0; row < index.size(0) && chosen.size() < count; ++row)
        if (std::find(chosen.begin(), chosen.end(), row) == chosen.end()) chosen.push_back(row);
    return chosen;
}

inline std::string label_of(const data::Dataset& images, std::int64_t i) {
    const auto label = images.label(i);
    const auto classes = images.classes();
    return label == data::unlabeled || label >= static_cast<std::int64_t>(classes.size())
               ? ""
               : classes[static_cast<std::size_t>(label)];
}

}  // namespace detail

/// Where a Vision Transformer looks in some validation images; also written as attention.png. Nothing for other encoders.
inline std::optional<eval::ContactSheet> attention_sheet(const Job& job, const eval::Features& queries) {
    if (!eval::has_attention(job.method, job.evaluate)) return std::nullopt;
    const auto& validation = job.data.validation;
    std::vector<std::int64_t> which;
    for (const auto row : detail::examples_of(validation, queries.index, 8))
        which.push_back(queries.index[row].item<std::int64_t>());
    const Tensor maps = eval::attention(job.method, validation, job.plan.views.plain, which, job.evaluate);
    eval::ContactSheet sheet{.title = "Where the network looks",
                             .note = "Left: a validation image. Right: what the class token of the last block takes from "
                                     "each patch, brighter where it is more: the mean of all heads, then each head.",
                             .rows = {}};
    std::vector<std::vector<Image>> pictures;
    for (std::size_t i = 0; i < which.size(); ++i) {
        const Tensor map = maps[static_cast<std::int64_t>(i)];  // [heads, rows, columns]
        Image seen = job.plan.views.plain.render(validation.image(which[i]), random::Stream({}));
        if (const int times = 96 / seen.width; times > 1)  // small images by a whole factor, for the map's sake
            seen = image::resize(seen, seen.width * times, seen.height * times);
        pictures.push_back({image::with_channels(seen, 3), eval::attention_picture(seen, map.mean(0))});
        eval::ContactSheet::Row row{.source = {seen, detail::label_of(validation, which[i])},
                                    .views = {{pictures.back().back(), "mean"}}};
        for (std::int64_t h = 0; h < map.size(0); ++h) {
            pictures.back().push_back(eval::attention_picture(seen, map[h]));
            row.views.push_back({pictures.back().back(), fmt::format("head {}", h + 1)});
        }
        sheet.rows.push_back(std::move(row));
    }
    image::write_png(job.options.out / "attention.png", eval::sheet(pictures));
    return sheet;
}

/// The report of a finished run.
inline eval::Report report_of(const Job& job, const eval::Features& bank, const eval::Features& queries,
                              const eval::Neighbors& nearest, const nlohmann::ordered_json& end, bool labelled) {
    const auto& [train, validation, kind, how, left_out] = job.data;
    eval::Report report{.title = job.about.title + " on " +
                                 (job.common.data == "embedded"
                                      ? "the embedded images"
                                      : std::filesystem::path(job.common.data).filename().string())};
    report.summary = fmt::format("{} was trained without labels on {} images for {} epochs ({} steps, {}). {}",
                                 job.encoder.name(), train.size(), job.options.epochs, end["step"].get<std::int64_t>(),
                                 train::duration_text(end["train_seconds"].get<double>()),
                                 labelled ? "Labels were used only afterwards, to see what the features are worth."
                                          : "The images have no labels, so the features are shown, not scored.");
    if (labelled)
        report.measures = eval::knn_headline({.trained = end["knn_top1"],
                                              .untrained = end["knn_top1_random"],
                                              .pixels = end["knn_top1_pixels"],
                                              .k = job.common.k,
                                              .classes = static_cast<std::int64_t>(train.classes().size())});
    report.facts = {
        {"method", job.about.title},
        {"encoder", fmt::format("{}, {} features", encoder_text(job), job.method.feature_dim())},
        {"images", fmt::format("{} to train on, {} to evaluate on ({})", train.size(), validation.size(), kind)},
        {"split", how},
        {"optimizer", job.plan.optimizer.describe()},
        {"learning rate", job.plan.lr.describe()},
        {"batch size", std::to_string(job.options.batch_size)},
        {"seed", std::to_string(job.options.seed)},
        {"device", job.options.device.str() + ", " + std::string(name_of(job.options.precision))},
        {"speed", fmt::format("{:.0f} images/s", end["train_images_per_second"].get<double>())},
        {"left out", job.skipped->count() == 0 ? "nothing"
                                               : fmt::format("{} damaged or unreadable files, see skipped.jsonl",
                                                             job.skipped->count())},
        {"version", std::string("doppel ") + version},
        {"view", job.plan.views.each.front().describe()}};

    const auto lines = io::read_json_lines(job.options.out / "metrics.jsonl");
    for (auto curve : {detail::curve_of(lines, "loss", "Loss", "NT-Xent"),
                       detail::curve_of(lines, "lr", "Learning rate", "learning rate"),
                       detail::curve_of(lines, "feature_std", "Spread of the features", "std of unit-norm features"),
                       detail::curve_of(lines, "knn_top1", "k-NN accuracy", "share"),
                       detail::curve_of(lines, "images_per_second", "Speed", "images/s")}) {
        if (curve.series[0].points.size() < 2) continue;
        if (curve.name == "k-NN accuracy") curve.y_low = 0, curve.y_high = 1;
        if (curve.name == "Speed" || curve.name == "Spread of the features" || curve.name == "Learning rate")
            curve.y_low = 0;
        if (curve.name == "Loss") curve.y_label = "loss";
        report.curves.push_back(std::move(curve));
    }

    eval::ContactSheet sheet{
        .title = "What the network saw",
        .note = "Left: an image. Right: the views of it that the first epochs used, a new pair each epoch.",
        .rows = {}};
    for (const std::int64_t row_of_image : detail::examples_of(train, bank.index, 6)) {
        const auto i = bank.index[row_of_image].item<std::int64_t>();
        const Image image = train.image(i);
        eval::ContactSheet::Row row{.source = {image, detail::label_of(train, i)}, .views = {}};
        for (std::uint64_t epoch = 0; epoch < 3; ++epoch)
            for (std::size_t v = 0; v < job.plan.views.each.size(); ++v)
                row.views.push_back(
                    {job.plan.views.each[v].render(image, random::Stream({.seed = job.options.seed,
                                                                          .epoch = epoch,
                                                                          .index = static_cast<std::uint64_t>(i),
                                                                          .view = v})),
                     fmt::format("epoch {}", epoch + 1)});
        sheet.rows.push_back(std::move(row));
    }
    report.sheets.push_back(std::move(sheet));

    eval::NeighborSheet neighbors{.title = "Nearest neighbors",
                                    .note =
                                        "Left: a validation image. Right: the training images that the encoder finds "
                                        "most alike, with the cosine of their features.",
                                    .rows = {}};
    const Tensor indices = nearest.indices.cpu(), similarities = nearest.similarities.cpu();
    for (const std::int64_t q : detail::examples_of(validation, queries.index, 10)) {
        const auto i = queries.index[q].item<std::int64_t>();
        eval::NeighborSheet::Row row{.query = {validation.image(i), detail::label_of(validation, i)}, .nearest = {}};
        for (std::int64_t j = 0; j < std::min<std::int64_t>(6, indices.size(1)); ++j) {
            const auto n = bank.index[indices[q][j].item<std::int64_t>()].item<std::int64_t>();
            row.nearest.push_back(
                {.image = train.image(n),
                 .label = detail::label_of(train, n),
                 .similarity = similarities[q][j].item<double>(),
                 .right = labelled ? std::optional(train.label(n) == validation.label(i)) : std::nullopt});
        }
        neighbors.rows.push_back(std::move(row));
    }
    report.neighbors.push_back(std::move(neighbors));
    if (auto where = attention_sheet(job, queries)) report.sheets.push_back(std::move(*where));

    report.figures = {{"feature_std", fmt::format("{:.4f}", end["feature_std"].get<double>()),
                       fmt::format("spread of the unit-norm features: about {:.3f} is healthy, 0 is collapse",
                                   1 / std::sqrt(static_cast<double>(job.method.feature_dim())))},
                      {"effective_rank", fmt::format("{:.1f}", end["effective_rank"].get<double>()),
                       fmt::format("how many of the {} feature directions are in use", job.method.feature_dim())}};
    if (end.contains("attention_on_objects"))
        report.figures.push_back({"attention_on_objects", fmt::format("{:.3f}", end["attention_on_objects"].get<double>()),
                                  fmt::format("share of the class token's attention that falls on the objects, of the head "
                                              "with the most; {:.3f} with the untrained encoder, {:.3f} if it were "
                                              "the same everywhere",
                                              end["attention_on_objects_random"].get<double>(),
                                              end["objects_share"].get<double>())});
    return report;
}

}  // namespace doppel::cli
