// SPDX-License-Identifier: Apache-2.0
// Weights of a file into an encoder, with every difference reported.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/io/detail/crc.hpp>
#include <doppel/io/safetensors.hpp>
#include <doppel/recipe/any_method.hpp>
#include <doppel/weights/architecture.hpp>
#include <doppel/weights/names.hpp>
#include <doppel/weights/preprocessing.hpp>

#include <ATen/ops/cat.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/upsample_bicubic2d.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace doppel::weights {

/// What load_into() did, tensor by tensor.
struct Report {
    std::filesystem::path file{};             ///< the file that was read
    std::string origin{};                     ///< "MoCo (authors), module.encoder_q"
    std::string architecture{};               ///< of the file's encoder, "resnet50"; empty for one that doppel does not have
    std::int64_t loaded = 0;                  ///< tensors of the encoder that have the file's values
    std::vector<std::string> missing{};       ///< names of the encoder that the file lacks
    std::vector<std::string> extra{};         ///< names of the file's encoder that have no place in this one
    std::vector<std::string> other_shape{};   ///< "conv1.weight is [64, 3, 7, 7] in the file and [64, 3, 3, 3] in the encoder"
    std::vector<std::string> left_aside{};    ///< names of the file that are no part of an encoder: heads, queues …
    std::vector<std::string> notes{};         ///< what was converted: positions, scales
    Metadata metadata{};                      ///< of the file; of a checkpoint what it says about the encoder

    bool complete() const { return missing.empty() && extra.empty() && other_shape.empty(); }
    /// Returns the differences in one line with up to `most` tensors of each kind; empty without differences.
    std::string differences(std::size_t most = 8) const {
        std::ostringstream text;
        for (const auto& [what, names] : {std::pair("missing: ", &missing), {"without a place in the encoder: ", &extra}, {"of another shape: ", &other_shape}}) {
            if (names->empty()) continue;
            text << (text.tellp() > 0 ? "; " : "") << what;
            for (std::size_t i = 0; i < std::min(most, names->size()); ++i) text << (i ? ", " : "") << (*names)[i];
            if (names->size() > most) text << " and " << names->size() - most << " more";
        }
        return text.str();
    }
};

/// How load_into() reads.
struct LoadOptions {
    std::optional<Network> network{};  ///< of a file that has two; see named_encoder()
    bool partial = false;              ///< keep what the file lacks or has in another shape, instead of throwing
};

namespace detail {

/// The newest checkpoint of a run folder; empty without any.
inline std::filesystem::path newest_checkpoint(const std::filesystem::path& folder) {
    std::filesystem::path newest;
    std::error_code none;
    const auto key = [](const std::filesystem::path& path) { return std::pair(path.filename().string().size(), path.filename().string()); };
    for (const auto& item : std::filesystem::directory_iterator(folder / "checkpoints", none))
        if (const auto name = item.path().filename().string(); name.starts_with("step-") && name.ends_with(".safetensors") && (newest.empty() || key(newest) < key(item.path())))
            newest = item.path();
    return newest;
}

}  // namespace detail

/// The file of weights that a path means; of a run folder its checkpoint if `both_networks` are asked for. Throws Error for a path without one, and for PyTorch's own format.
inline std::filesystem::path file_of(const std::filesystem::path& path, bool both_networks = false) {
    std::error_code none;
    require(std::filesystem::exists(path, none), "weights: ", path.string(), ": No such file; expected a safetensors file, a checkpoint or a run folder");
    std::filesystem::path file = path;
    if (std::filesystem::is_directory(path)) {
        for (const auto& candidate : {both_networks ? detail::newest_checkpoint(path) : std::filesystem::path(), path / "encoder.safetensors",
                                      detail::newest_checkpoint(path), path / "model.safetensors"})
            if (!candidate.empty() && std::filesystem::exists(candidate)) {
                file = candidate;
                break;
            }
        require(file != path, "weights: ", path.string(), ": the folder has no encoder.safetensors, no checkpoints and no model.safetensors");
    }
    char start[9] = {};
    std::ifstream(file, std::ios::binary).read(start, sizeof start);
    const bool pytorch = start[8] != '{' && (std::string_view(start, 2) == "PK" || start[0] == '\x80');  // a zip or a pickle
    require(!pytorch, "weights: ", file.string(), ": is in PyTorch's own format; ./run convert ", file.string(), ' ',
            std::filesystem::path(file).replace_extension(".safetensors").string(), " makes a safetensors file of it");
    return file;
}

