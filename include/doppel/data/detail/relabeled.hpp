// SPDX-License-Identifier: Apache-2.0
// A data set with labels mapped to another list of classes.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::data::detail {

/// The images of `base`; label l becomes to[l], an index into `names`. With an empty `to`, all are unlabeled.
struct Relabeled {
    Dataset base;
    std::vector<std::int64_t> to;
    std::vector<std::string> names;

    std::int64_t size() const { return base.size(); }
    Image image(std::int64_t i) const { return base.image(i); }
    DecodedPart decode(std::int64_t i, const Needs& needs, Image& into) const { return base.decode(i, needs, into); }
    std::int64_t label(std::int64_t i) const {
        const auto label = base.label(i);
        return label == unlabeled || to.empty() ? unlabeled : to.at(static_cast<std::size_t>(label));
    }
    std::vector<std::string> classes() const { return names; }
    std::filesystem::path path(std::int64_t i) const { return base.path(i); }
    std::string fingerprint() const { return base.fingerprint(); }
    std::vector<std::int64_t> shards() const { return base.shards(); }
};

static_assert(ImageSource<Relabeled>);

/// Maps the labels of `other` to `names` by class name. Throws Error, with `where` and the class, if an image of
/// `other` has another class.
inline Dataset under_classes(Dataset other, const std::vector<std::string>& names, std::string_view where) {
    const auto own = other.classes();
    if (own == names) return other;
    std::vector<std::int64_t> to;
    for (const auto& name : own) {
        const auto found = std::find(names.begin(), names.end(), name);
        to.push_back(found == names.end() ? unlabeled : found - names.begin());
    }
    for (std::int64_t i = 0; i < other.size(); ++i) {
        const auto label = other.label(i);
        require(label == unlabeled || to.at(static_cast<std::size_t>(label)) != unlabeled, "data: ", where,
                ": class ", label == unlabeled ? "" : own[static_cast<std::size_t>(label)], " is not among the ",
                names.size(), names.size() == 1 ? " class" : " classes", " that k-NN compares with");
    }
    return Relabeled{std::move(other), std::move(to), names};
}

}  // namespace doppel::data::detail
