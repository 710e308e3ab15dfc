// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/embedded.hpp>
#include <doppel/data/loader.hpp>
#include <doppel/views/simclr.hpp>

#include "support/torch_support.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <thread>

using namespace doppel;
using namespace doppel::test;
using data::Loader;

namespace {

data::Dataset images(std::int64_t count = 50) { return data::Embedded({.size = 16, .count = count}); }
auto two_views() { return views::simclr_small(16).pipelines; }

std::vector<Batch> all(const Loader& loader, std::int64_t first, std::int64_t last) {
    std::vector<Batch> batches;
    auto pass = loader.pass(first, last);
    while (auto batch = pass->next()) batches.push_back(std::move(*batch));
    return batches;
}

void require_equal(const std::vector<Batch>& a, const std::vector<Batch>& b) {
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
        CHECK(bit_equal(a[i].index, b[i].index));
        CHECK(bit_equal(a[i].label, b[i].label));
        REQUIRE(a[i].views.size() == b[i].views.size());
        for (std::size_t v = 0; v < a[i].views.size(); ++v) CHECK(bit_equal(a[i].views[v], b[i].views[v]));
    }
}

/// An image source that fails on one image.
struct Broken {
    std::int64_t bad;
    std::int64_t size() const { return 20; }
    Image image(std::int64_t i) const {
        if (i == bad) fail("image ", i, " is damaged");
        return Image(16, 16, 3);
    }
    std::int64_t label(std::int64_t) const { return data::unlabeled; }
    std::vector<std::string> classes() const { return {}; }
};

/// Eight images of class 0, two of class 1; in shards of four.
struct Uneven {
    std::int64_t size() const { return 10; }
    Image image(std::int64_t i) const { return data::Embedded({.size = 16, .count = 10}).image(i); }
    std::int64_t label(std::int64_t i) const { return i < 8 ? 0 : 1; }
    std::vector<std::string> classes() const { return {"a", "b"}; }
    std::vector<std::int64_t> shards() const { return {4, 4, 2}; }
};

/// An image source that counts what is read.
struct Counted {
    std::shared_ptr<std::atomic<int>> reads;
    std::int64_t size() const { return 50; }
    Image image(std::int64_t) const {
        ++*reads;
        return Image(16, 16, 3);
    }
    std::int64_t label(std::int64_t) const { return data::unlabeled; }
    std::vector<std::string> classes() const { return {}; }
};

}  // namespace

TEST_CASE("what a loader gives does not depend on the number of workers, nor on where a pass starts") {
    const data::LoaderOptions options{.batch_size = 8, .seed = 3, .workers = 0};
    const Loader alone(images(), two_views(), options);
    const auto expected = all(alone, 0, 14);  // two epochs and a bit
    REQUIRE(alone.batches() == 6);
    for (int workers : {1, 2, 5})
        for (int prefetch : {1, 4}) {
            auto other = options;
            other.workers = workers;
            other.prefetch = prefetch;
            const Loader loader(images(), two_views(), other);
            require_equal(all(loader, 0, 14), expected);
            require_equal(all(loader, 9, 14), {expected.begin() + 9, expected.end()});
        }
}

TEST_CASE("an epoch holds each image at most once, and the next one comes in another order") {
    const Loader loader(images(), two_views(), {.batch_size = 8, .seed = 3, .workers = 2});
    const auto batches = all(loader, 0, 12);
    std::vector<std::vector<std::int64_t>> epochs(2);
    for (std::size_t i = 0; i < batches.size(); ++i)
        for (std::int64_t row = 0; row < 8; ++row) epochs[i / 6].push_back(batches[i].index[row].item<std::int64_t>());
    for (const auto& epoch : epochs) CHECK(std::set<std::int64_t>(epoch.begin(), epoch.end()).size() == 48);
    CHECK(epochs[0] != epochs[1]);
    CHECK(loader.order(0) != Loader(images(), two_views(), {.batch_size = 8, .seed = 4}).order(0));
}

TEST_CASE("balanced classes: a rare image comes several times in an epoch, with other views each time") {
    const Loader loader(Uneven{}, two_views(), {.batch_size = 10, .seed = 3, .balanced = true});
    const auto batch = all(loader, 0, 1).at(0);
    CHECK(batch.label.sum().item<std::int64_t>() == 5);
    std::vector<std::int64_t> rows;
    for (std::int64_t row = 0; row < 10; ++row)
        if (batch.index[row].item<std::int64_t>() == 8) rows.push_back(row);
    REQUIRE(rows.size() >= 2);
    CHECK_FALSE(bit_equal(batch.views[0][rows[0]], batch.views[0][rows[1]]));
}

