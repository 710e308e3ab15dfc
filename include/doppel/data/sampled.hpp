// SPDX-License-Identifier: Apache-2.0
// A data set whose image files are read with all of their bands, or with a window of their 16 bits.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/image/decode.hpp>
#include <doppel/image/decode16.hpp>
#include <doppel/image/detail/file.hpp>
#include <doppel/image/image.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace doppel::data {

/// The images of `base`, whose files are decoded by image::decode_samples. Images that are no files of their own stay as
/// they are. The fingerprint changes with the options.
///
///     data::Dataset scans = data::Sampled{data::ImageFolder("scans"), {.window = image::SampleWindow{1000, 3000}}};
struct Sampled {
    Dataset base;
    image::SampleOptions options;

    std::int64_t size() const { return base.size(); }
    Image image(std::int64_t i) const {
        const auto file = base.path(i);
        if (file.empty()) return base.image(i);
        return image::decode_samples(image::read_bytes(file), file.string(), options);
    }
    DecodedPart decode(std::int64_t i, const Needs& needs, Image& into) const {
        const auto file = base.path(i);
        if (file.empty()) return base.decode(i, needs, into);
        const auto bytes = image::read_bytes(file);
        if (image::format_of(bytes) == image::Format::jpeg) return decode_needed(bytes, file.string(), needs, into);
        into = image::decode_samples(bytes, file.string(), options);
        return DecodedPart::whole(into);
    }
    std::int64_t label(std::int64_t i) const { return base.label(i); }
    std::vector<std::string> classes() const { return base.classes(); }
    std::filesystem::path path(std::int64_t i) const { return base.path(i); }
    std::string fingerprint() const {
        const auto list = base.fingerprint();
        if (list.empty()) return list;
        detail::Fingerprint print;
        print.add(list);
        if (options.bands) print.add("bands");
        if (options.window) print.add(std::to_string(options.window->low) + ":" + std::to_string(options.window->high));
        return print.text();
    }
};

static_assert(ImageSource<Sampled> && FileSource<Sampled> && ListedSource<Sampled> && PartSource<Sampled>);

}  // namespace doppel::data
