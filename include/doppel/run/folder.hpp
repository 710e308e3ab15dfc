// SPDX-License-Identifier: Apache-2.0
// The folder of a run: new or resumed, locked while the run is active.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/io/atomic_file.hpp>
#include <doppel/io/json_lines.hpp>
#include <doppel/train/checkpoint.hpp>
#include <doppel/train/options.hpp>

#include <ctime>
#include <filesystem>
#include <string>
#include <utility>

namespace doppel::run {

/// runs/NAME-DATE-TIME, with a number behind it where that is taken.
inline std::filesystem::path default_folder(const std::string& name) {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    localtime_r(&now, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y%m%d-%H%M%S", &parts);
    const std::string base = "runs/" + name + "-" + text;
    std::string folder = base;
    for (int i = 2; std::filesystem::exists(folder); ++i) folder = base + "-" + std::to_string(i);
    return folder;
}

/// The folder of a run: --out; else that of the run or checkpoint which --resume names; else a new one.
/// Throws Error for --resume auto without --out.
inline std::filesystem::path folder_of(const train::TrainOptions& options, const std::string& name) {
    if (!options.out.empty()) return options.out;
    require(options.resume != "auto", "--resume auto: name the run folder with --out, or as --resume FOLDER");
    if (options.resume.empty()) return default_folder(name);
    const auto from = std::filesystem::absolute(options.resume).lexically_normal();
    if (std::filesystem::is_directory(from)) return options.resume;
    const auto parent = from.parent_path();
    return parent.filename() == "checkpoints" ? parent.parent_path() : default_folder(name);
}

/// Whether training has left something there: a checkpoint, weights, or figures beyond step 0.
inline bool holds_a_run(const std::filesystem::path& folder) {
    if (train::Checkpoints(folder / "checkpoints", 1).newest() || std::filesystem::exists(folder / "encoder.safetensors"))
        return true;
    if (!std::filesystem::exists(folder / "metrics.jsonl")) return false;
    for (const auto& line : io::read_json_lines(folder / "metrics.jsonl"))
        if (line.value("step", 0.0) > 0) return true;
    return false;
}

/// The run's folder, this process's own while the object lives.
/// Throws Error for a folder that holds another run, or that another process works in.
class Folder {
public:
    Folder(std::filesystem::path path, bool resumes) : path_(checked(std::move(path), resumes)), lock_(path_) {
        io::remove_partial_files(path_);
        io::remove_partial_files(path_ / "checkpoints");
    }
    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(const char* name) const { return path_ / name; }

private:
    static std::filesystem::path checked(std::filesystem::path path, bool resumes) {
        require(resumes || !holds_a_run(path), "--out: ", path.string(),
                " already contains a run; resume it with --resume auto, or choose another folder");
        io::create_folders(path);
        return path;
    }

    std::filesystem::path path_;
    io::FolderLock lock_;
};

/// Replaces the lines of metrics.jsonl whose "event" is `event` by one.
inline void write_event(const std::filesystem::path& metrics, const std::string& event, nlohmann::ordered_json line) {
    line["event"] = event;
    using Handler = nlohmann::ordered_json::error_handler_t;
    std::string kept;
    if (std::filesystem::exists(metrics))
        for (const auto& old : io::read_json_lines(metrics))
            if (old.value("event", "") != event) kept += old.dump(-1, ' ', false, Handler::replace) + '\n';
    io::write_atomically(metrics, kept + line.dump(-1, ' ', false, Handler::replace) + '\n');
}

}  // namespace doppel::run
