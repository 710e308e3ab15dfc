// SPDX-License-Identifier: Apache-2.0
// The embedded data set: reproducible, fair between kinds, right at any size, with true masks.
#include "support/support.hpp"

#include <doppel/data/embedded.hpp>

#include <array>
#include <cmath>
#include <thread>
#include <vector>

using namespace doppel;
using data::Embedded;

namespace {

std::uint64_t checksum(const Image& image, std::uint64_t sum) {
    for (auto level : image.pixels) sum = (sum ^ level) * 0x100000001B3;  // FNV-1a
    return sum;
}

double mean_difference(const Image& a, const Image& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(a.pixels[i] - b.pixels[i]);
    return sum / static_cast<double>(a.pixels.size());
}

/// Each 2x2 block of pixels averaged.
Image halved(const Image& image) {
    Image half(image.width / 2, image.height / 2, image.channels);
    for (int y = 0; y < half.height; ++y)
        for (int x = 0; x < half.width; ++x)
            for (int c = 0; c < image.channels; ++c) {
                const int above = image.at(2 * x, 2 * y)[c] + image.at(2 * x + 1, 2 * y)[c];
                const int below = image.at(2 * x, 2 * y + 1)[c] + image.at(2 * x + 1, 2 * y + 1)[c];
                half.at(x, y)[c] = static_cast<std::uint8_t>((above + below + 2) / 4);
            }
    return half;
}

data::detail::Scene scene_of(const data::EmbeddedOptions& options, std::int64_t i, random::Stream& draw) {
    const auto index = static_cast<std::uint64_t>(options.first + i);
    draw = random::Stream({.seed = options.seed, .purpose = random::Purpose::scene, .index = index});
    return data::detail::draw_scene(draw);
}

/// Share of the images whose kind is that of the nearest class mean, each image told by a few numbers.
template <std::size_t D>
double nearest_mean_accuracy(const std::vector<std::array<double, D>>& points,
                             const std::vector<std::int64_t>& labels) {
    std::array<std::array<double, D>, 10> means{};
    std::array<double, 10> counts{};
    const std::size_t half = points.size() / 2;
    for (std::size_t i = 0; i < half; ++i) {
        const auto k = static_cast<std::size_t>(labels[i]);
        ++counts[k];
        for (std::size_t d = 0; d < D; ++d) means[k][d] += points[i][d];
    }
    double right = 0;
    for (std::size_t i = half; i < points.size(); ++i) {
        std::size_t best = 0;
        double least = 1e30;
        for (std::size_t k = 0; k < 10; ++k) {
            double distance = 0;
            for (std::size_t d = 0; d < D; ++d) distance += std::pow(points[i][d] - means[k][d] / counts[k], 2);
            if (distance < least) least = distance, best = k;
        }
        right += static_cast<std::int64_t>(best) == labels[i];
    }
    return right / static_cast<double>(points.size() - half);
}

}  // namespace

