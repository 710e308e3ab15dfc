// SPDX-License-Identifier: Apache-2.0
// A shipped method without the types of its options and recipe: what the training program, the documents and the tests loop
// over.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/encoders/by_name.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/options/json.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::methods {

/// The scale that option values are made for.
enum class Scale {
    imagenet,  ///< photographs: the paper's values, or the authors'
    small,     ///< images of about 32 px and short runs
};

/// What a method may want to know of the training images.
struct DataInfo {
    std::int64_t images = 0;  ///< how many
};

/// What a person reads about a method.
struct MethodText {
    std::string name;   ///< the stem: "moco_v2"
    std::string title;  ///< as the paper writes it: "MoCo v2"
    std::string text;   ///< one sentence
    std::string paper;  ///< "arXiv:2003.04297"
    std::string arch = "resnet18";  ///< the encoder when none is named
    bool own_encoder = false;       ///< ignores the encoder it is given
};

/// A method with its options, type-erased.
///
///     const auto entry = methods::find("byol");
///     auto values = entry.values(methods::Scale::small);
///     options::from_json("byol", values.rows, {{"momentum", 0.99}});
///     AnyPreset preset = entry.preset(encoders::ResNet{.depth = 18}, values, {.images = photos.size()});
class MethodEntry {
public:
    /// An options object and its rows, which are bound to it.
    struct Values {
        std::shared_ptr<void> object{};
        std::vector<options::Row> rows{};
    };

    MethodText about{};

    /// `values(scale, transformer)` gives the options; `make(encoder, options, data)` the preset.
    template <class Choose, class Make>
    MethodEntry(MethodText text, Choose choose, Make make) : about(std::move(text)) {
        using Options = decltype(choose(Scale::imagenet, false));
        values_ = [choose](Scale scale, bool transformer) {
            auto object = std::make_shared<Options>(choose(scale, transformer));
            return Values{object, options::rows_of(*object)};
        };
        preset_ = [make](encoders::ByName encoder, const void* object, const DataInfo& data) {
            return erase(make(std::move(encoder), *static_cast<const Options*>(object), data));
        };
    }

    /// The options for a scale and a kind of encoder.
    Values values(Scale scale, bool transformer = false) const { return values_(scale, transformer); }

    /// The preset. Throws Error for values out of their ranges.
    AnyPreset preset(encoders::ByName encoder, const Values& values, const DataInfo& data) const {
        options::validate(about.name, values.rows);
        return preset_(std::move(encoder), values.object.get(), data);
    }

private:
    std::function<Values(Scale, bool)> values_;
    std::function<AnyPreset(encoders::ByName, const void*, const DataInfo&)> preset_;
};

/// An entry that has values of its own for a Vision Transformer.
template <class Options, class Make>
MethodEntry method_entry(MethodText text, const Options& imagenet, const Options& small, const Options& vit, const Options& vit_small,
                  Make make) {
    return {std::move(text),
            [=](Scale scale, bool transformer) {
                if (transformer) return scale == Scale::small ? vit_small : vit;
                return scale == Scale::small ? small : imagenet;
            },
            [make](auto encoder, const Options& o, const DataInfo&) { return make(std::move(encoder), o); }};
}

/// An entry whose values are the same for every kind of encoder.
template <class Options, class Make>
MethodEntry method_entry(MethodText text, const Options& imagenet, const Options& small, Make make) {
    return method_entry(std::move(text), imagenet, small, imagenet, small, std::move(make));
}

/// The method of that name among several. Throws Error for another one, with the nearest name and the list.
inline const MethodEntry& find_in(const std::vector<MethodEntry>& entries, std::string_view name) {
    std::vector<std::string> names;
    std::string list;
    for (const MethodEntry& entry : entries) {
        if (entry.about.name == name) return entry;
        names.push_back(entry.about.name);
        list += (list.empty() ? "" : ", ") + entry.about.name;
    }
    const auto near = options::nearest_name(name, names);
    fail("there is no method '", name, "'", near.empty() ? "" : "; did you mean " + near + "?", " The methods are ", list);
}

/// The scale that views of this size are of.
inline Scale scale_of(int size) { return size < 64 ? Scale::small : Scale::imagenet; }

}  // namespace doppel::methods
