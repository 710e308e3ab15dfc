// SPDX-License-Identifier: Apache-2.0
// A whole run of one method from the command line.
#pragma once

#include <doppel/cli/exit_status.hpp>
#include <doppel/cli/options.hpp>
#include <doppel/cli/rows.hpp>
#include <doppel/core/version.hpp>
#include <doppel/methods/entry.hpp>
#include <doppel/run/run.hpp>

#include <ATen/Parallel.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace doppel::cli {

namespace detail {

struct Arguments {
    DataOptions data{};
    EncoderOptions encoder{};
    MachineOptions machine{};
    run::RunOptions run{};
};

/// Sets what stands on the command line in `arguments` and in the rows of the method; nothing, or the exit status.
inline std::optional<int> parse(int argc, char** argv, const methods::MethodText& about, Arguments& arguments,
                                const std::vector<options::Row>& method) {
    CLI::App app(about.title + ": " + about.text, argc > 0 ? std::filesystem::path(argv[0]).filename().string() : about.name);
    app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);  // the last one counts
    app.set_help_flag("-h,--help", "show this and stop")->group("Run");
    app.get_formatter()->column_width(34);
    app.set_version_flag("--version", std::string("doppel ") + version)->group("Run");
    add_rows(app, options::rows_of(arguments.data), "Data");
    add_rows(app, options::rows_of(arguments.encoder), "Encoder");
    add_rows(app, method, about.title);
    add_rows(app, options::rows_of(arguments.run), "Run");
    add_rows(app, options::rows_of(arguments.machine), "Run");
    app.footer("A run leaves config.json, metrics.jsonl, checkpoints/, encoder.safetensors and report.html in its folder.\n"
               "Example: " + app.get_name() + " --data photos --size 128 --epochs 100 --out runs/photos");
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& success) { return app.exit(success); } catch (const CLI::ParseError& problem) {
        std::string text = problem.what();
        text.resize(std::min(text.size(), text.find('\n')));
        std::fprintf(stderr, "%s: %s (--help lists the options)\n", about.name.c_str(), text.c_str());
        return 2;
    }
    return std::nullopt;
}

inline const options::Row& row(const std::vector<options::Row>& rows, const std::string& name) {
    for (const auto& one : rows)
        if (one.name == name) return one;
    fail("the method has no option ", name);
}

}  // namespace detail

/// A whole program for one method. The method's defaults follow from the size of the images and the kind of encoder; what
/// stands on the command line overrides them. Exit status: 0; 2 for wrong input (one line on stderr); 1 for anything else;
/// 130, 143 after signals.
inline int run(int argc, char** argv, const methods::MethodEntry& entry) {
    detail::Arguments given;
    given.encoder.arch = entry.about.arch;
    return exit_status(entry.about.name, given.machine.verbose, [&]() -> int {
        auto first = entry.values(methods::Scale::small);
        detail::row(first.rows, "size").set("1");  // stays 1 where --size is not given
        if (const auto status = detail::parse(argc, argv, entry.about, given, first.rows)) return *status;
        const int asked = std::stoi(detail::row(first.rows, "size").text());
        auto data = data_from(given.data, asked > 1 ? std::max(asked, 8) : 32, static_cast<std::uint64_t>(given.run.train.seed));
        const int size = asked > 1 ? asked : size_for(data.train);
        auto values = entry.values(methods::scale_of(size), given.encoder.arch.starts_with("vit"));
        if (const auto status = detail::parse(argc, argv, entry.about, given, values.rows)) return *status;
        detail::row(values.rows, "size").set(std::to_string(size));
        if (given.machine.threads > 0) at::set_num_threads(static_cast<int>(given.machine.threads));
        const auto channels = std::stoll(detail::row(values.rows, "channels").text());
        require(channels == 1 || channels == 3, "--channels must be 1 or 3, got ", channels);
        const auto encoder = encoder_from(given.encoder, size, channels);
        given.run.title = entry.about.title;
        given.run.uses_labels = entry.about.labels;
        given.run.encoder = run::encoder_info(encoder);
        for (int i = 0; i < argc; ++i) given.run.record["command_line"].push_back(argv[i]);
        const auto preset = entry.preset(encoder, values, {.images = data.train.size()});
        return doppel::run::run(preset, std::move(data), given.run).status();
    });
}

}  // namespace doppel::cli
