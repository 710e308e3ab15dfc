// SPDX-License-Identifier: Apache-2.0
// Checkpoints: everything that a later step depends on, in one safetensors file.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/io/safetensors.hpp>
#include <doppel/recipe/any_method.hpp>
#include <doppel/optim/optimizer.hpp>
#include <doppel/train/generators.hpp>
#include <doppel/train/identity.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace doppel::train {

/// Format of a checkpoint: names of its tensors, counters and settings.
inline constexpr const char* checkpoint_format = "doppel checkpoint 3";

namespace detail {

inline bool is_checkpoint_name(const std::string& name) {
    return name.size() >= 25 && name.starts_with("step-") && name.ends_with(".safetensors");
}

/// The checkpoints in a folder, oldest first.
inline std::vector<std::filesystem::path> checkpoints_in(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> all;
    std::error_code missing;
    for (const auto& item : std::filesystem::directory_iterator(folder, missing))
        if (is_checkpoint_name(item.path().filename().string())) all.push_back(item.path());
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
        const auto x = a.filename().string(), y = b.filename().string();  // longer numbers are larger ones
        return std::pair(x.size(), x) < std::pair(y.size(), y);
    });
    return all;
}

/// A checkpoint's content. For a damaged one, the error names the newest valid one beside it.
inline io::TensorFile load_checkpoint(const std::filesystem::path& path) {
    try {
        return io::load_safetensors(path, io::Checksum::crc32);
    } catch (const Error& problem) {
        auto others = checkpoints_in(path.parent_path());
        std::string hint;
        for (; !others.empty() && hint.empty(); others.pop_back()) {
            if (others.back() == path) continue;
            try {
                io::load_safetensors(others.back(), io::Checksum::crc32);
                hint = "; the last whole one is " + others.back().string() + ": --resume " + others.back().string();
            } catch (const Error&) {}
        }
        fail(problem.what(), hint);
    }
}

/// All tensors of a run by their names in a checkpoint; `visit(name, tensor)`.
template <class Visit>
void each_tensor(AnyMethod& method, optim::AnyOptimizer& optimizer, Visit&& visit) {
    for (auto& item : method.module().named_parameters()) visit(item.key(), item.value());
    for (auto& item : method.module().named_buffers()) visit(item.key(), item.value());
    optimizer.state([&](const std::string& name, Tensor& value) { visit("optimizer." + name, value); });
}

inline Generators generators_of(const AnyMethod& method) {
    const auto parameters = method.module().parameters();
    return Generators(parameters.empty() ? at::Device(at::kCPU) : parameters.front().device());
}

/// An entry of a checkpoint's metadata.
inline const std::string& checkpoint_entry(const io::TensorFile& file, const std::string& who, const std::string& key) {
    const auto found = file.metadata.find(key);
    require(found != file.metadata.end(), who, ": not a doppel checkpoint (it lacks the entry '", key, "')");
    return found->second;
}

inline void require_format(const io::TensorFile& file, const std::string& who) {
    const auto& format = checkpoint_entry(file, who, "format");
    require(format != "doppel checkpoint 2", who, ": written by an older doppel (format 'doppel checkpoint 2'); names have changed "
            "since: start a new run, or finish this one with the version that began it");
    require(format == checkpoint_format, who, ": has the format '", format, "', expected '", checkpoint_format,
            "': another version of doppel wrote it; resume with that version or start a new run");
}

/// The identity that a checkpoint holds.
inline Identity identity_in(const io::TensorFile& file) {
    Identity found;
    for (const auto& [name, value] : file.metadata)
        if (name.starts_with("run.")) found[name.substr(4)] = value;
    return found;
}

}  // namespace detail

/// Tensors of callbacks that a checkpoint holds, by name; in the file "callback." stands before it.
using Carried = std::map<std::string, Tensor>;

/// The state of a run as a file's content. `identity` says which run it is; restore() compares it.
inline io::TensorFile snapshot(AnyMethod method, optim::AnyOptimizer& optimizer, const Identity& identity, const Carried& carried = {}) {
    const at::NoGradGuard no_grad;
    io::TensorFile file;
    detail::each_tensor(method, optimizer,
                        [&](const std::string& name, const Tensor& value) { file.tensors[name] = value.detach(); });
    for (auto& [name, state] : detail::generators_of(method).state()) file.tensors[name] = state;
    for (const auto& [name, value] : carried) file.tensors["callback." + name] = value.detach();
    for (const auto& [name, value] : method.counters()) file.metadata["counter." + name] = std::to_string(*value);
    for (const auto& [name, value] : identity) file.metadata["run." + name] = value;
    file.metadata["format"] = checkpoint_format;
    return file;
}

