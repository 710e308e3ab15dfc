// SPDX-License-Identifier: Apache-2.0
// Features as files for other programs: .npy, .csv, .safetensors.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/io/atomic_file.hpp>
#include <doppel/io/npy.hpp>
#include <doppel/io/safetensors.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iterator>
#include <map>
#include <ostream>
#include <string>
#include <vector>

namespace doppel::run {

/// Returns the name of image i for people and files: its path; "#7" for an image that is no file of its own.
inline std::string image_name(const data::Dataset& images, std::int64_t i) {
    const auto path = images.path(i);
    return path.empty() ? "#" + std::to_string(i) : path.string();
}

/// Returns the name of a label; "" for an image without one.
inline std::string class_name(const std::vector<std::string>& classes, std::int64_t label) {
    return label < 0 || label >= static_cast<std::int64_t>(classes.size()) ? "" : classes[static_cast<std::size_t>(label)];
}

namespace detail {

/// A field of a CSV file: in quotes where it has to be.
inline std::string csv_field(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + '"';
}

inline std::vector<std::int64_t> numbers_of(const Tensor& index) {
    const Tensor own = index.cpu().contiguous();
    const auto* first = own.const_data_ptr<std::int64_t>();
    return {first, first + own.numel()};
}

/// The table of file names and classes, a row for each row of the features.
inline void write_names(std::ostream& out, const std::vector<std::int64_t>& rows, const data::Dataset& images) {
    const auto classes = images.classes();
    out << "row,file,class\n";
    for (std::size_t r = 0; r < rows.size(); ++r)
        out << r << ',' << csv_field(image_name(images, rows[r])) << ',' << csv_field(class_name(classes, images.label(rows[r]))) << '\n';
}

inline void write_csv(std::ostream& out, const Tensor& features, const std::vector<std::int64_t>& rows, const data::Dataset& images) {
    const Tensor values = features.cpu().contiguous();
    const auto* value = values.const_data_ptr<float>();
    out << "file,class";
    for (std::int64_t f = 0; f < values.size(1); ++f) out << ",f" << f;
    out << '\n';
    const auto classes = images.classes();
    for (const auto i : rows) {
        std::string line = csv_field(image_name(images, i)) + ',' + csv_field(class_name(classes, images.label(i)));
        for (std::int64_t f = 0; f < values.size(1); ++f) fmt::format_to(std::back_inserter(line), ",{}", *value++);  // shortest that reads back
        out << line << '\n';
    }
}

}  // namespace detail

/// Throws Error unless the name of the file says how features are written: .npy, .csv (no patches) or .safetensors.
inline void check_feature_file(const std::filesystem::path& path, bool patches) {
    const auto kind = path.extension();
    require(kind == ".npy" || kind == ".csv" || kind == ".safetensors", "--out: ", path.string(),
            " must end in .npy, .csv or .safetensors, which decides how the features are written");
    require(kind != ".csv" || !patches, "--out: ", path.string(), ": a row of a .csv holds one image; features of patches need .npy or .safetensors");
    const auto folder = path.parent_path();
    require(folder.empty() || std::filesystem::is_directory(folder), "--out: ", path.string(), ": there is no folder ", folder.string());
}

/// Calls what it is given with the features of each batch of images, as eval::each_feature_batch does.
using FeatureBatches = std::function<void(const std::function<void(const eval::Features&)>&)>;

/// Writes features of images as .npy while they come, with NAME.files.csv beside it: one batch is in memory. Otherwise as
/// save_features(). Returns the files that were written.
///
///     run::save_npy("rows.npy", images, [&](const auto& use) { eval::each_feature_batch(net, images, pipeline, {}, use); });
inline std::vector<std::filesystem::path> save_npy(const std::filesystem::path& path, const data::Dataset& images, const FeatureBatches& batches) {
    std::vector<std::int64_t> rows;
    io::save_npy(path, [&](const auto& add) {
        batches([&](const eval::Features& part) {
            add(part.rows);
            for (const auto i : detail::numbers_of(part.index)) rows.push_back(i);
        });
    });
    auto names = path;
    names.replace_extension(".files.csv");
    io::write_atomically(names, [&](std::ostream& out) { detail::write_names(out, rows, images); });
    return {path, names};
}

/// Writes features of images, rows [N, F] or, of patches, [N, P, F], with the names of their files:
/// .npy, beside NAME.files.csv with row, file, class; .csv with file, class, f0 …; .safetensors with `features`, `labels` where
/// the images have them, and the metadata `files` and `classes` (JSON lists) and what is given. Each whole or not at all.
/// Returns the files that were written.
inline std::vector<std::filesystem::path> save_features(const std::filesystem::path& path, const eval::Features& features,
                                                        const data::Dataset& images, std::map<std::string, std::string> metadata = {}) {
    check_feature_file(path, features.rows.dim() == 3);
    const auto rows = detail::numbers_of(features.index);
    if (path.extension() == ".csv") {
        io::write_atomically(path, [&](std::ostream& out) { detail::write_csv(out, features.rows, rows, images); });
        return {path};
    }
    if (path.extension() == ".npy") return save_npy(path, images, [&](const auto& use) { use(features); });
    io::TensorFile file{.tensors = {{"features", features.rows.cpu().contiguous()}}, .metadata = std::move(metadata)};
    if (features.labels.defined()) file.tensors["labels"] = features.labels.cpu().contiguous();
    nlohmann::json files = nlohmann::json::array();
    for (const auto i : rows) files.push_back(image_name(images, i));
    using Handler = nlohmann::json::error_handler_t;
    file.metadata["files"] = files.dump(-1, ' ', false, Handler::replace);
    file.metadata["classes"] = nlohmann::json(images.classes()).dump(-1, ' ', false, Handler::replace);
    io::save_safetensors(path, file);
    return {path};
}

}  // namespace doppel::run
