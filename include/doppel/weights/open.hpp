// SPDX-License-Identifier: Apache-2.0
// A trained encoder of any origin, ready for images.
#pragma once

#include <doppel/augment/pipeline.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/seed.hpp>
#include <doppel/encoders/by_name.hpp>
#include <doppel/encoders/module.hpp>
#include <doppel/io/safetensors.hpp>
#include <doppel/recipe/any_method.hpp>
#include <doppel/views/views.hpp>
#include <doppel/weights/architecture.hpp>
#include <doppel/weights/load.hpp>
#include <doppel/weights/names.hpp>
#include <doppel/weights/preprocessing.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace doppel::weights {

/// How open_encoder() opens.
struct OpenOptions {
    std::string arch{};                ///< as encoders::from_name() takes it, "vit_s16h12"; empty: told by tensors and metadata
    int size = 0;                      ///< side of the images, px; 0: told by the metadata, else 224 (cifar stem: 32, a ViT: its own)
    std::optional<Network> network{};  ///< of a file that has two; nothing: see named_encoder()
    std::optional<Stem> stem{};        ///< of a ResNet; nothing: told by the metadata, else by the first convolution
};

/// An encoder with its weights, in evaluation mode on the CPU, and how images are prepared for it.
struct OpenedEncoder {
    encoders::ByName spec{};
    std::shared_ptr<encoders::Module> module{};
    augment::Pipeline pipeline{};           ///< the evaluation view
    std::string origin{};                   ///< "torchvision", "DINO (authors), teacher.backbone", "doppel run simclr, step 640"
    Metadata metadata{};                    ///< of the file; of a checkpoint what it says about the encoder
    std::vector<std::string> left_aside{};  ///< tensors of the file that are not used: heads, queues, the other network
    std::vector<std::string> notes{};       ///< what was assumed or converted, for people
    std::filesystem::path file{};           ///< the file that was read
};

namespace detail {

inline bool is_small(const encoders::ByName& spec) {
    const auto* net = std::get_if<encoders::ResNet>(&spec.spec);
    return net && net->stem != Stem::imagenet;
}

/// What the authors evaluate with, where the file does not tell.
inline Preprocessing usual_preprocessing(const encoders::ByName& spec, const NamedEncoder& found, std::vector<std::string>& notes) {
    Preprocessing usual;
    usual.channels = static_cast<int>(std::visit([](const auto& net) { return net.channels; }, spec.spec));
    if (is_small(spec)) {
        usual.size = usual.resize = 32;
        usual.normalize = augment::cifar10_normalize;
    } else if (const auto* vit = std::get_if<encoders::Vit>(&spec.spec)) {
        if (found.naming == Naming::timm) usual.filter = image::Filter::bicubic;
        if (!found.origin.starts_with("DINOv2")) usual = usual.at(static_cast<int>(vit->image_size));  // trained at 518 px, evaluated at 224
    }
    usual.normalize = views::normalize_for(usual.channels, usual.normalize);
    notes.push_back("the file does not say how images are prepared; assumed: " + usual.pipeline().describe());
    return usual;
}

inline Preprocessing preprocessing_for(const std::filesystem::path& file, const Metadata& metadata, const encoders::ByName& spec, const NamedEncoder& found,
                                       std::vector<std::string>& notes, const std::string& who) {
    if (auto told = preprocessing_of(metadata, who)) return *told;
    if (auto told = preprocessing_beside(file)) {
        notes.push_back("images are prepared as config.json beside the file says");
        return *told;
    }
    return usual_preprocessing(spec, found, notes);
}

/// --arch as it is given, with what only the file tells.
inline encoders::ByName named_architecture(const OpenOptions& options, const encoders::ByName& told) {
    if (const auto* vit = std::get_if<encoders::Vit>(&told.spec)) {
        auto named = encoders::from_name(options.arch, vit->image_size, vit->channels);
        if (auto* net = std::get_if<encoders::Vit>(&named.spec)) {
            net->pool = vit->pool;
            net->mask_token = vit->mask_token;
            net->qkv_bias = vit->qkv_bias;
        }
        return named;
    }
    const auto& net = std::get<encoders::ResNet>(told.spec);
    return encoders::from_name(options.arch, 224, net.channels, net.stem);
}

}  // namespace detail

/// Opens a trained encoder: a safetensors file of doppel, torchvision, timm, lightly or the authors of MoCo, SimSiam, SwAV,
/// DINO, DINOv2, Barlow Twins or VICReg; a doppel checkpoint; a run folder (its encoder.safetensors). Architecture and
/// preprocessing come from the metadata, timm's config.json beside the file, else from the shapes and the authors' habits;
/// `notes` say what was assumed. torch's generator is left as it was.
/// Throws Error for a file that cannot be read, of another architecture, or with tensors that do not fit, by name.
///
///     auto opened = weights::open_encoder("dino_deitsmall16_pretrain.safetensors");
///     auto rows = eval::features(opened.module, photos, opened.pipeline);
inline OpenedEncoder open_encoder(const std::filesystem::path& path, const OpenOptions& options = {}) {
    OpenedEncoder opened{.file = file_of(path, options.network.has_value())};
    const std::string who = "weights: " + opened.file.string();
    const io::TensorFile file = io::load_safetensors(opened.file);
    opened.metadata = detail::metadata_of(file);
    const auto arch = opened.metadata.find("arch");
    require(arch == opened.metadata.end() || arch->second != "custom", who,
            ": holds a custom encoder, which only the program that made it can build; there weights::load_into() loads the file");
    auto found = named_encoder(file, who, options.network);
    opened.spec = architecture_of(found, opened.metadata, who);
    if (!options.arch.empty()) opened.spec = detail::named_architecture(options, opened.spec);
    if (auto* net = std::get_if<encoders::ResNet>(&opened.spec.spec); net && options.stem) net->stem = *options.stem;

    auto preprocessing = detail::preprocessing_for(opened.file, opened.metadata, opened.spec, found, found.notes, who);
    if (options.size > 0) preprocessing = preprocessing.at(options.size);
    if (auto* vit = std::get_if<encoders::Vit>(&opened.spec.spec)) {
        require(preprocessing.size % vit->patch == 0, who, ": images of ", preprocessing.size, " px are no multiple of the patch, ", vit->patch,
                " px; choose another size");
        vit->image_size = preprocessing.size;
    }
    opened.pipeline = preprocessing.pipeline();

    {
        const SeedScope seed(0);
        opened.module = opened.spec.build();
    }
    Report report{.origin = found.origin};
    auto own = detail::tensors_in(*opened.module);
    detail::copy_into(own, std::move(found.tensors), report, who, /*partial=*/false);
    opened.module->eval();
    opened.origin = std::move(found.origin);
    opened.left_aside = std::move(found.left_aside);
    opened.notes = std::move(found.notes);
    opened.notes.insert(opened.notes.end(), report.notes.begin(), report.notes.end());
    return opened;
}

}  // namespace doppel::weights