/// The CRC-32 of a file's bytes, as hexadecimal digits. Throws Error for a file that cannot be read.
inline std::string checksum_of(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    io::detail::Crc32 crc;
    std::vector<char> part(1 << 20);
    while (in.read(part.data(), static_cast<std::streamsize>(part.size())) || in.gcount() > 0) crc.update(part.data(), static_cast<std::size_t>(in.gcount()));
    require(in.eof(), "weights: ", file.string(), ": cannot be read");
    std::ostringstream text;
    text << std::hex << std::setw(8) << std::setfill('0') << crc.value();
    return text.str();
}

namespace detail {

inline bool is_checkpoint(const io::TensorFile& file) {
    const auto format = file.metadata.find("format");
    return format != file.metadata.end() && format->second.starts_with("doppel checkpoint");
}

/// What the metadata say about the encoder: of a checkpoint the entries "encoder.…", without that.
inline Metadata metadata_of(const io::TensorFile& file) {
    if (!is_checkpoint(file)) return file.metadata;
    Metadata metadata;
    constexpr std::string_view prefix = "encoder.";
    for (const auto& [name, value] : file.metadata)
        if (name.starts_with(prefix)) metadata[name.substr(prefix.size())] = value;
    for (const auto& [name, entry] : {std::pair("method", "run.method"), {"step", "counter.step"}})
        if (const auto found = file.metadata.find(entry); found != file.metadata.end()) metadata[name] = found->second;
    return metadata;
}

/// Position embeddings [1, 1 + from², D] for another grid, [1, 1 + to², D]: bicubic, as encoders::Vit does for images of another size.
inline Tensor positions_for(const Tensor& positions, std::int64_t to) {
    const std::int64_t from = grid_side(positions);
    const Tensor wide = positions.to(at::kFloat);
    const Tensor map = wide.slice(1, 1).transpose(1, 2).unflatten(2, {from, from});  // [1, D, from, from]
    const Tensor resized = at::upsample_bicubic2d(map, {to, to}, /*align_corners=*/false);
    return at::cat({wide.slice(1, 0, 1), resized.flatten(2).transpose(1, 2)}, 1);
}

using Own = std::map<std::string, Tensor>;

inline Own tensors_in(const torch::nn::Module& module) {
    Own own;
    for (const auto& item : module.named_parameters()) own[item.key()] = item.value();
    for (const auto& item : module.named_buffers()) own[item.key()] = item.value();
    return own;
}

/// Compares and copies. Throws Error where the file does not fit, before anything is copied.
inline void copy_into(Own& own, Tensors from, Report& report, const std::string& who, bool partial) {
    std::vector<std::pair<Tensor, Tensor>> copies;
    for (auto& [name, to] : own) {
        const auto found = from.find(name);
        if (found == from.end()) {
            if (name.ends_with("num_batches_tracked")) continue;  // older files lack it; nothing depends on it
            if (name == "mask_token")
                report.notes.push_back("the mask token keeps its own values: the file has none");
            else
                report.missing.push_back(name);
            continue;
        }
        Tensor& value = found->second;
        if (name == "pos_embed" && value.dim() == 3 && to.dim() == 3 && value.size(2) == to.size(2) && value.sizes() != to.sizes() && grid_side(value) > 0 && grid_side(to) > 0) {
            report.notes.push_back("position embeddings interpolated from " + std::to_string(grid_side(value)) + " x " + std::to_string(grid_side(value)) +
                                   " to " + std::to_string(grid_side(to)) + " x " + std::to_string(grid_side(to)) + " patches");
            value = positions_for(value, grid_side(to));
        }
        if (value.sizes() != to.sizes()) {
            std::ostringstream text;
            text << name << " is " << value.sizes() << " in the file and " << to.sizes() << " in the encoder";
            report.other_shape.push_back(text.str());
            continue;
        }
        require(!value.is_floating_point() || at::isfinite(value).all().item<bool>(), who, ": ", name, " holds values that are not finite");
        copies.emplace_back(to, value);
    }
    for (const auto& [name, value] : from)
        if (!own.contains(name)) (name == "mask_token" ? report.left_aside : report.extra).push_back(name);
    const std::string what = report.origin + (report.architecture.empty() ? "" : ", " + report.architecture);
    require(partial || report.complete(), who, what.empty() ? "" : " (" + what + ")", " does not fit the encoder: ", report.differences());
    require(!copies.empty(), who, what.empty() ? "" : " (" + what + ")", " has no tensor that fits the encoder: ", report.differences());
    const at::NoGradGuard no_grad;
    for (auto& [to, value] : copies) to.copy_(value);
    report.loaded = static_cast<std::int64_t>(copies.size());
}

/// Whether all of a module's tensors are a ResNet's or a Vision Transformer's.
inline bool is_shipped(const Own& own) {
    for (const auto& one : encoders_in({.tensors = own}))
        if (one.prefix.empty()) {
            std::vector<std::string> others, ignored;
            renamed(own, {one.naming, ""}, others, ignored);
            return others.empty();
        }
    return false;
}

/// The file's tensors under the encoder's names: as they are if all of the encoder's are there, else as named_encoder() finds them.
inline Tensors tensors_for(const Own& own, const io::TensorFile& file, Report& report, const std::string& who, std::optional<Network> network) {
    const auto has_all = [&](const std::string& prefix) {
        return std::all_of(own.begin(), own.end(), [&](const auto& item) { return file.tensors.contains(prefix + item.first); });
    };
    const auto behind = [&](const std::string& prefix) {
        Tensors tensors;
        for (const auto& [name, tensor] : file.tensors)
            if (name.starts_with(prefix))
                tensors[name.substr(prefix.size())] = tensor;
            else
                report.left_aside.push_back(name);
        return tensors;
    };
    if (!is_shipped(own) && has_all("")) return file.tensors;
    if (!encoders_in(file).empty()) {
        auto found = named_encoder(file, who, network);
        try {
            report.architecture = architecture_of(found, report.metadata, who).name();
        } catch (const Error&) {}  // another network: its tensors do not fit
        report.origin = std::move(found.origin);
        report.left_aside = std::move(found.left_aside);
        report.notes = std::move(found.notes);
        return std::move(found.tensors);
    }
    if (is_checkpoint(file)) return behind(network == Network::target && has_all("target.encoder.") ? "target.encoder." : "encoder.");
    return file.tensors;
}

}  // namespace detail

