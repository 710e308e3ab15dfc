// SPDX-License-Identifier: Apache-2.0
// How images are prepared for an encoder, as metadata of its weights and as a pipeline.
#pragma once

#include <doppel/augment/center_crop.hpp>
#include <doppel/augment/normalize.hpp>
#include <doppel/augment/pipeline.hpp>
#include <doppel/augment/resize.hpp>
#include <doppel/core/error.hpp>
#include <doppel/image/resize.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>

namespace doppel::weights {

using Metadata = std::map<std::string, std::string>;

/// The evaluation view of an encoder: short side resized, center crop, normalization.
struct Preprocessing {
    int size = 224;                                      ///< side of the crop, px
    int resize = 256;                                    ///< short side before the crop, px
    image::Filter filter = image::Filter::bilinear;      ///< of the resize, with antialiasing
    Normalize normalize = augment::imagenet_normalize;   ///< mean and deviation of each channel
    int channels = 3;

    /// Returns the same for another side of the crop; the resize keeps its proportion to it.
    Preprocessing at(int side) const {
        Preprocessing other = *this;
        other.resize = static_cast<int>(std::lround(static_cast<double>(resize) * side / size));
        other.size = side;
        return other;
    }
    augment::Pipeline pipeline() const {
        return augment::Pipeline({.size = size,
                                  .operations = {augment::Resize{.size = resize, .filter = filter}, augment::CenterCrop{.size = size}},
                                  .normalize = normalize,
                                  .channels = channels});
    }
};

namespace detail {

/// One value for each channel that the normalization has.
inline std::string listed(const auto& values, int channels) {
    std::ostringstream out;
    for (std::size_t i = 0; i < static_cast<std::size_t>(channels); ++i) out << (i ? "," : "") << values[i];
    return out.str();
}

/// Reads all of a text as a number. Throws Error for another text.
template <class Number>
Number number_of(const std::string& text, const std::string& who, const char* key) {
    Number value{};
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    require(problem == std::errc{} && end == text.data() + text.size(), who, ": the metadata entry ", key, " is '", text,
            "', expected a number");
    return value;
}

inline image::Filter filter_of(const std::string& text, const std::string& who) {
    if (text == "bilinear") return image::Filter::bilinear;
    require(text == "bicubic", who, ": images are to be resized with the filter '", text, "', expected bilinear or bicubic");
    return image::Filter::bicubic;
}

}  // namespace detail

/// How images are to be prepared, as the evaluation pipeline prepares them: image_size, channels, mean, std, preprocessing,
/// and resize, crop and interpolation where it has such operations.
inline Metadata preprocessing_metadata(const augment::Pipeline& pipeline) {
    const auto normalize = pipeline.normalize();
    Metadata metadata{{"image_size", std::to_string(pipeline.size())},
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

/// Returns what preprocessing_metadata() wrote; nothing for metadata without it. Throws Error for values that are none.
inline std::optional<Preprocessing> preprocessing_of(const Metadata& metadata, const std::string& who) {
    const auto text = [&](const char* key) {
        const auto found = metadata.find(key);
        return found == metadata.end() ? std::string() : found->second;
    };
    if (text("image_size").empty() || text("mean").empty() || text("std").empty()) return std::nullopt;
    const auto whole = [&](const char* key, int otherwise) {
        return text(key).empty() ? otherwise : detail::number_of<int>(text(key), who, key);
    };
    Preprocessing found;
    found.size = whole("image_size", 224);
    found.resize = whole("resize", found.size);
    found.channels = whole("channels", 3);
    require(found.size >= 1 && found.resize >= 1, who, ": image_size and resize must be at least 1, got ", found.size, " and ", found.resize);
    if (!text("interpolation").empty()) found.filter = detail::filter_of(text("interpolation"), who);
    found.normalize = {.mean = {}, .std = {}};
    for (const auto& [key, values] : {std::pair("mean", &found.normalize.mean), std::pair("std", &found.normalize.std)}) {
        std::istringstream in(text(key));
        std::size_t count = 0;
        for (std::string one; std::getline(in, one, ',') && count < values->size(); ++count)
            (*values)[count] = detail::number_of<double>(one, who, key);
    }
    return found;
}

/// Returns the preprocessing that timm publishes beside weights as config.json ("pretrained_cfg"); nothing without such a
/// file. Throws Error for a file that is no JSON, and for a filter that is neither bilinear nor bicubic.
inline std::optional<Preprocessing> preprocessing_beside(const std::filesystem::path& weights) {
    const auto path = weights.parent_path() / "config.json";
    std::ifstream in(path);
    if (!in) return std::nullopt;
    try {
        const auto json = nlohmann::json::parse(in);
        if (!json.contains("pretrained_cfg")) return std::nullopt;
        const auto& of = json["pretrained_cfg"];
        Preprocessing found;
        found.channels = of.at("input_size").at(0).get<int>();
        found.size = of.at("input_size").at(1).get<int>();
        found.resize = static_cast<int>(std::floor(found.size / of.value("crop_pct", 0.875)));
        found.filter = detail::filter_of(of.value("interpolation", "bilinear"), "weights: " + path.string());
        for (std::size_t c = 0; c < static_cast<std::size_t>(std::min(found.channels, 3)); ++c) {
            found.normalize.mean[c] = of.at("mean").at(c).get<double>();
            found.normalize.std[c] = of.at("std").at(c).get<double>();
        }
        require(found.size >= 1 && found.resize >= 1, "weights: ", path.string(), ": input_size and crop_pct make a view of ", found.size, " px");
        return found;
    } catch (const nlohmann::json::exception& problem) {
        fail("weights: ", path.string(), ": cannot be read as timm's config.json: ", problem.what());
    }
}

}  // namespace doppel::weights