TEST_CASE("Embedded gives the same bytes on every machine", "[embedded]") {
    std::uint64_t sum = 0xCBF29CE484222325;
    const Embedded small({.count = 40}), odd({.size = 75, .count = 3, .seed = 9, .first = 1'000'000'000});
    for (std::int64_t i = 0; i < 40; ++i) sum = checksum(small.image(i), sum);
    for (std::int64_t i = 0; i < 3; ++i) sum = checksum(odd.mask(i), checksum(odd.image(i), sum));
    CHECK(sum == 0x3DFFC74F575A52E8);
    CHECK(std::vector<std::int64_t>{small.label(0), small.label(1), small.label(2), small.label(3)} ==
          std::vector<std::int64_t>{0, 6, 4, 9});
}

TEST_CASE("Embedded gives the same image in any order and from any thread", "[embedded]") {
    const Embedded data({.count = 64});
    std::vector<Image> forward(64), backward(64);
    for (std::int64_t i = 0; i < 64; ++i) forward[static_cast<std::size_t>(i)] = data.image(i);
    std::vector<std::thread> threads;
    for (std::int64_t t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (std::int64_t i = 63 - t; i >= 0; i -= 4) backward[static_cast<std::size_t>(i)] = data.image(i);
        });
    for (auto& thread : threads) thread.join();
    CHECK(forward == backward);
}

TEST_CASE("Embedded images depend on the scene's number, not on where the range starts", "[embedded]") {
    const Embedded data({.count = 20}), tail({.count = 10, .first = 10});
    CHECK(tail.image(3) == data.image(13));
    CHECK(tail.label(3) == data.label(13));
    CHECK(tail.mask(3) == data.mask(13));
    CHECK(data.image(3) != data.image(13));
}

TEST_CASE("Embedded images of different seeds differ", "[embedded]") {
    const Embedded one({.count = 8, .seed = 1}), two({.count = 8, .seed = 2});
    for (std::int64_t i = 0; i < 8; ++i) CHECK(mean_difference(one.image(i), two.image(i)) > 5);
}

TEST_CASE("Embedded draws all ten kinds about equally often", "[embedded]") {
    const Embedded data({.count = 10'000});
    REQUIRE(data.classes().size() == 10);
    std::array<int, 10> counts{};
    for (std::int64_t i = 0; i < data.size(); ++i) ++counts.at(static_cast<std::size_t>(data.label(i)));
    for (int count : counts) CHECK(std::abs(count - 1000) < 120);  // four standard deviations
}

TEST_CASE("Embedded renders any size from 8 pixels, square and in color", "[embedded]") {
    for (int size : {8, 9, 31, 32, 33, 96, 224}) {
        const Embedded data({.size = size, .count = 2});
        const auto image = data.image(1), mask = data.mask(1);
        CHECK(image.width == size);
        CHECK(image.height == size);
        CHECK(image.channels == 3);
        CHECK(image.pixels.size() == static_cast<std::size_t>(3 * size * size));
        CHECK(mask.channels == 1);
        CHECK(mask.pixels.size() == static_cast<std::size_t>(size * size));
    }
}

TEST_CASE("Embedded shows the same picture at another size", "[embedded]") {
    const Embedded large({.size = 128, .count = 20}), small({.size = 64, .count = 20});
    for (std::int64_t i = 0; i < 20; ++i) {
        CHECK(large.label(i) == small.label(i));
        CHECK(mean_difference(halved(large.image(i)), small.image(i)) < 5);  // edges and noise
        CHECK(mean_difference(halved(large.mask(i)), small.mask(i)) < 1.5);
    }
}

TEST_CASE("Embedded masks mark exactly the pixels that the object paints", "[embedded]") {
    const data::EmbeddedOptions options{.size = 48, .count = 30};
    const Embedded data(options);
    for (std::int64_t i = 0; i < 30; ++i) {
        random::Stream draw({});
        auto scene = scene_of(options, i, draw);
        scene.brightness = 256, scene.contrast = 256, scene.slope = 0;
        auto again = draw;
        scene.object.colors = {{{0, 0, 0}, {0, 0, 0}}};
        const auto black = data::detail::render(scene, 48, draw);
        scene.object.colors = {{{255, 255, 255}, {255, 255, 255}}};
        const auto white = data::detail::render(scene, 48, again);
        const auto mask = data.mask(i);
        int inside = 0, wrong = 0;
        for (int y = 0; y < 48; ++y)
            for (int x = 0; x < 48; ++x) {
                const int change = white.at(x, y)[1] - black.at(x, y)[1], marked = *mask.at(x, y);
                wrong += std::abs(change - marked) > 14;  // noise reaches 12 levels where a color is clipped
                inside += marked == 255;
            }
        CHECK(wrong == 0);
        CHECK(inside > 48 * 48 / 40);
        CHECK(inside < 48 * 48 / 2);
    }
}

TEST_CASE("Embedded labels name the shape and surface in the picture", "[embedded]") {
    const data::EmbeddedOptions options{.count = 50};
    const Embedded data(options);
    for (std::int64_t i = 0; i < 50; ++i) {
        random::Stream draw({});
        const auto scene = scene_of(options, i, draw);
        CHECK(data.label(i) == scene.kind);
        CHECK(static_cast<int>(scene.object.shape) == scene.kind);
        CHECK(static_cast<int>(scene.object.pattern) == scene.kind);
    }
    CHECK(data.classes()[static_cast<std::size_t>(data::detail::Shape::star)] == "ringed star");
    CHECK(data.classes()[static_cast<std::size_t>(data::detail::Pattern::lattice)] == "latticed hexagon");
}

TEST_CASE("Embedded kinds are told neither by mean color nor by position", "[embedded]") {
    const Embedded data({.size = 16, .count = 3000});
    std::vector<std::array<double, 3>> colors;
    std::vector<std::array<double, 2>> places;
    std::vector<std::int64_t> labels;
    for (std::int64_t i = 0; i < data.size(); ++i) {
        const auto image = data.image(i), mask = data.mask(i);
        std::array<double, 3> color{};
        std::array<double, 2> place{};
        double area = 0;
        for (int y = 0; y < 16; ++y)
            for (int x = 0; x < 16; ++x) {
                for (std::size_t c = 0; c < 3; ++c) color[c] += image.at(x, y)[c] / 256.0;
                area += *mask.at(x, y);
                place[0] += *mask.at(x, y) * x;
                place[1] += *mask.at(x, y) * y;
            }
        for (auto& coordinate : place) coordinate /= area;
        colors.push_back(color);
        places.push_back(place);
        labels.push_back(data.label(i));
    }
    CHECK(nearest_mean_accuracy(colors, labels) < 0.16);  // chance is 0.10
    CHECK(nearest_mean_accuracy(places, labels) < 0.16);
}

TEST_CASE("Embedded refuses options and indices out of range", "[embedded]") {
    using test::mentions, test::message_of;
    CHECK(mentions(message_of([] { Embedded({.size = 7}); }), {"Embedded", "size", "7"}));
    CHECK(mentions(message_of([] { Embedded({.size = 5000}); }), {"Embedded", "size", "5000"}));
    CHECK(mentions(message_of([] { Embedded({.count = 0}); }), {"Embedded", "count", "0"}));
    CHECK(mentions(message_of([] { Embedded({.first = -1}); }), {"Embedded", "first", "-1"}));
    constexpr auto last = (std::int64_t{1} << 48) - 1;
    CHECK(mentions(message_of([] { Embedded({.count = 2, .first = last}); }), {"first", "2^48"}));
    CHECK(mentions(message_of([] { Embedded({.count = 5}).image(5); }), {"Embedded", "index", "4", "5"}));
    CHECK(mentions(message_of([] { Embedded({.count = 5}).mask(-1); }), {"Embedded", "index", "-1"}));
}

TEST_CASE("Embedded serves as any data set does", "[embedded]") {
    const data::Dataset data = Embedded({.count = 30});
    CHECK(data.size() == 30);
    CHECK(data.labeled());
    CHECK(data.image(2) == Embedded().image(2));
}
