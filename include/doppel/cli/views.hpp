// SPDX-License-Identifier: Apache-2.0
// The command line of the program that shows what a method sees of an image.
#pragma once

#include <doppel/cli/arguments.hpp>
#include <doppel/cli/data_options.hpp>
#include <doppel/cli/exit_status.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/random.hpp>
#include <doppel/encoders/by_name.hpp>
#include <doppel/eval/report.hpp>
#include <doppel/image/decode.hpp>
#include <doppel/image/decode16.hpp>
#include <doppel/methods/entry.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/options/rows.hpp>
#include <doppel/run/messages.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace doppel::cli {

/// What is drawn of an image, and where it is written.
struct ViewsOptions {
    std::string method = "simclr", out = "views.html";
    int size = 224;
    std::int64_t draws = 4, seed = 1;

    static constexpr auto fields() {
        using O = ViewsOptions;
        using options::field;
        return std::tuple(
            field(&O::method, "method", "method whose views are drawn; its own options may follow, as for training"),
            field(&O::out, "out", "page to write"), field(&O::size, "size", "side of the views", options::between(1, 4096), "px"),
            field(&O::draws, "draws", "draws of all views", options::between(1, 1000)),
            field(&O::seed, "seed", "seed of the draws", options::between(0, 9e18)));
    }
};

namespace detail {

/// Returns the page: a row for each draw, with what each operation drew under each view.
inline eval::Report views_page(const Image& photo, const std::string& name, const views::Views& views, const ViewsOptions& o) {
    eval::ContactSheet sheet{.title = "Views", .note = "A row is a draw; under a view stands what its operations drew."};
    for (std::int64_t n = 0; n < o.draws; ++n) {
        eval::ContactSheet::Row row{.source = {photo, name}};
        for (std::size_t v = 0; v < views.pipelines.size(); ++v) {
            const random::Stream draw({.seed = static_cast<std::uint64_t>(o.seed), .index = static_cast<std::uint64_t>(n), .view = v});
            const auto& pipeline = views.pipelines[v];
            std::string lines = "view " + std::to_string(v + 1);
            for (const auto& line : pipeline.drawn(photo, draw)) lines += "; " + line;
            run::say("draw {}, {}", n + 1, lines);
            row.views.push_back({pipeline.render(photo, draw), std::move(lines)});
        }
        sheet.rows.push_back(std::move(row));
    }
    eval::Report page{.title = "Views of " + name + " by " + views.name, .sheets = {std::move(sheet)}};
    for (std::size_t v = 0; v < views.pipelines.size(); ++v)
        page.facts.emplace_back("view " + std::to_string(v + 1), views.pipelines[v].describe());
    return page;
}

inline int show_views(std::vector<std::string> words, const std::string& program, const std::vector<methods::MethodEntry>& entries) {
    ViewsOptions o;
    const auto rows = options::rows_of(o);
    std::filesystem::path path;
    if (!words.empty() && !words.front().starts_with("-")) {
        path = words.front();
        words.erase(words.begin());
    }
    for (std::size_t i = 0; i < words.size(); ++i)  // --name=value is two words
        if (const auto at = words[i].find('='); words[i].starts_with("--") && at != std::string::npos) {
            words.insert(words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words[i].substr(at + 1));
            words[i++].resize(at);
        }
    for (std::size_t i = 0; i + 1 < words.size(); ++i) {  // these decide which other options there are
        if (words[i] == "--method") o.method = words[i + 1];
        if (words[i] == "--size") require(row_named(rows, "size").set(words[i + 1]), "--size must be from 1 to 4096, got '", words[i + 1], "'");
    }
    const auto& entry = methods::find_in(entries, o.method);
    const bool transformer = entry.about.arch.starts_with("vit");
    auto values = entry.values(methods::scale_of(o.size), transformer);
    std::vector<options::Row> own;
    for (const auto& row : values.rows)
        if (row.name != "size") own.push_back(row);
    const auto arguments = parse(words, program + " IMAGE", "Draws a method's views of an image, with what each operation drew, as a page.",
                                 {{"Views", rows}, {entry.about.title, own}},
                                 "Example: " + program + " photo.jpg --method byol --draws 6 --out byol.html");
    if (!arguments.answer.empty()) return std::fputs(arguments.answer.c_str(), stdout) < 0 ? 1 : 0;
    set_given(arguments, rows);
    set_given(arguments, own);
    require(!path.empty(), "expected an image before the options (--help lists them)");
    row_named(values.rows, "size").set(std::to_string(o.size));
    const int channels = *std::get<int*>(row_named(values.rows, "channels").value);
    const Image photo = image::decode_samples(image::read_bytes(path), path.string(), {.bands = channels != 1 && channels != 3});
    const auto encoder = encoder_of({.arch = entry.about.arch}, o.size, channels);
    const auto preset = entry.preset(encoder, values, {.images = 50'000});
    eval::write_report(o.out, views_page(photo, path.filename().string(), preset.views, o));
    run::say("{}", o.out);
    return 0;
}

}  // namespace detail

/// Draws views as the arguments say: `views IMAGE --method NAME [options]`. Returns the exit status.
///
///     int main(int argc, char** argv) { return cli::views(argc, argv, methods::all()); }
inline int views(int argc, char** argv, const std::vector<methods::MethodEntry>& entries) {
    const std::string program = argc > 0 ? std::filesystem::path(argv[0]).filename().string() : "views";
    return exit_status_of(program, [&] { return detail::show_views({argv + std::min(argc, 1), argv + argc}, program, entries); });
}

}  // namespace doppel::cli
