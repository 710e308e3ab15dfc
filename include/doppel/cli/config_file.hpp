// SPDX-License-Identifier: Apache-2.0
// --config FILE: a run's config.json, or a file with the same keys written by hand.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/options/json.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::cli {

/// The settings of a configuration file, by section: "data", "encoder", "options" (the method's), "run".
///
///     {"method": "byol", "options": {"epochs": 200, "momentum": 0.996}, "run": {"seed": 1}}
class ConfigFile {
public:
    ConfigFile() = default;
    /// Throws Error for a file that cannot be read, is no JSON object, or has unknown sections.
    explicit ConfigFile(const std::filesystem::path& path) : path_(path.string()) {
        std::ifstream in(path);
        require(in.is_open(), "--config: ", path_, ": cannot be read");
        try {
            content_ = nlohmann::ordered_json::parse(in);
        } catch (const std::exception& problem) { fail("--config: ", path_, " is not valid JSON: ", problem.what()); }
        require(content_.is_object(), "--config: ", path_, " must hold a JSON object");
        static constexpr std::array<std::string_view, 5> settings{"method", "data", "encoder", "options", "run"};
        static constexpr std::array<std::string_view, 11> records{"doppel",  "torch",    "started",  "host",  "git",      "program",
                                                                 "command", "training", "resolved", "views", "view_eval"};
        std::vector<std::string> names(settings.begin(), settings.end());
        for (const auto& [key, value] : content_.items()) {
            if (std::find(settings.begin(), settings.end(), key) != settings.end()) continue;
            if (std::find(records.begin(), records.end(), key) != records.end()) continue;
            const auto near = options::nearest_name(key, names);
            fail("--config: ", path_, ": there is no section '", key, "'", near.empty() ? "" : "; did you mean '" + near + "'?",
                 " (method, data, encoder, options, run)");
        }
    }

    /// The method's name; empty where the file names none.
    std::string method() const { return content_.value("method", std::string()); }

    /// Sets what a section names. Throws Error for an unknown key and for a value that may not stand there. The folder of
    /// another run is not taken over.
    void apply(const std::string& section, const std::vector<options::Row>& rows) const {
        if (!content_.contains(section)) return;
        auto values = content_[section];
        if (section == "run" && content_.contains("resolved"))
            for (const char* own : {"out", "resume"}) values.erase(own);
        options::from_json("--config: " + path_ + ": " + section, rows, values);
    }

private:
    std::string path_{};
    nlohmann::ordered_json content_ = nlohmann::ordered_json::object();
};

}  // namespace doppel::cli
