// SPDX-License-Identifier: Apache-2.0
// What all examples share on the command line: data, encoder, run, machine.
#pragma once

#include <doppel/cli/field.hpp>
#include <doppel/core/error.hpp>
#include <doppel/data/damaged_images.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/data/open.hpp>
#include <doppel/encoders/by_name.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace doppel::cli {

/// What a program is called and does.
struct About {
    std::string name;   ///< "simclr": names the run folder
    std::string title;  ///< "SimCLR"
    std::string text;   ///< one or two sentences for --help
    std::string arch = "resnet18";  ///< the encoder where --arch is not given
};

/// The options of every example, as far as they are not the method's.
struct Common {
    std::string data = "embedded", val;
    std::int64_t images = 4000;
    std::string arch = "resnet18", stem = "auto";
    std::int64_t size = 0, channels = 3;
    std::string out, resume;
    std::int64_t seed = 1, workers = 1, threads = 0;
    std::string device = "auto", precision = "auto";
    std::int64_t log_every = 10, checkpoint_every = 0, knn_every = 0, k = 20;
    bool strict = false, verbose = false;
};

/// Names the common options: name, field, meaning, and what it may be.
template <class Field>
void describe_data(Common& o, Field&& field) {
    field("data", o.data,
          "'embedded', or a folder of images (class folders or flat), of CIFAR-10 binaries or of IDX files");
    field("val", o.val, "labelled images to evaluate on (default: the folder's own split, else a tenth is held out)");
    field("images", o.images, "number of embedded training images; a quarter as many are made for evaluation",
          Limits{8, 1e9});
    field("size", o.size, "side of the views in pixels; 0: 32 for images of up to 48 px, else 128", Limits{0, 4096});
    field("channels", o.channels, "3, or 1: gray; gray images become three equal channels unless 1", Limits{1, 3});
    field("strict", o.strict, "end with an error at a damaged image, which is else left out and listed in skipped.jsonl");
}
template <class Field>
void describe_encoder(Common& o, Field&& field) {
    field("arch", o.arch, "encoder: resnet18, resnet34, resnet50, resnet101, with a width as in resnet18x0.25; vit_ti16, "
                          "vit_s16, vit_b16, vit_l16, the number being the side of a patch, with a number of blocks as in vit_ti8d4");
    field("stem", o.stem, "how the ResNet begins; auto: cifar for views below 64 px; strided: a quarter of its work",
          Choices{"auto", "cifar", "imagenet", "strided"});
}
template <class Field>
void describe_run(Common& o, Field&& field) {
    field("out", o.out, "run folder (default: runs/NAME-DATE-TIME)");
    field("resume", o.resume, "go on from a checkpoint: a path, or 'auto' for the newest one in --out");
    field("seed", o.seed, "seed of weights, order and views", Limits{0, 1e15});
    field("device", o.device, "auto, cpu, cuda or cuda:N");
    field("precision", o.precision, "of the network; auto: bf16 on CUDA, fp32 on the CPU",
          Choices{"auto", "fp32", "bf16"});
    field("workers", o.workers, "loader threads", Limits{0, 1024});
    field("threads", o.threads, "threads of tensor operations; 0: as many as cores", Limits{0, 4096});
    field("log-every", o.log_every, "steps between lines of metrics.jsonl", Limits{1, 1e9});
    field("checkpoint-every", o.checkpoint_every, "epochs between checkpoints; 0: every tenth of the run",
          Limits{0, 1e9});
    field("knn-every", o.knn_every, "epochs between k-NN evaluations while training; 0: at the end only",
          Limits{0, 1e9});
    field("k", o.k, "neighbors that vote in k-NN", Limits{1, 1e6});
    field("verbose", o.verbose, "tell more when something fails");
}

/// The encoder that --arch and --stem mean.
inline encoders::ByName encoder_from(const Common& o, int size) {
    const Stem stem = o.stem == "strided"                                    ? Stem::strided
                      : o.stem == "cifar" || (o.stem == "auto" && size < 64) ? Stem::cifar
                                                                             : Stem::imagenet;
    try {
        auto encoder = encoders::from_name(o.arch, size, o.channels, stem);
        require(!encoder.is_vit() || o.stem == "auto", "a ViT has no stem; leave --stem out");
        return encoder;
    } catch (const Error& problem) { fail("--arch ", o.arch, ": ", problem.what()); }
}

/// "resnet18x0.25, strided stem", "vit_ti4".
inline std::string encoder_text(const encoders::ByName& encoder) {
    const auto* net = std::get_if<encoders::ResNet>(&encoder.spec);
    return encoder.name() + (net ? ", " + std::string(name_of(net->stem)) + " stem" : "");
}

/// Training and validation images, and how they came to be, in words.
inline data::Splits open_data(const Common& o) {
    if (o.data != "embedded") {
        require(std::filesystem::exists(o.data), "--data: there is no ", o.data,
                " (give a folder or a file, or 'embedded')");
        return data::open(o.data, o.val.empty() ? std::nullopt : std::optional<std::filesystem::path>(o.val),
                          {.seed = static_cast<std::uint64_t>(o.seed)});
    }
    require(o.val.empty(), "--val goes with --data PATH; the embedded images make their own validation set");
    const int size = o.size == 0 ? 32 : static_cast<int>(std::max<std::int64_t>(o.size, 8));
    const std::int64_t held_out = std::max<std::int64_t>(o.images / 4, 2);
    return {.train = data::Embedded({.size = size, .count = o.images}),
            .validation = data::Embedded({.size = size, .count = held_out, .first = std::int64_t{1} << 40}),
            .format = "embedded",
            .split_rule = "images that doppel draws itself, ten kinds of objects"};
}

/// The side of the views when --size does not say: by the first whole image. Throws when there is none.
inline int size_for(const Common& o, const data::Dataset& images, data::DamagedImages* damage) {
    const Image first = data::next_valid_image(images, 0, damage).image;
    if (o.size > 0) return static_cast<int>(o.size);
    return std::min(first.width, first.height) <= 48 ? 32 : 128;
}

}  // namespace doppel::cli
