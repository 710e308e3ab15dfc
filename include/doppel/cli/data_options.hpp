// SPDX-License-Identifier: Apache-2.0
// Command-line options for images and encoder.
#pragma once

#include <doppel/augment/normalize.hpp>
#include <doppel/cli/custom_data.hpp>
#include <doppel/core/error.hpp>
#include <doppel/data/damaged_images.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/data/image_list.hpp>
#include <doppel/data/open.hpp>
#include <doppel/data/sampled.hpp>
#include <doppel/encoders/by_name.hpp>
#include <doppel/image/decode16.hpp>
#include <doppel/image/image16.hpp>
#include <doppel/options/rows.hpp>
#include <doppel/run/messages.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>

namespace doppel::cli {

/// Where the images come from, and the views' size.
struct DataOptions {
    std::string data = "embedded", val{}, bank{}, extra{};
    data::Folders folders = data::Folders::automatic;
    bool unlabeled = false;
    double fraction = 1;
    std::string window{}, mean{}, std{};
    std::int64_t images = 4000;
    int size = 0;
    std::int64_t threads = 0;

    static constexpr auto fields() {
        using O = DataOptions;
        using options::field;
        return std::tuple(
            field(&O::data, "data", "'embedded', or a folder of images (class folders or flat), a list of files (.csv, .tsv, .txt), tar files (a folder of them, one, "
                  "or 0{00..99}.tar), a packed file, CIFAR or STL-10 binaries, or IDX files"),
            field(&O::val, "val", "labeled images to evaluate on; empty: the folder's own split, else a tenth is held out"),
            field(&O::bank, "bank",
                  "labeled images that k-NN compares with; empty: the training images or, if these have no labels, images of --val"),
            field(&O::extra, "extra", "more images to train on, without labels, beside those of --data"),
            field(&O::folders, "folders",
                  "what the subfolders are; auto: splits if they have the names of splits (train, val, test, …), else classes"),
            field(&O::unlabeled, "unlabeled", "subfolders are no classes: train on every image at any depth, without labels"),
            field(&O::fraction, "fraction", "part of the training images, of each class the same", options::above(0, 1)),
            field(&O::window, "window",
                  "LOW:HIGH: in 16-bit files, the sample that becomes black and the one that becomes white; empty: the whole range. 8-bit files stay as they are"),
            field(&O::mean, "mean", "mean of each channel on the scale 0 to 1, as in 0.5,0.4,0.4, with --std; empty: the method's (0.5 for bands)"),
            field(&O::std, "std", "standard deviation of each channel on the scale 0 to 1, with --mean; empty: the method's (0.25 for bands)"),
            field(&O::images, "images", "embedded training images; a quarter as many are made for evaluation",
                  options::between(8, 1e9)),
            field(&O::size, "size", "side of the views; 0: 32 for images of up to 48 px, else 128", options::between(0, 4096), "px"),
            field(&O::threads, "threads", "threads of tensor operations; 0: one per core", options::between(0, 4096)));
    }
};

/// How a ResNet begins.
enum class StemChoice { automatic, cifar, imagenet, strided };
constexpr std::array<std::string_view, 4> option_names(StemChoice) { return {"auto", "cifar", "imagenet", "strided"}; }

struct EncoderOptions {
    std::string arch = "resnet18";
    StemChoice stem = StemChoice::automatic;

