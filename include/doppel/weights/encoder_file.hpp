// SPDX-License-Identifier: Apache-2.0
// An encoder's weights as a file that says how to use them.
#pragma once

#include <doppel/augment/pipeline.hpp>
#include <doppel/core/module.hpp>
#include <doppel/core/version.hpp>
#include <doppel/io/safetensors.hpp>
#include <doppel/weights/preprocessing.hpp>

#include <filesystem>

namespace doppel::weights {

/// Writes an encoder's parameters and buffers under their names (a ResNet's are torchvision's, a Vision Transformer's timm's),
/// with metadata: how images are to be prepared (from the evaluation pipeline), and what is given. Whole or not at all.
/// load_into() and open_encoder() read it.
///
///     weights::save_encoder("encoder.safetensors", *method.encoder(Network::online), preset.views.eval, {{"method", "simclr"}});
inline void save_encoder(const std::filesystem::path& path, const torch::nn::Module& encoder, const augment::Pipeline& pipeline,
                         const Metadata& metadata = {}) {
    io::TensorFile file;
    for (const auto& item : encoder.named_parameters()) file.tensors[item.key()] = item.value().detach().cpu().contiguous();
    for (const auto& item : encoder.named_buffers()) file.tensors[item.key()] = item.value().cpu().contiguous();
    for (const auto& [name, value] : preprocessing_metadata(pipeline)) file.metadata[name] = value;
    for (const auto& [name, value] : metadata) file.metadata[name] = value;
    file.metadata["format"] = "pt";
    file.metadata["doppel"] = version;
    io::save_safetensors(path, file);
}

}  // namespace doppel::weights
