// SPDX-License-Identifier: Apache-2.0
// The command line of the program that packs a data set into one file.
#pragma once

#include <doppel/cli/arguments.hpp>
#include <doppel/cli/exit_status.hpp>
#include <doppel/core/error.hpp>
#include <doppel/data/pack.hpp>
#include <doppel/options/rows.hpp>
#include <doppel/run/messages.hpp>
#include <doppel/train/interrupt.hpp>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace doppel::cli {

namespace detail {

/// Says how many lines there are, and the first ones.
inline void say_some(const std::vector<std::string>& lines, const std::string& what) {
    if (lines.empty()) return;
    run::say("{} {}:", lines.size(), what);
    constexpr std::size_t most = 10;
    for (std::size_t i = 0; i < std::min(lines.size(), most); ++i) run::say("  {}", lines[i]);
    if (lines.size() > most) run::say("  and {} more", lines.size() - most);
}

inline int pack(std::vector<std::string> words, const std::string& program) {
    data::PackOptions o{.progress = {.say = [](const std::string& line) { run::say("{}", line); }}};
    const auto rows = options::rows_of(o);
    std::vector<std::filesystem::path> paths;
    for (; !words.empty() && !words.front().starts_with("-"); words.erase(words.begin())) paths.emplace_back(words.front());
    const auto arguments = parse(words, program + " DATA OUT",
                                 "Packs a data set into one file for --data: folders of images (class folders, splits, flat), lists of "
                                 "files, tar files, CIFAR and STL-10 binaries, or IDX files. JPEG files are written anew without loss, so that parts of them are quick to decode.",
                                 {{"Options", rows}}, "Example: " + program + " photos photos.dop --largest-side 512");
    if (!arguments.answer.empty()) return std::fputs(arguments.answer.c_str(), stdout) < 0 ? 1 : 0;
    set_given(arguments, rows);
    require(paths.size() == 2, "expected DATA and OUT before the options, got ", paths.size(), paths.size() == 1 ? " path" : " paths",
            " (--help lists the options)");

    train::Interrupt interrupt;
    std::signal(SIGXFSZ, SIG_IGN);  // a limit on files is an error of the write
    o.before_each = [&] { require(interrupt.signal() == 0, "interrupted; ", paths[1].string(), " was not written"); };
    const auto report = data::pack_path(paths[0], paths[1], o);
    for (const auto& line : report.notes) run::say("{}", line);
    say_some(report.skipped, report.skipped.size() == 1 ? "file was skipped" : "files were skipped");
    run::say("{}: {} training and {} validation images, {:.1f} MB", paths[1].string(), report.train, report.validation,
             static_cast<double>(report.bytes) / 1e6);
    return 0;
}

}  // namespace detail

/// Packs a data set as the arguments say: `pack DATA OUT [options]`. Returns the exit status.
///
///     int main(int argc, char** argv) { return cli::pack(argc, argv); }
inline int pack(int argc, char** argv) {
    const std::string program = argc > 0 ? std::filesystem::path(argv[0]).filename().string() : "pack";
    return exit_status_of(program, [&] { return detail::pack({argv + std::min(argc, 1), argv + argc}, program); });
}

}  // namespace doppel::cli
