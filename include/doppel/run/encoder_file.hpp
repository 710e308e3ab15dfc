// SPDX-License-Identifier: Apache-2.0
// An encoder's weights as a file that says how to use them.
#pragma once

#include <doppel/augment/center_crop.hpp>
#include <doppel/augment/pipeline.hpp>
#include <doppel/augment/resize.hpp>
#include <doppel/core/module.hpp>
#include <doppel/core/version.hpp>
#include <doppel/io/safetensors.hpp>

#include <cstddef>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>

namespace doppel::run {

namespace detail {

/// One value for each channel that the normalization has.
inline std::string listed(const auto& values, int channels) {
    std::ostringstream out;
    for (std::size_t i = 0; i < static_cast<std::size_t>(channels); ++i) out << (i ? "," : "") << values[i];
    return out.str();
}

}  // namespace detail

/// How images are to be prepared, as the evaluation pipeline prepares them: image_size, channels, mean, std, preprocessing,
/// and resize, crop and interpolation where it has such operations.
inline std::map<std::string, std::string> preprocessing_metadata(const augment::Pipeline& pipeline) {
    const auto normalize = pipeline.normalize();
    std::map<std::string, std::string> metadata{{"image_size", std::to_string(pipeline.size())},
                                                {"channels", std::to_string(pipeline.channels())},
                                                {"mean", detail::listed(normalize.mean, normalize.channels())},
                                                {"std", detail::listed(normalize.std, normalize.channels())},
                                                {"preprocessing", pipeline.describe()}};
    for (const auto& operation : pipeline.operations()) {
        if (const auto* resize = operation.as<augment::Resize>()) {
            metadata["resize"] = std::to_string(resize->size);
            metadata["interpolation"] = std::string(name_of(resize->filter));
        }
        if (const auto* crop = operation.as<augment::CenterCrop>()) metadata["crop"] = std::to_string(crop->size);
    }
    return metadata;
}

/// Writes an encoder's parameters and buffers under their names (a ResNet's are torchvision's), with metadata: how images
/// are to be prepared (from the evaluation pipeline), and what is given. Whole or not at all.
///
///     run::save_encoder("encoder.safetensors", *method.encoder(Network::online), preset.views.eval, {{"method", "simclr"}});
inline void save_encoder(const std::filesystem::path& path, const torch::nn::Module& encoder, const augment::Pipeline& pipeline,
                         const std::map<std::string, std::string>& metadata = {}) {
    io::TensorFile file;
    for (const auto& item : encoder.named_parameters()) file.tensors[item.key()] = item.value().detach().cpu().contiguous();
    for (const auto& item : encoder.named_buffers()) file.tensors[item.key()] = item.value().cpu().contiguous();
    for (const auto& [name, value] : preprocessing_metadata(pipeline)) file.metadata[name] = value;
    for (const auto& [name, value] : metadata) file.metadata[name] = value;
    file.metadata["format"] = "pt";
    file.metadata["doppel"] = version;
    io::save_safetensors(path, file);
}

/// Loads such a file into an encoder of the same architecture, on any device; returns the metadata.
/// Throws Error for a tensor that is missing, has another shape or has no place in the encoder; the encoder is then
/// unchanged.
///
///     auto encoder = encoders::ResNet{.depth = 18, .stem = Stem::cifar}.build();
///     auto metadata = run::load_encoder("runs/photos/encoder.safetensors", *encoder);
inline std::map<std::string, std::string> load_encoder(const std::filesystem::path& path, torch::nn::Module& encoder) {
    io::TensorFile file = io::load_safetensors(path);
    std::map<std::string, at::Tensor> own;
    for (const auto& item : encoder.named_parameters()) own[item.key()] = item.value();
    for (const auto& item : encoder.named_buffers()) own[item.key()] = item.value();
    const std::string who = "load_encoder: " + path.string();
    for (const auto& [name, tensor] : own) {
        const auto found = file.tensors.find(name);
        require(found != file.tensors.end(), who, " has no tensor ", name, ", which the encoder needs");
        require(found->second.sizes() == tensor.sizes(), who, ": ", name, " has the shape ", found->second.sizes(),
                ", the encoder expects ", tensor.sizes());
    }
    for (const auto& [name, tensor] : file.tensors)
        require(own.contains(name), who, " has a tensor ", name, ", for which the encoder has no place");
    const at::NoGradGuard no_grad;
    for (auto& [name, tensor] : own) tensor.copy_(file.tensors.at(name));
    return std::move(file.metadata);
}

}  // namespace doppel::run
