// SPDX-License-Identifier: Apache-2.0
// docs/options.md: every option of every method, as the training program knows them.
#pragma once

#include <doppel/cli/data_options.hpp>
#include <doppel/methods/entry.hpp>
#include <doppel/options/json.hpp>
#include <doppel/run/options.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace doppel::cli {

/// Returns the document in Markdown.
inline std::string options_document(const std::vector<methods::MethodEntry>& entries) {
    DataOptions data;
    EncoderOptions encoder;
    run::RunOptions run{.train = {.seed = 1}};
    std::string text =
        "# Options\n\nAll options of `./run train METHOD`. Written by `./run train --options > docs/options.md`; do not edit.\n"
        "In config.json and in files for `--config` the names have underscores: `batch_size`. Switches are turned off by `--no-NAME`.\n"
        "\n## Images\n\n" + options::markdown(options::rows_of(data)) + "\n## Encoder\n\n" +
        options::markdown(options::rows_of(encoder)) + "\n## Run\n\n" + options::markdown(options::rows_of(run));
    for (const auto& entry : entries) {
        const bool transformer = entry.about.arch.starts_with("vit");
        const auto large = entry.values(methods::Scale::imagenet, transformer), small = entry.values(methods::Scale::small, transformer);
        text += "\n## " + entry.about.title + "\n\n`./run train " + entry.about.name + "`: " + entry.about.text + " " +
                entry.about.paper + (transformer ? "; values for a ViT." : ".") +
                "\n\n| option | from 64 px | below 64 px | meaning | values |\n|---|---|---|---|---|\n";
        for (std::size_t i = 0; i < large.rows.size(); ++i) {
            const auto& row = large.rows[i];
            if (row.name == "size") continue;
            text += "| `--" + row.name + "` | " + row.text() + " | " + small.rows[i].text() + " | " + row.meaning +
                    (row.unit.empty() ? "" : " (" + row.unit + ")") + " | " + row.expected() + " |\n";
        }
    }
    return text;
}

}  // namespace doppel::cli
