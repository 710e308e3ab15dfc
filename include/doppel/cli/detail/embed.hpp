// SPDX-License-Identifier: Apache-2.0
// The embedding program: part of doppel::compiled.
#pragma once

#include <doppel/cli/embed.hpp>
#include <doppel/cli/arguments.hpp>
#include <doppel/cli/exit_status.hpp>
#include <doppel/cli/opened_encoder.hpp>
#include <doppel/core/device.hpp>
#include <doppel/core/compiled.hpp>
#include <doppel/core/error.hpp>
#include <doppel/data/damaged_images.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/data/whole.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/eval/knn.hpp>
#include <doppel/eval/report.hpp>
#include <doppel/image/decode.hpp>
#include <doppel/options/rows.hpp>
#include <doppel/run/feature_file.hpp>
#include <doppel/run/messages.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace doppel::cli {

/// Which images, and what becomes of their features.
struct EmbedOptions {
    std::string data{}, out{}, nearest{}, page = "nearest.html";
    bool unlabeled = false, patches = false;
    data::Folders folders = data::Folders::automatic;
    std::int64_t k = 10;

    static constexpr auto fields() {
        using O = EmbedOptions;
        using options::field;
        return std::tuple(
            field(&O::data, "data", "images: a folder, a list of files, tar files, binaries as for training, or 'embedded'; those of all splits"),
            field(&O::folders, "folders", "what the subfolders are; auto: splits if they have the names of splits, else classes"),
            field(&O::unlabeled, "unlabeled", "subfolders are no classes: every image at any depth"),
            field(&O::out, "out", "file to write: .npy (with the names in NAME.files.csv; written batch by batch, so of any length), .csv or .safetensors; empty: features.npy, or nothing "
                  "with --nearest"),
            field(&O::patches, "patches", "features of every patch [N, P, F] in place of one row an image"),
            field(&O::nearest, "nearest", "an image file: print and draw the images that are most like it"),
            field(&O::k, "k", "how many of them", options::between(1, 1000)),
            field(&O::page, "page", "page that shows them"));
    }
};
static_assert(options::described<EmbedOptions>);

namespace detail {

/// One image file as a data set.
struct OneImage {
    std::filesystem::path file;

    std::int64_t size() const { return 1; }
    Image image(std::int64_t) const { return image::read(file); }
    std::int64_t label(std::int64_t) const { return data::unlabeled; }
    std::vector<std::string> classes() const { return {}; }
    std::filesystem::path path(std::int64_t) const { return file; }
};

inline data::Whole images_to_embed(const EmbedOptions& o, int size) {
    require(!o.data.empty(), "--data is missing: a folder of images, a list of files, tar files, binaries, or 'embedded'");
    if (o.data == "embedded")
        return {.images = data::Embedded({.size = std::max(size, 8), .count = 1000, .first = std::int64_t{1} << 40}), .format = "embedded"};
    return data::whole(o.data, {.folders = o.folders, .unlabeled = o.unlabeled, .progress = {.say = [](const std::string& line) { run::say("{}", line); }}});
}

/// Prints and draws the images whose features are nearest to those of --nearest.
inline void show_nearest(const EmbedOptions& o, const eval::Features& query, const eval::Features& rows, const data::Dataset& images) {
    const auto found = eval::nearest(query.rows, rows.rows, {.k = std::min<std::int64_t>(o.k, rows.rows.size(0))});
    const Tensor places = found.indices[0].cpu(), cosines = found.similarities[0].cpu();
    const auto classes = images.classes();
    eval::NeighborSheet sheet{.title = "Most alike", .note = "Left: the given image. Right: those with the largest cosine of the features."};
    eval::NeighborSheet::Row row{.query = {image::read(o.nearest), o.nearest}};
    for (std::int64_t j = 0; j < places.size(0); ++j) {
        const auto i = rows.index[places[j].item<std::int64_t>()].item<std::int64_t>();
        const auto name = run::class_name(classes, images.label(i));
        std::printf("%lld\t%.4f\t%s%s%s\n", static_cast<long long>(j + 1), cosines[j].item<double>(), run::image_name(images, i).c_str(),
                    name.empty() ? "" : "\t", name.c_str());
        const auto file = images.path(i).filename().string();
        row.nearest.push_back({.image = images.image(i), .label = name.empty() ? file : name, .similarity = cosines[j].item<double>()});
    }
    sheet.rows.push_back(std::move(row));
    eval::write_report(o.page, {.title = "Images like " + std::filesystem::path(o.nearest).filename().string(), .neighbors = {std::move(sheet)}});
    run::say("{}", o.page);
}

inline int embed(std::vector<std::string> words, const std::string& program) {
    EmbedOptions o;
    OpenedOptions encoder;
    const auto rows = options::rows_of(o), encoder_rows = options::rows_of(encoder);
    const auto path = first_word(words);
    const auto arguments = parse(words, program + " ENCODER",
                                 "Writes the features of images, by an encoder of a run folder, a checkpoint or a file of weights, and finds similar images.",
                                 {{"Images and features", rows}, {"Encoder", encoder_rows}},
                                 "Examples: " + program + " runs/photos --data photos --out photos.npy\n          " + program +
                                     " resnet50.safetensors --data photos --nearest cat.jpg");
    if (!arguments.answer.empty()) return std::fputs(arguments.answer.c_str(), stdout) < 0 ? 1 : 0;
    set_given(arguments, rows);
    set_given(arguments, encoder_rows);
    require(!path.empty(), "expected a run folder, a checkpoint or a file of weights before the options (--help lists them)");
    if (o.out.empty() && o.nearest.empty()) o.out = "features.npy";
    if (!o.out.empty()) run::check_feature_file(o.out, o.patches);
    require(!o.patches || o.nearest.empty(), "--nearest compares whole images; leave --patches out");

    auto [opened, how] = open_for_features(path, encoder);
    auto found = images_to_embed(o, opened.pipeline.size());
    how.damage = std::make_shared<data::DamagedImages>([](const data::Damage& report) { run::say("skipped a damaged image: {}", report.reason); });
    for (const auto& line : found.notes) run::say("{}", line);
    for (const auto& line : found.skipped) run::say("skipped: {}", line);
    std::optional<eval::Features> query;
    if (!o.nearest.empty()) query = eval::features(opened.module, data::Dataset(OneImage{o.nearest}), opened.pipeline, {});  // first: it may be no image
    run::say("{}: {} images, {}", o.data, found.images.size(), found.format);
    if (o.patches) how.feature = {.kind = eval::Feature::Kind::patches};
    if (!query && std::filesystem::path(o.out).extension() == ".npy") {  // which may have more rows than fit into memory
        const auto batches = [&](const auto& use) { eval::each_feature_batch(opened.module, found.images, opened.pipeline, how, use); };
        for (const auto& file : run::save_npy(o.out, found.images, batches)) run::say("{}", file.string());
        return 0;
    }
    const auto features = eval::features(opened.module, found.images, opened.pipeline, how);
    if (!o.out.empty()) {
        auto metadata = opened.metadata;
        metadata["encoder"] = path.string();
        metadata["feature"] = how.feature.name();
        for (const auto& file : run::save_features(o.out, features, found.images, metadata)) run::say("{}", file.string());
    }
    if (query) show_nearest(o, *query, features, found.images);
    return 0;
}

}  // namespace detail

DOPPEL_BODY int embed(int argc, char** argv) {
    const std::string program = argc > 0 ? std::filesystem::path(argv[0]).filename().string() : "embed";
    return exit_status_of(program, [&] { return detail::embed({argv + std::min(argc, 1), argv + argc}, program); });
}

}  // namespace doppel::cli