/// Loads weights into an encoder, on any device: those of save_encoder(), of a checkpoint or a run folder, or of another library
/// under the names that named_encoder() knows. Classifier heads, queues and other networks are left aside, position embeddings
/// are interpolated to the encoder's grid, values are converted to its type.
/// Throws Error for a file that cannot be read, and for one that does not fit: with the tensors that are missing, have no
/// place, or have another shape; the encoder is then unchanged. With `partial` it takes what fits and returns the rest.
///
///     auto encoder = encoders::ResNet{.depth = 50}.build();
///     weights::Report report = weights::load_into("moco_v2_800ep.safetensors", *encoder);   // report.left_aside: the heads
inline Report load_into(const std::filesystem::path& path, const torch::nn::Module& encoder, const LoadOptions& options = {}) {
    Report report{.file = file_of(path, options.network.has_value())};
    const std::string who = "weights: " + report.file.string();
    const io::TensorFile file = io::load_safetensors(report.file);
    auto own = detail::tensors_in(encoder);
    require(!own.empty(), who, ": the encoder has no tensors to load into");
    report.metadata = detail::metadata_of(file);
    auto tensors = detail::tensors_for(own, file, report, who, options.network);
    detail::copy_into(own, std::move(tensors), report, who, options.partial);
    return report;
}

}  // namespace doppel::weights
