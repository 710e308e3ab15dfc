// SPDX-License-Identifier: Apache-2.0
// The damaged images of a data set, and their substitution by decodable ones.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace doppel::data {

/// A damaged image and the decoder's error message.
struct Damage {
    std::int64_t index = 0;
    std::string reason;
};

/// A registry of the damaged images of one data set, which loaders and threads may share, and of the images that are
/// used although the end of their file is missing (Image::note). `on_first` is called once per damaged image, by the
/// thread that finds it.
///
///     auto damage = std::make_shared<data::DamagedImages>();
///     data::Loader loader(photos, views.pipelines, {.damage = damage});   // skips damaged images
///     for (const auto& [index, reason] : damage->list()) std::cout << reason << '\n';
class DamagedImages {
public:
    explicit DamagedImages(std::function<void(const Damage&)> on_first = {}) : on_first_(std::move(on_first)) {}

    /// Adds an image; only the first call for an image has an effect.
    void record(std::int64_t index, const std::string& reason) {
        const std::lock_guard lock(mutex_);
        if (reasons_.emplace(index, reason).second && on_first_) on_first_({index, reason});
    }
    bool contains(std::int64_t index) const {
        const std::lock_guard lock(mutex_);
        return reasons_.contains(index);
    }
    /// Returns the damaged images in order of their indices.
    std::vector<Damage> list() const { return listed(reasons_); }

    /// Adds an image that is used, with what is wrong with its file.
    void note(std::int64_t index, const std::string& what) {
        const std::lock_guard lock(mutex_);
        notes_.emplace(index, what);
    }
    /// Returns the images of note(), in order of their indices.
    std::vector<Damage> notes() const { return listed(notes_); }

private:
    using Reasons = std::map<std::int64_t, std::string>;

    std::vector<Damage> listed(const Reasons& reasons) const {
        const std::lock_guard lock(mutex_);
        std::vector<Damage> all;
        for (const auto& [index, reason] : reasons) all.push_back({index, reason});
        return all;
    }

    mutable std::mutex mutex_;
    Reasons reasons_, notes_;
    std::function<void(const Damage&)> on_first_;
};

/// A decoded image and its index.
struct DecodedImage {
    Image image;
    std::int64_t index = 0;
};

/// Calls read(i, image); if image i is damaged, or cannot be read twice, read() of the next decodable image, wrapping around.
/// Returns its index. Deterministic for a given data set.
/// Without `damage`, a damaged image throws DamagedImage.
/// Throws Error if no image of the data set can be decoded.
template <class Read>
std::int64_t read_next_valid(const Dataset& images, std::int64_t i, DamagedImages* damage, Image& image, const Read& read) {
    if (!damage) {
        read(i, image);
        return i;
    }
    const auto noted = [&](std::int64_t at) {
        image.note.clear();
        read(at, image);
        if (!image.note.empty()) damage->note(at, image.note);
        return at;
    };
    const std::int64_t size = images.size();
    for (std::int64_t tried = 0, at = i; tried < size; ++tried, at = (at + 1) % size) {
        if (damage->contains(at)) continue;
        try {
            try {
                return noted(at);
            } catch (const UnreadableImage&) { return noted(at); }  // a read may fail once
        } catch (const DamagedImage& problem) { damage->record(at, problem.what()); }
    }
    const auto all = damage->list();
    fail("none of the ", size, " images can be decoded: ", all.empty() ? "" : all.front().reason);
}

/// Decodes image i or, if it is damaged, the next decodable one, as read_next_valid() does.
inline DecodedImage next_valid_image(const Dataset& images, std::int64_t i, DamagedImages* damage) {
    DecodedImage found;
    found.index = read_next_valid(images, i, damage, found.image, [&](std::int64_t at, Image& into) { into = images.image(at); });
    return found;
}

}  // namespace doppel::data