TEST_CASE("the batches of several processes are together those of one, with the same views") {
    const Loader one(images(50), two_views(), {.batch_size = 12, .seed = 3, .drop_last = false});
    for (const std::int64_t step : {3, 4}) {  // the last batch has two images
        const auto expected = all(one, step, step + 1).at(0);
        std::int64_t next = 0;
        for (std::int64_t rank = 0; rank < 5; ++rank) {
            const Loader part(images(50), two_views(), {.batch_size = 12, .seed = 3, .workers = 2, .rank = rank, .ranks = 5, .drop_last = false});
            CHECK(part.batches() == one.batches());
            const auto batch = all(part, step, step + 1).at(0);
            const auto rows = batch.index.size(0);
            CHECK(batch.first == next);
            CHECK(batch.all == expected.index.size(0));
            CHECK(at::equal(batch.index, expected.index.narrow(0, next, rows)));
            CHECK(bit_equal(batch.views[1], expected.views[1].narrow(0, next, rows)));
            next += rows;
        }
        CHECK(next == expected.index.size(0));
        CHECK(expected.all == 0);
    }
    CHECK(mentions(message_of([] { Loader(images(50), two_views(), {.batch_size = 2, .ranks = 3}); }), {"2 images", "3 processes"}));
    CHECK(mentions(message_of([] { Loader(images(50), two_views(), {.rank = 3, .ranks = 3}); }), {"rank must be from 0 to 2", "got 3"}));
}

TEST_CASE("shards are read one after another through the shuffle buffer") {
    const Loader loader(Uneven{}, two_views(), {.batch_size = 5, .seed = 3, .shuffle_buffer = 1});
    const data::Dataset source = Uneven{};
    CHECK(loader.order(2) == data::epoch_order(source, {.seed = 3, .buffer = 1}, 2));
    const auto batch = all(loader, 4, 5).at(0);
    for (std::int64_t row = 0; row < 5; ++row)
        CHECK(batch.index[row].item<std::int64_t>() == loader.order(2)[static_cast<std::size_t>(row)]);
    CHECK(Loader(Uneven{}, two_views(), {.batch_size = 5, .seed = 3, .shuffle_buffer = 0}).order(2) == data::epoch_order(source, {.seed = 3}, 2));
}

TEST_CASE("a batch carries the right labels and images") {
    const auto source = images();
    const Loader loader(source, {views::simclr_small(16).eval}, {.batch_size = 8, .workers = 2});
    auto pass = loader.pass(0, 1);
    const auto batch = pass->next();
    for (std::int64_t row = 0; row < 8; ++row) {
        const auto i = batch->index[row].item<std::int64_t>();
        CHECK(batch->label[row].item<std::int64_t>() == source.label(i));
        Tensor expected = at::empty({3, 16, 16}, at::kByte);
        views::simclr_small(16).eval(source.image(i), random::Stream({}), std::span(expected.data_ptr<std::uint8_t>(), 768));
        CHECK(bit_equal(batch->views[0][row], expected));
    }
}

TEST_CASE("the views of an image differ, and differ from epoch to epoch") {
    const Loader loader(images(8), two_views(), {.batch_size = 8, .shuffle = false});
    const auto batches = all(loader, 0, 2);
    for (std::int64_t row = 0; row < 8; ++row) {
        CHECK(!bit_equal(batches[0].views[0][row], batches[0].views[1][row]));
        CHECK(!bit_equal(batches[0].views[0][row], batches[1].views[0][row]));
    }
}

TEST_CASE("in order and with the last batch, every image comes once: what evaluation needs") {
    const Loader loader(images(21), {views::simclr_small(16).eval}, {.batch_size = 8, .workers = 2, .shuffle = false, .drop_last = false});
    const auto batches = all(loader, 0, loader.batches());
    REQUIRE(batches.size() == 3);
    CHECK(batches[2].index.size(0) == 5);
    std::int64_t next = 0;
    for (const auto& batch : batches)
        for (std::int64_t row = 0; row < batch.index.size(0); ++row) CHECK(batch.index[row].item<std::int64_t>() == next++);
}

TEST_CASE("an image that fails is told by the batch that needs it, and the threads end") {
    for (int workers : {0, 1, 3}) {
        const Loader loader(Broken{13}, two_views(), {.batch_size = 5, .workers = workers, .shuffle = false});
        auto pass = loader.pass(0, 4);
        CHECK(pass->next().has_value());
        CHECK(pass->next().has_value());
        CHECK(mentions(message_of([&] { pass->next(); }), {"image 13 is damaged"}));
    }
}

TEST_CASE("a pass that is left before its end ends its threads: nothing is read afterwards") {
    auto reads = std::make_shared<std::atomic<int>>(0);
    const Loader loader(Counted{reads}, two_views(), {.batch_size = 8, .workers = 3, .prefetch = 2});
    for (int i = 0; i < 20; ++i) {
        auto pass = loader.pass(0, 1000);
        pass->next();
    }
    const int after = *reads;
    CHECK(after >= 20 * 8);
    CHECK(after < 20 * 8 * 10);  // one batch was taken, two are kept ready, three threads are at work on more
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    CHECK(*reads == after);
}

