// SPDX-License-Identifier: Apache-2.0
// The concept of a data set (numbered images with labels), its type-erased form, and subsets.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/part.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::data {

namespace detail {

/// An FNV-1a hash of texts, as 16 hexadecimal digits: the same on every machine.
class Fingerprint {
public:
    void add(std::string_view text) {
        for (const char c : text) mix(static_cast<unsigned char>(c));
        mix(0);  // separates "ab" "c" from "a" "bc"
    }
    std::string text() const {
        std::string digits(16, '0');
        for (std::size_t i = 0; i < 16; ++i) digits[15 - i] = "0123456789abcdef"[hash_ >> 4 * i & 15];
        return digits;
    }

private:
    void mix(std::uint64_t byte) { hash_ = (hash_ ^ byte) * 0x100000001B3u; }
    std::uint64_t hash_ = 0xCBF29CE484222325u;
};

}  // namespace detail

/// The label of an unlabeled image.
inline constexpr std::int64_t unlabeled = -1;

/// A source of numbered images. `image(i)` must be callable from several threads at once and return the same pixels
/// each time; `label(i)` returns an index into `classes()`, or `unlabeled`.
template <class D>
concept ImageSource = requires(const D& d, std::int64_t i) {
    { d.size() } -> std::convertible_to<std::int64_t>;
    { d.image(i) } -> std::convertible_to<Image>;
    { d.label(i) } -> std::convertible_to<std::int64_t>;
    { d.classes() } -> std::convertible_to<std::vector<std::string>>;
};

/// A source with object masks: mask(i) has the size of image(i), one channel, 255 inside the object.
template <class D>
concept MaskSource = ImageSource<D> && requires(const D& d, std::int64_t i) {
    { d.mask(i) } -> std::convertible_to<Image>;
};

/// A source with a fingerprint() of its list of images, which changes with the images' names, sizes or order.
template <class D>
concept ListedSource = ImageSource<D> && requires(const D& d) {
    { d.fingerprint() } -> std::convertible_to<std::string>;
};

/// A source of image files: path(i) is that of image i, empty if it has none.
template <class D>
concept FileSource = ImageSource<D> && requires(const D& d, std::int64_t i) {
    { d.path(i) } -> std::convertible_to<std::filesystem::path>;
};

/// A source that decodes no more than is needed, into memory that it is given: `decode(i, needs, into)` gives the pixels of
/// image(i) in the part that it returns, which contains what `needs` asks for. May be called from several threads at once.
template <class D>
concept PartSource = ImageSource<D> && requires(const D& d, std::int64_t i, const Needs& needs, Image& into) {
    { d.decode(i, needs, into) } -> std::same_as<DecodedPart>;
};

/// A source that is stored in shards, files that hold many images one behind the other: shards() returns how many images
/// each has, in the order of the images.
template <class D>
concept ShardedSource = ImageSource<D> && requires(const D& d) {
    { d.shards() } -> std::convertible_to<std::vector<std::int64_t>>;
};

/// Type-erased image source, cheap to copy (copies share the source).
///
///     data::Dataset photos = data::ImageFolder("photos/train");
///     Image first = photos.image(0);
class Dataset {
public:
    Dataset() = default;
    template <class D>
        requires(!std::same_as<D, Dataset> && ImageSource<D>)
    Dataset(D source) : self_(std::make_shared<Model<D>>(std::move(source))) {}  // NOLINT: implicit by intent

