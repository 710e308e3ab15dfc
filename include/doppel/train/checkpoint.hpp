// SPDX-License-Identifier: Apache-2.0
// Checkpoints: everything that a later step depends on, in one safetensors file.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/io/safetensors.hpp>
#include <doppel/recipe/any_method.hpp>
#include <doppel/optim/optimizer.hpp>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace doppel::train {

/// Says in each checkpoint how its tensors and counters are to be read.
inline constexpr const char* checkpoint_format = "doppel checkpoint 2";

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

/// A checkpoint's content. Of a damaged one the error names the newest whole one beside it.
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

/// torch's generators, which drop-path and dropout draw from.
inline std::map<std::string, at::Generator> generators(const AnyMethod& method) {
    std::map<std::string, at::Generator> all{{"generator.cpu", at::detail::getDefaultCPUGenerator()}};
    const auto parameters = method.module().parameters();
    if (!parameters.empty() && parameters.front().is_cuda())
        all.emplace("generator.cuda", at::globalContext().defaultGenerator(parameters.front().device()));
    return all;
}

}  // namespace detail

/// The state of a run as a file's content. `identity` says which run it is; restore() compares it.
inline io::TensorFile snapshot(AnyMethod method, optim::AnyOptimizer& optimizer,
                               const std::map<std::string, std::string>& identity) {
    const at::NoGradGuard no_grad;
    io::TensorFile file;
    detail::each_tensor(method, optimizer,
                        [&](const std::string& name, const Tensor& value) { file.tensors[name] = value.detach(); });
    for (auto& [name, generator] : detail::generators(method)) {
        const std::lock_guard lock(generator.mutex());
        file.tensors[name] = generator.get_state();
    }
    for (const auto& [name, value] : method.counters()) file.metadata["counter." + name] = std::to_string(*value);
    for (const auto& [name, value] : identity) file.metadata["run." + name] = value;
    file.metadata["format"] = checkpoint_format;
    return file;
}

/// Puts a checkpoint back into a run of the same identity. Everything is compared before anything is written.
/// Throws Error with the path, what the file holds and what the run is.
inline void restore(const std::filesystem::path& path, AnyMethod method, optim::AnyOptimizer& optimizer,
                    const std::map<std::string, std::string>& identity) {
    const auto file = detail::load_checkpoint(path);
    const std::string who = "checkpoint " + path.string();
    const auto entry = [&](const std::string& key) -> const std::string& {
        const auto found = file.metadata.find(key);
        require(found != file.metadata.end(), who, ": is not a doppel checkpoint (it lacks the entry '", key, "')");
        return found->second;
    };
    require(entry("format") == checkpoint_format, who, ": has the format '", entry("format"), "', expected '",
            checkpoint_format, "': another version of doppel wrote it, go on with that one or start anew");
    for (const auto& [name, value] : identity)
        require(entry("run." + name) == value, who, ": belongs to another run: ", name, " is ", entry("run." + name),
                " there and ", value, " here");
    std::vector<std::pair<Tensor, Tensor>> copies;
    std::size_t known = 0;
    detail::each_tensor(method, optimizer, [&](const std::string& name, Tensor& value) {
        const auto found = file.tensors.find(name);
        require(found != file.tensors.end(), who, ": holds no '", name,
                "'; it belongs to another method or architecture");
        require(found->second.sizes() == value.sizes() && found->second.dtype() == value.dtype(), who, ": '", name,
                "' is ", found->second.dtype(), found->second.sizes(), " there and ", value.dtype(), value.sizes(),
                " here");
        copies.emplace_back(value.detach(), found->second);
        ++known;
    });
    std::vector<std::pair<std::int64_t*, std::int64_t>> counters;
    for (const auto& [name, value] : method.counters()) {
        const std::string& text = entry("counter." + name);
        std::int64_t number = -1;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        require(error == std::errc{} && end == text.data() + text.size() && number >= 0, who, ": counter ", name,
                " is '", text, "', expected a whole number");
        counters.emplace_back(value, number);
    }
    for (const auto& [name, tensor] : file.tensors)
        if (name.starts_with("generator.")) ++known;
    require(known == file.tensors.size(), who, ": holds tensors that this method does not have");

    const at::NoGradGuard no_grad;
    for (auto& [to, from] : copies) to.copy_(from);
    for (auto& [to, value] : counters) *to = value;
    for (auto& [name, generator] : detail::generators(method))
        if (const auto found = file.tensors.find(name); found != file.tensors.end()) {
            const std::lock_guard lock(generator.mutex());
            generator.set_state(found->second);
        }
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
