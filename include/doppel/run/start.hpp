// SPDX-License-Identifier: Apache-2.0
// What a run starts from: random weights, or an encoder's from elsewhere.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/recipe/any_method.hpp>
#include <doppel/run/context.hpp>
#include <doppel/weights/load.hpp>
#include <doppel/weights/preprocessing.hpp>

#include <filesystem>
#include <string>

namespace doppel::run {

/// Loads the weights of --init into a method's online encoder and into its target network's, which starts as a copy.
/// Returns what was read. Throws Error for a file that does not fit the encoder, with each tensor that differs.
inline weights::Report start_from(const Context& run, const AnyMethod& method) {
    try {
        auto report = weights::load_into(run.options.init, *method.encoder(Network::online));
        if (method.encoder(Network::target) != method.encoder(Network::online)) weights::load_into(run.options.init, *method.encoder(Network::target));
        return report;
    } catch (const Error& problem) { fail("--init: ", problem.what()); }
}

/// What checkpoints say about the encoder, so that weights::open_encoder() builds it: architecture, preprocessing, and the
/// network that the method exports.
inline weights::Metadata about_encoder(const Context& run) {
    weights::Metadata about;
    for (const auto& [name, value] : run.encoder.metadata) about["encoder." + name] = value;
    if (run.pipeline().size() > 0)
        for (const auto& [name, value] : weights::preprocessing_metadata(run.pipeline())) about["encoder." + name] = value;
    about["encoder.network"] = run.preset.export_encoder == Network::online ? "online" : "target";
    return about;
}

/// Notes in the options what the run starts from: part of its identity, since a resumed run must have had the same start.
inline void prepare_start(Context& run) {
    run.options.train.about.merge(about_encoder(run));
    const std::string& init = run.options.init;
    if (init.empty()) return;
    try {
        const auto file = weights::file_of(init);
        run.started_from = file.string();
        run.options.train.identity["weights it starts from"] = file.filename().string() + " " + weights::checksum_of(file);
    } catch (const Error& problem) { fail("--init: ", problem.what()); }
}

}  // namespace doppel::run
