// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/memory.hpp>
#include <doppel/data/order.hpp>

#include "support/support.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <utility>

using namespace doppel;
using namespace doppel::test;

namespace {

using Order = std::vector<std::int64_t>;

/// Images that are only numbers, in shards, with labels.
struct Numbers {
    Order sizes;
    std::vector<std::int64_t> labels{};
    std::int64_t size() const {
        return sizes.empty() ? static_cast<std::int64_t>(labels.size()) : std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
    }
    Image image(std::int64_t) const { return Image(1, 1, 1); }
    std::int64_t label(std::int64_t i) const { return labels.empty() ? data::unlabeled : labels.at(static_cast<std::size_t>(i)); }
    std::vector<std::string> classes() const { return {"a", "b", "c", "d"}; }
    Order shards() const { return sizes; }
};

Order sorted(Order order) {
    std::sort(order.begin(), order.end());
    return order;
}
Order all(std::int64_t size) {
    Order order(static_cast<std::size_t>(size));
    std::iota(order.begin(), order.end(), 0);
    return order;
}

}  // namespace

TEST_CASE("without shards an epoch's order is the shuffle of the stream that earlier runs used") {
    const data::Dataset plain = Numbers{.sizes = {}, .labels = Order(50, 0)};
    Order expected = all(50);
    random::Stream draw({.seed = 7, .purpose = random::Purpose::order, .epoch = 3});
    draw.shuffle(expected);
    CHECK(data::epoch_order(plain, {.seed = 7}, 3) == expected);
    CHECK(data::epoch_order(plain, {.seed = 7, .buffer = 10}, 3) == expected);
    const data::Dataset sharded = Numbers{.sizes = {20, 30}};
    CHECK(data::epoch_order(sharded, {.seed = 7}, 3) == expected);
    CHECK(data::epoch_order(sharded, {.seed = 7, .shuffle = false, .buffer = 10}, 3) == all(50));
}

TEST_CASE("shards are read in random order, an image comes at most a buffer early, and each once per epoch") {
    const Order sizes{100, 50, 70, 80, 100};
    const data::Dataset images = Numbers{.sizes = sizes};
    const std::int64_t buffer = 30;
    std::set<Order> firsts;
    std::set<std::int64_t> first_shards;
    for (std::int64_t epoch = 0; epoch < 8; ++epoch) {
        const auto order = data::epoch_order(images, {.seed = 1, .buffer = buffer}, epoch);
        CHECK(order == data::epoch_order(images, {.seed = 1, .buffer = buffer}, epoch));
        CHECK(sorted(order) == all(400));
        firsts.insert(order);
        // Where each image is in the sequence of shards that fits: the order in which shards end tells their order.
        Order ends, seen;
        std::map<std::int64_t, std::int64_t> shard_begin;
        std::int64_t begin = 0;
        const auto shard_of = [&](std::int64_t image) {
            std::int64_t s = 0, end = sizes[0];
            while (image >= end) end += sizes[static_cast<std::size_t>(++s)];
            return s;
        };
        for (const auto image : order)
            if (const auto s = shard_of(image); std::find(seen.begin(), seen.end(), s) == seen.end()) seen.push_back(s);
        first_shards.insert(seen.front());
        for (const auto s : seen) shard_begin[s] = std::exchange(begin, begin + sizes[static_cast<std::size_t>(s)]);
        std::int64_t latest = 0, moved = 0;
        for (std::size_t place = 0; place < order.size(); ++place) {
            const auto s = shard_of(order[place]);
            const auto offset = order[place] - std::accumulate(sizes.begin(), sizes.begin() + s, std::int64_t{0});
            const auto read = shard_begin[s] + offset;
            CHECK(read < static_cast<std::int64_t>(place) + buffer + 1);
            latest = std::max(latest, static_cast<std::int64_t>(place) - read);
            moved += read != static_cast<std::int64_t>(place);
        }
        CHECK(latest > buffer / 2);  // and some wait long
        CHECK(moved > 300);
    }
    CHECK(firsts.size() == 8);
    CHECK(first_shards.size() >= 3);
    CHECK(data::epoch_order(images, {.seed = 1, .buffer = buffer}, 0) != data::epoch_order(images, {.seed = 2, .buffer = buffer}, 0));
    CHECK(sorted(data::epoch_order(images, {.seed = 1, .buffer = 1000}, 0)) == all(400));
    CHECK(sorted(data::epoch_order(images, {.seed = 1, .buffer = 1}, 0)) == all(400));
    says([&] { data::epoch_order(images, {.buffer = -1}, 0); }, {"shuffle buffer", "at least 0", "-1"});
}

TEST_CASE("a buffer of one image reads shards as they are; a large one shuffles evenly") {
    const data::Dataset images = Numbers{.sizes = {3, 3}};
    for (std::int64_t epoch = 0; epoch < 4; ++epoch) {
        const auto order = data::epoch_order(images, {.seed = 1, .buffer = 1}, epoch);
        CHECK((order == Order{0, 1, 2, 3, 4, 5} || order == Order{3, 4, 5, 0, 1, 2}));
    }
    std::map<std::int64_t, int> first;
    for (std::int64_t epoch = 0; epoch < 1200; ++epoch) ++first[data::epoch_order(images, {.seed = 1, .buffer = 6}, epoch).front()];
    for (std::int64_t i = 0; i < 6; ++i) {  // 200 each, standard deviation 13
        CHECK(first[i] > 140);
        CHECK(first[i] < 260);
    }
}

TEST_CASE("balanced: each class equally often, its images in turns, and a repeated one has another number") {
    Order labels(90, 0);
    labels.insert(labels.end(), 8, 1);
    labels.insert(labels.end(), 3, 3);
    const data::Dataset images = Numbers{.sizes = {}, .labels = labels};  // 101 images, three classes that occur
    std::set<std::int64_t> with_more;
    for (std::int64_t epoch = 0; epoch < 20; ++epoch) {
        const auto order = data::epoch_order(images, {.seed = 1, .balanced = true}, epoch);
        REQUIRE(order.size() == 101);
        CHECK(order == data::epoch_order(images, {.seed = 1, .shuffle = false, .balanced = true}, epoch));
        std::map<std::int64_t, std::int64_t> of_class, of_image;
        for (const auto drawn : order) {
            ++of_class[images.label(drawn % 101)];
            ++of_image[drawn % 101];
        }
        for (const auto& [label, count] : of_class) CHECK((count == 33 || count == 34));
        for (const auto& [label, count] : of_class)
            if (count == 33) with_more.insert(label);
        for (std::int64_t i = 0; i < 90; ++i) CHECK(of_image[i] <= 1);
        for (std::int64_t i = 90; i < 98; ++i) CHECK((of_image[i] == 4 || of_image[i] == 5));
        for (std::int64_t i = 98; i < 101; ++i) CHECK((of_image[i] == 11 || of_image[i] == 12));
        CHECK(std::set<std::int64_t>(order.begin(), order.end()).size() == 101);
    }
    CHECK(with_more.size() == 3);
    CHECK(data::epoch_order(images, {.seed = 1, .balanced = true}, 0) != data::epoch_order(images, {.seed = 1, .balanced = true}, 1));
    labels[5] = data::unlabeled;
    says([&] { data::epoch_order(Numbers{.sizes = {}, .labels = labels}, {.balanced = true}, 0); }, {"--balanced: 1 of 101 images have no label"});
}
