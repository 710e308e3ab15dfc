// SPDX-License-Identifier: Apache-2.0
// Two data sets as one.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/image/image.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace doppel::data {

/// The images of `first`, then those of `second`, under the classes of `first`: `second` must have the same classes, or none.
/// Throws Error for other classes.
///
///     data::Dataset all = data::Joined(labeled, unlabeled);
class Joined {
public:
    Joined(Dataset first, Dataset second) : first_(std::move(first)), second_(std::move(second)), border_(first_.size()) {
        require(second_.classes().empty() || second_.classes() == first_.classes(), "Joined: the second data set has ",
                second_.classes().size(), " classes that are not the ", first_.classes().size(), " of the first, expected the same or none");
    }

    std::int64_t size() const { return border_ + second_.size(); }
    Image image(std::int64_t i) const { return i < border_ ? first_.image(i) : second_.image(i - border_); }
    DecodedPart decode(std::int64_t i, const Needs& needs, Image& into) const {
        return i < border_ ? first_.decode(i, needs, into) : second_.decode(i - border_, needs, into);
    }
    std::int64_t label(std::int64_t i) const { return i < border_ ? first_.label(i) : second_.label(i - border_); }
    std::vector<std::string> classes() const { return first_.classes(); }
    std::filesystem::path path(std::int64_t i) const { return i < border_ ? first_.path(i) : second_.path(i - border_); }
    /// Empty if both have none.
    std::string fingerprint() const {
        const auto one = first_.fingerprint(), other = second_.fingerprint();
        if (one.empty() && other.empty()) return {};
        detail::Fingerprint print;
        for (const auto& [part, list] : {std::pair(&first_, &one), std::pair(&second_, &other)}) {
            print.add(std::to_string(part->size()));
            print.add(*list);
        }
        return print.text();
    }
    /// Nothing if one of the two is not in shards.
    std::vector<std::int64_t> shards() const {
        auto counts = first_.shards();
        const auto more = second_.shards();
        if (counts.empty() || more.empty()) return {};
        counts.insert(counts.end(), more.begin(), more.end());
        return counts;
    }

private:
    Dataset first_, second_;
    std::int64_t border_;
};

static_assert(ImageSource<Joined> && PartSource<Joined> && ListedSource<Joined> && FileSource<Joined> && ShardedSource<Joined>);

}  // namespace doppel::data
