// SPDX-License-Identifier: Apache-2.0
// Options of the training program beside the method's and the run's: data, encoder, machine.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/data/open.hpp>
#include <doppel/encoders/by_name.hpp>
#include <doppel/options/rows.hpp>
#include <doppel/run/options.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

namespace doppel::cli {

enum class StemChoice { automatic, cifar, imagenet, strided };
constexpr std::array<std::string_view, 4> option_names(StemChoice) { return {"auto", "cifar", "imagenet", "strided"}; }

struct DataOptions {
    std::string data = "embedded", val{};
    std::int64_t images = 4000;

    static constexpr auto fields() {
        using O = DataOptions;
        return std::tuple(
            options::field(&O::data, "data", "'embedded', or a folder of images (class folders or flat), of CIFAR-10 binaries or of IDX files"),
            options::field(&O::val, "val", "labeled images to evaluate on (default: the folder's own split, else a tenth is held out)"),
            options::field(&O::images, "images", "embedded training images; a quarter as many are made for evaluation",
                           options::between(8, 1e9)));
    }
};

struct EncoderOptions {
    std::string arch{};
    StemChoice stem = StemChoice::automatic;

    static constexpr auto fields() {
        using O = EncoderOptions;
        return std::tuple(
            options::field(&O::arch, "arch",
                           "encoder: resnet18, resnet34, resnet50, resnet101, with a width as in resnet18x0.25; vit_ti16, vit_s16, "
                           "vit_b16, vit_l16 (the number is the side of a patch), with a number of blocks as in vit_ti8d4"),
            options::field(&O::stem, "stem", "first layers of a ResNet; auto: cifar for views below 64 px; strided: a quarter of its cost"));
    }
};

struct MachineOptions {
    std::int64_t threads = 0;
    bool verbose = false;

    static constexpr auto fields() {
        using O = MachineOptions;
        return std::tuple(options::field(&O::threads, "threads", "threads of tensor operations; 0: one per core", options::between(0, 4096)),
                          options::field(&O::verbose, "verbose", "print more when something fails"));
    }
};

/// The encoder that --arch and --stem mean.
inline encoders::ByName encoder_from(const EncoderOptions& o, int size, std::int64_t channels) {
    const Stem stem = o.stem == StemChoice::strided                                               ? Stem::strided
                      : o.stem == StemChoice::cifar || (o.stem == StemChoice::automatic && size < 64) ? Stem::cifar
                                                                                                   : Stem::imagenet;
    try {
        auto encoder = encoders::from_name(o.arch, size, channels, stem);
        require(!encoder.is_vit() || o.stem == StemChoice::automatic, "a ViT has no stem; leave --stem out");
        return encoder;
    } catch (const Error& problem) { fail("--arch ", o.arch, ": ", problem.what()); }
}

/// The images that --data and --val mean; the embedded ones have `size` pixels.
inline run::Data data_from(const DataOptions& o, int size, std::uint64_t seed) {
    if (o.data != "embedded") {
        require(std::filesystem::exists(o.data), "--data: there is no ", o.data, " (give a folder or a file, or 'embedded')");
        auto name = std::filesystem::path(o.data).lexically_normal();
        if (!name.has_filename()) name = name.parent_path();
        return run::data_from(data::open(o.data, o.val.empty() ? std::nullopt : std::optional<std::filesystem::path>(o.val), {.seed = seed}),
                              name.filename().string());
    }
    require(o.val.empty(), "--val goes with --data PATH; the embedded images make their own validation set");
    const std::int64_t held_out = std::max<std::int64_t>(o.images / 4, 2);
    return {.train = data::Embedded({.size = size, .count = o.images}),
            .validation = data::Embedded({.size = size, .count = held_out, .first = std::int64_t{1} << 40}),
            .name = "the embedded images",
            .format = "embedded",
            .split_rule = "images that doppel draws itself, ten kinds of objects"};
}

/// The side of the views where --size is not given: by the first image that can be decoded.
inline int size_for(const data::Dataset& images) {
    data::DamagedImages damage;
    const Image first = data::next_valid_image(images, 0, &damage).image;
    return std::min(first.width, first.height) <= 48 ? 32 : 128;
}

}  // namespace doppel::cli
