// SPDX-License-Identifier: Apache-2.0
// The order of an epoch's images: a pure function of seed and epoch.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/random.hpp>
#include <doppel/data/dataset.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

namespace doppel::data {

/// How the images of an epoch are ordered.
struct OrderOptions {
    std::uint64_t seed = 0;
    bool shuffle = true;
    std::int64_t buffer = 0;  ///< images of the shuffle buffer, for a data set in shards; 0: as if there were no shards
    bool balanced = false;    ///< each class equally often
};

namespace detail {

/// The shards in random order, their images in sequence through a shuffle buffer: each one that comes in takes the place of a
/// random one, which goes out. The buffer holds indices, no images.
inline std::vector<std::int64_t> shard_order(const std::vector<std::int64_t>& shards, std::int64_t buffer, random::Stream& draw) {
    struct Shard {
        std::int64_t first, images;
    };
    std::vector<Shard> order;
    std::int64_t size = 0;
    for (const auto images : shards) order.push_back({std::exchange(size, size + images), images});
    draw.shuffle(order);
    std::vector<std::int64_t> result, held;
    result.reserve(static_cast<std::size_t>(size));
    for (const Shard& shard : order)
        for (std::int64_t i = shard.first; i < shard.first + shard.images; ++i)
            if (static_cast<std::int64_t>(held.size()) < buffer)
                held.push_back(i);
            else
                result.push_back(std::exchange(held[draw.below(held.size())], i));
    draw.shuffle(held);
    result.insert(result.end(), held.begin(), held.end());
    return result;
}

/// Each class equally often, or once more for some, drawn from its images in turns: a turn has each of them once.
inline std::vector<std::int64_t> balanced_order(const Dataset& images, const random::Stream::Address& address) {
    const auto size = images.size();
    std::map<std::int64_t, std::vector<std::int64_t>> by_label;
    for (std::int64_t i = 0; i < size; ++i) by_label[images.label(i)].push_back(i);
    if (const auto others = by_label.find(unlabeled); others != by_label.end())
        fail("--balanced: ", others->second.size(), " of ", size, " images have no label, expected labeled images only; leave out --balanced, or the unlabeled images");
    random::Stream draw(address);
    std::vector<std::int64_t> classes, result;
    for (const auto& [label, members] : by_label) classes.push_back(label);
    draw.shuffle(classes);  // the first ones give one more where the size is no multiple
    const auto count = static_cast<std::int64_t>(classes.size());
    for (std::int64_t c = 0; c < count; ++c) {
        auto& members = by_label.at(classes[static_cast<std::size_t>(c)]);
        const auto wanted = size / count + (c < size % count ? 1 : 0);
        for (std::int64_t taken = 0, turn = 0; taken < wanted; ++turn) {
            draw.shuffle(members);
            for (std::size_t m = 0; m < members.size() && taken < wanted; ++m, ++taken) result.push_back(members[m] + turn * size);
        }
    }
    draw.shuffle(result);
    return result;
}

}  // namespace detail

/// Returns the images of an epoch, as many as the data set has. Image i is i the first time that it comes in the epoch and
/// i + k · size() when it comes again (k = 1, 2, …), so that its views can differ: only `balanced` repeats images.
///
/// Shuffled: a uniformly random permutation. For a data set in shards (Dataset::shards) and a `buffer` of B images, the shards in
/// random order, and their images in sequence through a shuffle buffer: an image comes at most B places early, and few shards
/// are being read at a time. Balanced: each of C classes size() div C times, or once more, whatever its number of images; no
/// image comes again before all of its class have come. Shards do not matter then.
/// Throws Error for `balanced` where an image has no label, and a negative buffer.
///
///     auto order = data::epoch_order(shards, {.seed = 1, .buffer = 10'000}, epoch);
inline std::vector<std::int64_t> epoch_order(const Dataset& images, const OrderOptions& options, std::int64_t epoch) {
    require(options.buffer >= 0, "shuffle buffer must be at least 0 images, got ", options.buffer);
    const random::Stream::Address address{
        .seed = options.seed, .purpose = random::Purpose::order, .epoch = static_cast<std::uint64_t>(epoch)};
    if (options.balanced) return detail::balanced_order(images, address);
    random::Stream draw(address);
    if (options.shuffle && options.buffer > 0)
        if (const auto shards = images.shards(); !shards.empty()) return detail::shard_order(shards, options.buffer, draw);
    std::vector<std::int64_t> order(static_cast<std::size_t>(images.size()));
    std::iota(order.begin(), order.end(), 0);
    if (options.shuffle) draw.shuffle(order);
    return order;
}

}  // namespace doppel::data