    std::int64_t size() const { return self_ ? self_->size() : 0; }
    bool empty() const { return size() == 0; }
    Image image(std::int64_t i) const { return self_->image(i); }
    /// Decodes what `needs` asks for, and possibly more, into `into`, whose memory is used again.
    DecodedPart decode(std::int64_t i, const Needs& needs, Image& into) const { return self_->decode(i, needs, into); }
    std::int64_t label(std::int64_t i) const { return self_->label(i); }
    std::vector<std::string> classes() const { return self_ ? self_->classes() : std::vector<std::string>{}; }
    /// Returns whether the source is a MaskSource, so that mask(i) may be called.
    bool has_masks() const { return self_ && self_->has_masks(); }
    /// Returns the object mask of image i. Throws Error if the source has no masks.
    Image mask(std::int64_t i) const { return self_->mask(i); }
    /// Returns a fingerprint of the list of images; empty if the source has none.
    std::string fingerprint() const { return self_ ? self_->fingerprint() : std::string{}; }
    /// Returns the file of image i; an empty path if it is no file of its own.
    std::filesystem::path path(std::int64_t i) const { return self_ ? self_->path(i) : std::filesystem::path{}; }
    /// Returns how many images each shard has; nothing if the images are not in shards.
    std::vector<std::int64_t> shards() const { return self_ ? self_->shards() : std::vector<std::int64_t>{}; }
    /// Returns true if every image has a label and there are at least two classes.
    bool labeled() const {
        if (classes().size() < 2) return false;
        for (std::int64_t i = 0; i < size(); ++i)
            if (label(i) == unlabeled) return false;
        return !empty();
    }

private:
    struct Interface {
        virtual ~Interface() = default;
        virtual std::int64_t size() const = 0;
        virtual Image image(std::int64_t) const = 0;
        virtual DecodedPart decode(std::int64_t, const Needs&, Image&) const = 0;
        virtual std::int64_t label(std::int64_t) const = 0;
        virtual std::vector<std::string> classes() const = 0;
        virtual bool has_masks() const = 0;
        virtual Image mask(std::int64_t) const = 0;
        virtual std::string fingerprint() const = 0;
        virtual std::filesystem::path path(std::int64_t) const = 0;
        virtual std::vector<std::int64_t> shards() const = 0;
    };
    template <class D>
    struct Model final : Interface {
        explicit Model(D d) : source(std::move(d)) {}
        std::int64_t size() const override { return source.size(); }
        Image image(std::int64_t i) const override { return source.image(i); }
        DecodedPart decode(std::int64_t i, [[maybe_unused]] const Needs& needs, Image& into) const override {
            if constexpr (PartSource<D>) {
                return source.decode(i, needs, into);
            } else {
                into = source.image(i);
                return DecodedPart::whole(into);
            }
        }
        std::int64_t label(std::int64_t i) const override { return source.label(i); }
        std::vector<std::string> classes() const override { return source.classes(); }
        bool has_masks() const override { return MaskSource<D>; }
        Image mask([[maybe_unused]] std::int64_t i) const override {
            if constexpr (MaskSource<D>)
                return source.mask(i);
            else
                fail("Dataset: this source has no masks");
        }
        std::string fingerprint() const override {
            if constexpr (ListedSource<D>)
                return source.fingerprint();
            else
                return {};
        }
        std::filesystem::path path([[maybe_unused]] std::int64_t i) const override {
            if constexpr (FileSource<D>)
                return source.path(i);
            else
                return {};
        }
        std::vector<std::int64_t> shards() const override {
            if constexpr (ShardedSource<D>)
                return source.shards();
            else
                return {};
        }
        D source;
    };
    std::shared_ptr<const Interface> self_;
};

/// The images of `base` at `indices`, in that order.
struct Subset {
    Dataset base;
    std::vector<std::int64_t> indices;

    std::int64_t size() const { return static_cast<std::int64_t>(indices.size()); }
    Image image(std::int64_t i) const { return base.image(indices.at(static_cast<std::size_t>(i))); }
    DecodedPart decode(std::int64_t i, const Needs& needs, Image& into) const {
        return base.decode(indices.at(static_cast<std::size_t>(i)), needs, into);
    }
    std::int64_t label(std::int64_t i) const { return base.label(indices.at(static_cast<std::size_t>(i))); }
    std::vector<std::string> classes() const { return base.classes(); }
    std::filesystem::path path(std::int64_t i) const { return base.path(indices.at(static_cast<std::size_t>(i))); }
    std::string fingerprint() const {
        const auto list = base.fingerprint();
        if (list.empty()) return list;
        detail::Fingerprint print;
        print.add(list);
        for (const auto i : indices) print.add(std::to_string(i));
        return print.text();
    }
    /// Those of `base` that have images here; nothing if the images are not in the order of `base`.
    std::vector<std::int64_t> shards() const {
        std::vector<std::int64_t> counts;
        if (!std::is_sorted(indices.begin(), indices.end())) return counts;
        std::int64_t end = 0;
        auto at = indices.begin();
        for (const auto images : base.shards()) {
            const auto next = std::lower_bound(at, indices.end(), end += images);
            if (next != at) counts.push_back(next - at);
            at = next;
        }
        return counts;
    }
};

}  // namespace doppel::data
