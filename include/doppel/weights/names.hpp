// SPDX-License-Identifier: Apache-2.0
// Encoders in files of other libraries: where they are, and their tensors under doppel's names.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/io/safetensors.hpp>
#include <doppel/recipe/any_method.hpp>
#include <doppel/weights/detail/renamed.hpp>
#include <doppel/weights/preprocessing.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace doppel::weights {

/// An encoder of a file.
struct NamedEncoder {
    detail::Naming naming = detail::Naming::resnet;
    std::string prefix{};                     ///< before its names in the file: "module.encoder_q."
    Network network = Network::online;        ///< target: a momentum encoder or teacher, by the prefix
    std::map<std::string, Tensor> tensors{};  ///< by torchvision's names (ResNet) or timm's (Vision Transformer)
    std::string origin{};                     ///< who names tensors so: "MoCo (authors), module.encoder_q"
    std::vector<std::string> left_aside{};    ///< tensors of the file that are no part of it: heads, queues, other networks
    std::vector<std::string> notes{};         ///< what a reader should know

    bool is_vit() const { return naming == detail::Naming::timm || naming == detail::Naming::torchvision_vit; }
};

namespace detail {

/// Words of a prefix: "module.backbone_momentum." → module, backbone, momentum.
inline std::set<std::string> words_of(const std::string& prefix) {
    std::set<std::string> words;
    std::string word;
    for (const char c : prefix + '.') {
        if (c != '.' && c != '_') {
            word += c;
            continue;
        }
        if (!word.empty()) words.insert(std::exchange(word, {}));
    }
    return words;
}

inline Network network_of(const std::string& prefix) {
    const auto words = words_of(prefix);
    for (const char* word : {"target", "momentum", "teacher", "ema", "key", "k"})
        if (words.contains(word)) return Network::target;
    return Network::online;
}

/// Who writes such names, as far as they tell.
inline std::string origin_of(const io::TensorFile& file, const NamedEncoder& found) {
    const auto entry = [&](const char* key) {
        const auto at = file.metadata.find(key);
        return at == file.metadata.end() ? std::string() : at->second;
    };
    const auto any = [&](const std::string& part) {
        return std::any_of(file.tensors.begin(), file.tensors.end(), [&](const auto& item) { return item.first.find(part) != std::string::npos; });
    };
    const auto words = words_of(found.prefix);
    const std::string where = found.prefix.empty() ? "" : ", " + found.prefix.substr(0, found.prefix.size() - 1);
    if (entry("format").starts_with("doppel checkpoint"))
        return "doppel checkpoint, " + entry("run.method") + ", step " + entry("counter.step") + where;
    if (!entry("doppel").empty()) {
        if (entry("method").empty()) return "doppel";
        return "doppel run " + entry("method") + (entry("step").empty() ? "" : ", step " + entry("step"));
    }
    const auto behind = [&](const char* part) { return found.prefix.find(part) != std::string::npos; };
    const bool scaled = any(".ls1.gamma");
    if (behind("encoder_q.") || behind("encoder_k.")) return "MoCo (authors)" + where;
    if (behind("base_encoder.") || behind("momentum_encoder.")) return "MoCo v3 (authors)" + where;
    if (any("teacher_backbone.") || found.naming == Naming::sequential || any(".shortcut.") || any("projection_head.layers.")) return "lightly" + where;
    if (words.contains("teacher") || words.contains("student")) return (scaled ? "DINOv2 (authors)" : "DINO (authors)") + where;
    if (any("prototypes.weight") || any("prototypes.prototypes")) return "SwAV (authors)" + where;
    if (found.prefix.ends_with("backbone.") && any("projector.")) {
        const auto root = found.prefix.substr(0, found.prefix.size() - std::string("backbone.").size());
        return (file.tensors.contains(root + "bn.running_mean") ? "Barlow Twins (authors)" : "VICReg (authors)") + where;
    }
    if (found.prefix.ends_with("encoder.") && any("predictor.")) return "SimSiam (authors)" + where;
    if (found.naming == Naming::torchvision_vit) return "torchvision" + where;
    if (found.is_vit()) return (scaled && any("mask_token") ? "DINOv2 (authors)" : "timm's names") + where;
    return "torchvision's names" + where;
}

}  // namespace detail

/// Finds the encoders of a file: ResNets under torchvision's names, as a Sequential of torchvision's or lightly's network, or
/// under lightly's names; Vision Transformers under timm's, DINO's, DINOv2's or torchvision's. They may stand behind any
/// prefix: module., encoder_q., backbone., teacher.backbone., encoder. of a checkpoint …
inline std::vector<NamedEncoder> encoders_in(const io::TensorFile& file) {
    std::vector<NamedEncoder> all;
    for (const auto& [name, tensor] : file.tensors)
        if (auto found = detail::anchor(file.tensors, name); found && !found->prefix.starts_with("optimizer"))  // moments have the weights' names
            all.push_back({.naming = found->naming, .prefix = found->prefix, .network = detail::network_of(found->prefix)});
    return all;
}

/// Returns one of a file's encoders under doppel's names. If there are several: `network`; without it the one that the file's
/// metadata name, else a teacher (as DINO evaluates it), else the online one. `who` begins messages.
/// Throws Error for a file without encoders, or without that one.
inline NamedEncoder named_encoder(const io::TensorFile& file, const std::string& who, std::optional<Network> network = {}) {
    auto all = encoders_in(file);
    if (all.empty()) {
        std::ostringstream first;
        std::size_t shown = 0;
        for (const auto& [name, tensor] : file.tensors)
            if (shown++ < 4) first << (shown > 1 ? ", " : "") << name << ' ' << tensor.sizes();
        fail(who, ": has no ResNet and no Vision Transformer under the names of torchvision, timm, lightly or the authors; its ", file.tensors.size(),
             " tensors begin with ", file.tensors.empty() ? "nothing" : first.str());
    }
    const auto text_of = [](const NamedEncoder& one) { return one.prefix.empty() ? std::string("(no prefix)") : one.prefix; };
    std::string list;
    for (const auto& one : all) list += (list.empty() ? "" : ", ") + text_of(one);
    auto wanted = network;
    if (const auto at = file.metadata.find("encoder.network"); !wanted && at != file.metadata.end())
        wanted = at->second == "target" ? Network::target : Network::online;
    if (!wanted)
        wanted = std::any_of(all.begin(), all.end(), [](const auto& one) { return detail::words_of(one.prefix).contains("teacher"); })
                     ? Network::target
                     : Network::online;
    auto chosen = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.network == *wanted; });
    require(chosen != all.end() || (!network && all.size() == 1), who, ": has no ", *wanted == Network::target ? "target" : "online",
            " network; its networks: ", list);
    if (chosen == all.end()) chosen = all.begin();
    NamedEncoder encoder = std::move(*chosen);
    require(encoder.naming != detail::Naming::sequential || detail::stages_of(file.tensors, encoder.prefix).front() != "2", who, ": ", text_of(encoder),
            " is a Sequential of conv1, bn1 and the stages, as the children of lightly's ResNetGenerator, which has no ReLU behind bn1: doppel has no such network");
    if (all.size() > 1) encoder.notes.push_back("networks in the file: " + list + "; taken: " + text_of(encoder));
    encoder.tensors = detail::renamed(file.tensors, {encoder.naming, encoder.prefix}, encoder.left_aside, encoder.notes);
    encoder.origin = detail::origin_of(file, encoder);
    return encoder;
}

}  // namespace doppel::weights