/// Puts a checkpoint back into a run of the same identity. Compares everything before it writes anything; settings for
/// which `may_differ(name, there, here)` is true may differ. Returns the identity that the checkpoint holds; `carried` gets
/// the tensors of callbacks.
/// Throws Error with the path and all that differs.
inline Identity restore(const std::filesystem::path& path, AnyMethod method, optim::AnyOptimizer& optimizer,
                        const Identity& identity, const MayDiffer& may_differ = {}, Carried* carried = nullptr) {
    const auto file = detail::load_checkpoint(path);
    const std::string who = "checkpoint " + path.string();
    detail::require_format(file, who);
    const Identity there = detail::identity_in(file);
    std::string differing;
    for (const auto& one : differences(there, identity, may_differ)) differing += (differing.empty() ? "" : "; ") + one;
    require(differing.empty(), who, ": belongs to another run: ", differing,
            "; resume with the same settings, or start a new run");
    std::vector<std::pair<Tensor, Tensor>> copies;
    std::size_t known = 0;
    detail::each_tensor(method, optimizer, [&](const std::string& name, Tensor& value) {
        const auto found = file.tensors.find(name);
        require(found != file.tensors.end(), who, ": has no tensor '", name,
                "'; it belongs to another method or architecture");
        require(found->second.sizes() == value.sizes() && found->second.dtype() == value.dtype(), who, ": '", name,
                "' is ", found->second.dtype(), found->second.sizes(), " there and ", value.dtype(), value.sizes(),
                " here");
        copies.emplace_back(value.detach(), found->second);
        ++known;
    });
    std::vector<std::pair<std::int64_t*, std::int64_t>> counters;
    for (const auto& [name, value] : method.counters()) {
        const std::string& text = detail::checkpoint_entry(file, who, "counter." + name);
        std::int64_t number = -1;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        require(error == std::errc{} && end == text.data() + text.size() && number >= 0, who, ": counter ", name,
                " is '", text, "', expected a whole number");
        counters.emplace_back(value, number);
    }
    for (const auto& [name, tensor] : file.tensors)
        if (name.starts_with("generator.") || name.starts_with("callback.")) ++known;
    require(known == file.tensors.size(), who, ": holds tensors that this method does not have");

    const at::NoGradGuard no_grad;
    for (auto& [to, from] : copies) to.copy_(from);
    for (auto& [to, value] : counters) *to = value;
    Generators::State states;
    for (const auto& [name, tensor] : file.tensors)
        if (name.starts_with("generator.")) states[name] = tensor;
    detail::generators_of(method).restore(states);
    for (const auto& [name, tensor] : file.tensors)
        if (carried && name.starts_with("callback.")) (*carried)[name.substr(9)] = tensor;
    return there;
}

/// The checkpoints of a run folder: step-00000120.safetensors; the last few are kept.
class Checkpoints {
public:
    Checkpoints(std::filesystem::path folder, int keep) : folder_(std::move(folder)), keep_(keep) {
        require(keep_ >= 1, "Checkpoints: at least 1 must be kept, got ", keep_);
    }

    /// Oldest first.
    std::vector<std::filesystem::path> list() const { return detail::checkpoints_in(folder_); }

    std::optional<std::filesystem::path> newest() const {
        const auto all = list();
        return all.empty() ? std::nullopt : std::optional(all.back());
    }

    /// Writes a checkpoint as a whole or not at all, then removes those beyond the last `keep`, and those of later
    /// steps that an earlier attempt left. Gives its path.
    std::filesystem::path save(std::int64_t step, const io::TensorFile& file) const {
        io::create_folders(folder_);
        char name[64];
        std::snprintf(name, sizeof name, "step-%08lld.safetensors", static_cast<long long>(step));
        const auto path = folder_ / name;
        io::save_safetensors(path, file, io::Checksum::crc32);
        auto all = list();
        std::error_code ignored;
        while (!all.empty() && all.back() != path) {
            std::filesystem::remove(all.back(), ignored);
            all.pop_back();
        }
        for (std::size_t i = 0; i + static_cast<std::size_t>(keep_) < all.size(); ++i)
            std::filesystem::remove(all[i], ignored);
        return path;
    }

private:
    std::filesystem::path folder_;
    int keep_;
};

}  // namespace doppel::train