    static constexpr auto fields() {
        using O = EncoderOptions;
        return std::tuple(
            options::field(&O::arch, "arch",
                           "resnet18, 34, 50 or 101, with a width as in resnet18x0.25; vit_ti16, vit_s16, vit_b16 or vit_l16, "
                           "the number being the side of a patch, with a number of heads as in vit_s16h12 and of blocks as in vit_ti8d4"),
            options::field(&O::stem, "stem", "how a ResNet begins; auto: cifar below 64 px; strided: a quarter of its work"));
    }
};

/// Returns the encoder that --arch and --stem name. Throws Error for another name.
inline encoders::ByName encoder_of(const EncoderOptions& o, int size, int channels) {
    const Stem stem = o.stem == StemChoice::strided ? Stem::strided
                      : o.stem == StemChoice::cifar || (o.stem == StemChoice::automatic && size < 64) ? Stem::cifar
                                                                                                      : Stem::imagenet;
    try {
        auto encoder = encoders::from_name(o.arch, size, channels, stem);
        require(!encoder.is_vit() || o.stem == StemChoice::automatic, "a ViT has no stem; leave --stem out");
        return encoder;
    } catch (const Error& problem) { fail("--arch ", o.arch, ": ", problem.what()); }
}

/// Opens training and validation images: the embedded ones, a program's `own`, or those of a path. `list` is the list of images
/// of a run that goes on (images.tsv): the same images again, if it is there and was made with the same options. Throws Error
/// for what is no data set.
inline data::Splits open_data(const DataOptions& o, std::uint64_t seed, const std::filesystem::path& list = {}, const CustomData& own = {},
                              const std::optional<image::SampleOptions>& samples = {}) {
    const auto path = [](const std::string& text) {
        return text.empty() ? std::nullopt : std::optional<std::filesystem::path>(text);
    };
    const data::OpenOptions how{.seed = seed,
                                .folders = o.folders,
                                .unlabeled = o.unlabeled,
                                .bank = path(o.bank),
                                .samples = samples,
                                .extra = path(o.extra),
                                .fraction = o.fraction,
                                .progress = {.say = [](const std::string& line) { run::say("{}", line); }}};
    const bool is_own = own.open && o.data == own.name;
    if (is_own || o.data == "embedded") {
        require(o.val.empty(), "--val goes with --data PATH; ", is_own ? "the program's own" : "the embedded",
                " images make their own validation set");
        for (const auto& [name, given] : {std::pair("--bank", !o.bank.empty()), std::pair("--extra", !o.extra.empty()),
                                          std::pair("--folders", o.folders != data::Folders::automatic), std::pair("--unlabeled", o.unlabeled)})
            require(!given, name, " goes with --data PATH");
        if (is_own) return data::complete(own.open(), how);
        const int size = o.size == 0 ? 32 : std::max(o.size, 8);
        const std::int64_t held_out = std::max<std::int64_t>(o.images / 4, 2);
        return data::complete({.train = data::Embedded({.size = size, .count = o.images}),
                               .validation = data::Embedded({.size = size, .count = held_out, .first = std::int64_t{1} << 40}),
                               .format = "embedded",
                               .split_rule = "images that doppel draws itself, ten kinds of objects"},
                              how);
    }
    require(std::filesystem::exists(o.data) || o.data.find('{') != std::string::npos, "--data: ", o.data, ": no such file or folder; expected a folder, a file, ",
            own.open ? "'" + own.name + "', " : "", "or 'embedded'");
    const data::Roots roots{.data = o.data, .val = o.val, .bank = o.bank, .extra = o.extra};
    std::ostringstream options;
    options << "seed " << seed << ", folders " << option_names(o.folders)[static_cast<std::size_t>(o.folders)] << ", unlabeled "
            << o.unlabeled;
    if (o.fraction != 1) options << ", fraction " << o.fraction;
    for (const auto& [name, other] : {std::pair("val", o.val), std::pair("bank", o.bank), std::pair("extra", o.extra)})
        if (!other.empty()) options << ", " << name << ' ' << std::filesystem::weakly_canonical(other).string();
    if (auto kept = data::load_list(list, roots, options.str())) return *std::move(kept);
    auto splits = data::open(o.data, path(o.val), how);
    splits.list = data::save_list(splits, roots, options.str());
    return splits;
}

/// Returns how image files are read: by --window, and with all of their bands where --channels is not 1 or 3; nothing for
/// others. Throws Error for another text.
inline std::optional<image::SampleOptions> samples_of(const DataOptions& o, int channels) {
    image::SampleOptions how{.bands = channels != 1 && channels != 3};
    if (!o.window.empty()) {
        how.window = image::window_of(o.window);
        require(how.window.has_value(), "--window must be LOW:HIGH with 0 <= LOW < HIGH <= 65535, got '", o.window, "'");
    }
    return how.bands || how.window ? std::optional(how) : std::nullopt;
}

/// Makes image files be read so. Throws Error where images are no files of their own, but for the bands of a program's images.
inline void read_samples(data::Splits& splits, const DataOptions& o, const image::SampleOptions& how, bool is_own) {
    for (const auto& [from, part] : {std::pair(&o.data, &splits.train), std::pair(o.val.empty() ? &o.data : &o.val, &splits.validation),
                                     std::pair(o.bank.empty() ? &o.data : &o.bank, &splits.bank)}) {
        if (part->empty()) continue;
        const bool files = !part->path(0).empty() && !part->path(part->size() - 1).empty();
        require(files || !how.window, "--window: ", *from,
                " has no image files of its own; of files that are packed, ./run pack maps the samples by its --window");
        require(files || is_own, "--channels reads the bands of image files; ", *from, " has no image files of its own, expected a folder or a list");
        if (files) *part = data::Sampled{*part, how};
    }
}

/// Returns --mean and --std for so many channels; nothing if they are not given. Throws Error for other texts.
inline std::optional<augment::Normalize> normalize_of(const DataOptions& o, int channels) {
    if (o.mean.empty() && o.std.empty()) return std::nullopt;
    require(!o.mean.empty() && !o.std.empty(), "--mean and --std go together; got only ", o.mean.empty() ? "--std" : "--mean");
    augment::Normalize by{.mean = {}, .std = {}};
    const auto read = [&](const char* name, const std::string& text, auto& values, double least) {
        std::istringstream in(text);
        int count = 0;
        bool valid = true;
        for (std::string number; std::getline(in, number, ','); ++count) {
            double value = 0;
            const auto [end, problem] = std::from_chars(number.data(), number.data() + number.size(), value);
            valid = valid && problem == std::errc{} && end == number.data() + number.size() && value > least && value < 1e6;
            if (count < channels) values[static_cast<std::size_t>(count)] = value;
        }
        require(valid && count == channels, name, " must be ", channels, channels == 1 ? " number" : " numbers", least == 0 ? " above 0" : "",
                ", one for each channel, with commas between them; got '", text, "'");
    };
    read("--mean", o.mean, by.mean, -1e6);
    read("--std", o.std, by.std, 0);
    return by;
}

/// Returns the name of the data set for people: that of its folder or file, also where the path ends in a slash.
inline std::string data_name(const DataOptions& o) {
    if (o.data == "embedded") return "the embedded images";
    auto path = std::filesystem::weakly_canonical(o.data);
    if (path.filename().empty() && path.has_parent_path()) path = path.parent_path();
    return path.filename().empty() ? path.string() : path.filename().string();
}

/// Returns the side of the views when --size does not say: by the first valid image. Throws Error when there is none.
inline int size_for(const DataOptions& o, const data::Dataset& images, data::DamagedImages* damaged) {
    const Image first = data::next_valid_image(images, 0, damaged).image;  // also tells early that there is none
    if (o.size > 0) return o.size;
    return std::min(first.width, first.height) <= 48 ? 32 : 128;
}

}  // namespace doppel::cli
