// SPDX-License-Identifier: Apache-2.0
// Which images of a data set could not be decoded, as loaders find them.
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

/// A damaged image and what its decoder says of it.
struct Damage {
    std::int64_t index = 0;
    std::string reason;
};

/// Collects the damaged images of one data set; may be shared by loaders and threads. `on_first` is called once for
/// each, by the thread that meets it.
///
///     auto damage = std::make_shared<data::DamagedImages>();
///     data::Loader loader(photos, views.each, {.damage = damage});   // steps over damaged images
///     for (const auto& [index, reason] : damage->list()) std::cout << reason << '\n';
class DamagedImages {
public:
    explicit DamagedImages(std::function<void(const Damage&)> on_first = {}) : on_first_(std::move(on_first)) {}

    void record(std::int64_t index, const std::string& reason) {
        const std::lock_guard lock(mutex_);
        if (reasons_.emplace(index, reason).second && on_first_) on_first_({index, reason});
    }
    bool contains(std::int64_t index) const {
        const std::lock_guard lock(mutex_);
        return reasons_.contains(index);
    }
    /// In the order of the images.
    std::vector<Damage> list() const {
        const std::lock_guard lock(mutex_);
        std::vector<Damage> all;
        for (const auto& [index, reason] : reasons_) all.push_back({index, reason});
        return all;
    }

private:
    mutable std::mutex mutex_;
    std::map<std::int64_t, std::string> reasons_;
    std::function<void(const Damage&)> on_first_;
};

/// An image that was decoded, and which one it is.
struct DecodedImage {
    Image image;
    std::int64_t index = 0;
};

/// Image i, or where it is damaged the next one in the data set's order that is whole (after the last comes the
/// first): the same image each time, whoever asks. Without `damage` a damaged image throws.
/// Throws Error when no image of the data set is whole.
inline DecodedImage next_valid_image(const Dataset& images, std::int64_t i, DamagedImages* damage) {
    if (!damage) return {images.image(i), i};
    const std::int64_t size = images.size();
    for (std::int64_t tried = 0, at = i; tried < size; ++tried, at = (at + 1) % size) {
        if (damage->contains(at)) continue;
        try {
            return {images.image(at), at};
        } catch (const DamagedImage& problem) { damage->record(at, problem.what()); }
    }
    const auto all = damage->list();
    fail("none of the ", size, " images can be decoded: ", all.empty() ? "" : all.front().reason);
}

}  // namespace doppel::data