TEST_CASE("a data set without classes gives batches without labels") {
    const Loader loader(Broken{99}, two_views(), {.batch_size = 5});
    CHECK(!loader.pass(0, 1)->next()->label.defined());
}

TEST_CASE("a loader says what cannot be") {
    CHECK(mentions(message_of([] { Loader(images(4), two_views(), {.batch_size = 8}); }), {"8 images", "only 4"}));
    CHECK(mentions(message_of([] { Loader(images(8), two_views(), {.batch_size = 4, .multiple = 3}); }), {"12 images", "only 8"}));
    CHECK(mentions(message_of([] { Loader(images(), two_views(), {.batch_size = 0}); }), {"batch size", "0"}));
    CHECK(mentions(message_of([] { Loader(images(), two_views(), {.batch_size = 8, .workers = -1}); }), {"workers", "-1"}));
    CHECK(mentions(message_of([] { Loader({}, two_views(), {.batch_size = 8}); }), {"empty"}));
    CHECK(mentions(message_of([] { Loader(images(), {}, {.batch_size = 8}); }), {"no views"}));
}

TEST_CASE("batches an epoch are a multiple of what one optimizer step takes") {
    CHECK(Loader(images(50), two_views(), {.batch_size = 8, .multiple = 4}).batches() == 4);
    CHECK(Loader(images(50), two_views(), {.batch_size = 8}).batches() == 6);
}

namespace {

/// Images 3, 4 and the last one are damaged; each whole one is of a shade of its own.
struct Damaged {
    std::int64_t size() const { return 20; }
    Image image(std::int64_t i) const {
        if (i == 3 || i == 4 || i == 19) throw DamagedImage("image " + std::to_string(i) + " is damaged");
        Image image(16, 16, 3);
        for (auto& value : image.pixels) value = static_cast<std::uint8_t>(10 * i);
        return image;
    }
    std::int64_t label(std::int64_t i) const { return i % 3; }
    std::vector<std::string> classes() const { return {"a", "b", "c"}; }
};

}  // namespace

TEST_CASE("the next whole image stands in for a damaged one, whatever the workers, and each is noted once") {
    std::vector<Batch> expected;
    for (const int workers : {0, 1, 4}) {
        std::atomic<int> met{0};
        auto damage = std::make_shared<data::DamagedImages>([&](const data::Damage&) { ++met; });
        const Loader loader(Damaged{}, two_views(), {.batch_size = 5, .seed = 3, .workers = workers, .damage = damage});
        const auto batches = all(loader, 0, 8);  // two epochs
        if (workers == 0)
            expected = batches;
        else
            require_equal(batches, expected);
        CHECK(met == 3);
        REQUIRE(damage->list().size() == 3);
        CHECK(damage->list()[0].index == 3);
        CHECK(damage->list()[2].reason == "image 19 is damaged");
    }
    // In the order of the data set: 5 stands for 3 and 4, 0 for 19.
    const Loader ordered(Damaged{}, two_views(), {.batch_size = 20, .workers = 0, .shuffle = false, .damage = std::make_shared<data::DamagedImages>()});
    const auto batch = all(ordered, 0, 1).front();
    CHECK(batch.index[3].item<std::int64_t>() == 5);
    CHECK(batch.index[4].item<std::int64_t>() == 5);
    CHECK(batch.index[19].item<std::int64_t>() == 0);
    CHECK(batch.label[3].item<std::int64_t>() == 2);
}

TEST_CASE("without a place to note it a damaged image ends the pass; other errors always do") {
    const Loader strict(Damaged{}, two_views(), {.batch_size = 20, .workers = 1, .shuffle = false});
    CHECK(mentions(message_of([&] { all(strict, 0, 1); }), {"image 3 is damaged"}));
    const Loader unreadable(Broken{5}, two_views(), {.batch_size = 20, .workers = 1, .damage = std::make_shared<data::DamagedImages>()});
    CHECK(mentions(message_of([&] { all(unreadable, 0, 1); }), {"image 5 is damaged"}));
}

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)  // which abort at such a size
TEST_CASE("a batch for which there is no memory is an exception of next(), whatever the workers") {
    const data::Dataset images(data::Embedded({.size = 16, .count = 1'000'000}));
    const auto views = views::simclr({.size = 4096});  // 200 TB a view: more than there are addresses
    for (const int workers : {0, 1, 3}) {
        const data::Loader loader(images, views.pipelines, {.batch_size = 1'000'000, .workers = workers});
        const auto pass = loader.pass(0, 1);
        CHECK_THROWS_AS(pass->next(), c10::Error);
    }
}
#endif
