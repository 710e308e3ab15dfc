// SPDX-License-Identifier: Apache-2.0
// The command line of the program that writes a trained encoder for other programs.
#pragma once

#include <doppel/cli/arguments.hpp>
#include <doppel/cli/exit_status.hpp>
#include <doppel/cli/network_choice.hpp>
#include <doppel/core/error.hpp>
#include <doppel/options/rows.hpp>
#include <doppel/run/messages.hpp>
#include <doppel/weights/encoder_file.hpp>
#include <doppel/weights/encoder_info.hpp>
#include <doppel/weights/open.hpp>
#include <doppel/weights/python_snippet.hpp>
#include <doppel/weights/torch_script.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

namespace doppel::cli {

/// What is exported.
struct ExportOptions {
    std::string arch{};
    int size = 0;
    NetworkChoice network = NetworkChoice::automatic;

    static constexpr auto fields() {
        using O = ExportOptions;
        using options::field;
        return std::tuple(field(&O::arch, "arch", "architecture, as for training; empty: told by the file"),
                          field(&O::size, "size", "side of the images; 0: told by the file", options::between(0, 4096), "px"),
                          field(&O::network, "network", "of a file with two; auto: the one that the method exports"));
    }
};
static_assert(options::described<ExportOptions>);

namespace detail {

inline int export_encoder(std::vector<std::string> words, const std::string& program) {
    ExportOptions o;
    const auto rows = options::rows_of(o);
    std::vector<std::filesystem::path> paths;
    for (; !words.empty() && !words.front().starts_with("-"); words.erase(words.begin())) paths.emplace_back(words.front());
    const auto arguments = parse(words, program + " FROM OUT",
                                 "Writes a trained encoder for other programs. FROM: a run folder, a checkpoint or a file of weights, also another library's. "
                                 "OUT: .safetensors (names of torchvision, for a ViT timm's), .pt (TorchScript, which needs neither doppel nor a network in code), "
                                 "or .onnx (a .safetensors file, and the lines of Python that make ONNX of it).",
                                 {{"Options", rows}}, "Example: " + program + " runs/photos photos.pt");
    if (!arguments.answer.empty()) return std::fputs(arguments.answer.c_str(), stdout) < 0 ? 1 : 0;
    set_given(arguments, rows);
    require(paths.size() == 2, "expected FROM and OUT before the options, got ", paths.size(), paths.size() == 1 ? " path" : " paths",
            " (--help lists the options)");
    const auto& out = paths[1];
    const auto kind = out.extension().string();
    require(kind == ".safetensors" || kind == ".pt" || kind == ".onnx", out.string(),
            ": the format follows from the extension, expected .safetensors, .pt or .onnx");

    weights::OpenOptions how{.arch = o.arch, .size = o.size};
    how.network = network_of(o.network);
    const auto opened = weights::open_encoder(paths[0], how);
    const auto info = weights::encoder_info(opened.spec);
    run::say("{}: {}, {}", opened.file.string(), info.text, opened.origin);
    for (const auto& note : opened.notes) run::say("  {}", note);
    if (!opened.left_aside.empty())
        run::say("  left aside: {}{}", opened.left_aside.front(), opened.left_aside.size() > 1 ? fmt::format(" and {} more", opened.left_aside.size() - 1) : "");

    auto metadata = info.metadata;
    for (const char* name : {"method", "step", "network", "started_from"})
        if (const auto found = opened.metadata.find(name); found != opened.metadata.end()) metadata[name] = found->second;
    metadata["feature_dim"] = std::to_string(opened.module->feature_dim());
    metadata["origin"] = opened.origin;
    const auto prepare = weights::python_prepare(opened.pipeline);
    if (kind == ".pt") {
        metadata.merge(weights::preprocessing_metadata(opened.pipeline));
        weights::save_torch_script(out, opened.spec, *opened.module, metadata);
        run::say("{}; in Python:\n\nimport torch\nnet = torch.jit.load({})\n{}", out.string(), weights::python_text(out.string()), prepare);
        return 0;
    }
    const auto file = std::filesystem::path(out).replace_extension(".safetensors");
    weights::save_encoder(file, *opened.module, opened.pipeline, metadata);
    run::say("{}; in Python:\n\n{}{}{}{}", file.string(), weights::python_network(opened.spec), weights::python_load(file.string()), prepare,
             kind == ".onnx" ? weights::python_onnx(out.string(), opened.pipeline.channels(), opened.pipeline.size()) : "");
    if (kind == ".onnx") run::say("The last lines write {}: doppel itself writes no ONNX.", out.string());
    return 0;
}

}  // namespace detail

/// Writes an encoder as the arguments say: `export FROM OUT [options]`. Returns the exit status.
///
///     int main(int argc, char** argv) { return cli::export_weights(argc, argv); }
inline int export_weights(int argc, char** argv) {
    const std::string program = argc > 0 ? std::filesystem::path(argv[0]).filename().string() : "export";
    return exit_status_of(program, [&] { return detail::export_encoder({argv + std::min(argc, 1), argv + argc}, program); });
}

}  // namespace doppel::cli
