// SPDX-License-Identifier: Apache-2.0
#include <doppel/eval/feature_map.hpp>

#include "support/markup.hpp"
#include "support/support.hpp"

#include <cmath>

using namespace doppel;
using test::count;
using test::mentions;
using test::message_of;

namespace {

Image plain(int width, int height, std::uint8_t value) {
    Image image(width, height, 3);
    std::fill(image.pixels.begin(), image.pixels.end(), value);
    return image;
}

}  // namespace

TEST_CASE("A map keeps the shape of the points: one scale for both directions, up is up") {
    const auto html = eval::detail::map_tag(
        {.title = "PCA", .classes = {"a", "b"}, .points = {{0, 0, 0, {}, "first"}, {10, 5, 1, {}, "second"}, {5, 0, -1, {}, "third"}}}, 0);
    CHECK(test::well_formed(html));
    // 612 of 640 pixels for 10 units; 5 units are 306 pixels, in the middle of 480.
    CHECK(mentions(html, {"data-map=\"14.0,393.0,0 626.0,87.0,1 320.0,393.0,-1\"", "data-captions=\"first\nsecond\nthird\"",
                          "data-classes=\"a\nb\"", "M14.0 393.0h0", "data-class=\"-1\""}));
}

TEST_CASE("Points in one place, no points, and lines of text in a caption are drawn") {
    CHECK(mentions(eval::detail::map_tag({.points = {{3, 4, -1, {}, "a\nb"}, {3, 4, -1, {}, "c"}}}, 0),
                   {"data-map=\"320.0,240.0,-1 320.0,240.0,-1\"", "data-captions=\"a b\nc\""}));
    CHECK(mentions(eval::detail::map_tag({.title = "none"}, 0), {"data-map=\"\""}));
}

TEST_CASE("Classes of one color have other dots") {
    using namespace eval::detail;
    CHECK(dot_style(0) == dot_style(6));
    CHECK(std::string(dot_shape(0)) == "round");
    CHECK(std::string(dot_shape(6)) == "square");
    CHECK(dot_has_hole(12));
    CHECK(dot_has_hole(-1));
    CHECK_FALSE(dot_has_hole(6));
}

TEST_CASE("Maps of the same images share them, and those of other images do not") {
    const eval::FeatureMap a{.title = "PCA", .classes = {"x"}, .points = {{0, 0, 0, plain(32, 32, 9), ""}, {1, 1, 0, plain(16, 32, 200), ""}}};
    auto b = a, c = a;
    b.title = "t-SNE";
    c.points[0].thumbnail = plain(32, 32, 10);
    const auto html = eval::detail::maps_html({a, b, c});
    CHECK(test::well_formed(html));
    CHECK(count(html, "<img") == 2);
    CHECK(count(html, "data-sprite=\"0\"") == 2);
    CHECK(count(html, "data-sprite=\"1\"") == 1);
    CHECK(count(html, "class=\"tab\"") == 3);
    CHECK(count(eval::detail::maps_html({a}), "class=\"tab\"") == 0);
    CHECK(count(eval::detail::maps_html({{.title = "no images", .points = {{}}}}), "<img") == 0);
}

TEST_CASE("Thumbnails lie in squares, centered on gray, large ones shrunk") {
    const auto small = plain(16, 16, 9), tall = plain(8, 16, 200), none = Image();
    const auto sprite = eval::detail::sprite_of({&small, &tall, &none});
    CHECK(sprite.side == 16);
    CHECK(sprite.columns == 2);
    CHECK(sprite.sheet.shape() == Shape{32, 32, 3});
    CHECK(sprite.sheet.at(15, 15)[0] == 9);
    CHECK(sprite.sheet.at(19, 0)[0] == 128);  // 4 columns at each side of the tall one
    CHECK(sprite.sheet.at(20, 0)[0] == 200);
    CHECK(sprite.sheet.at(28, 15)[0] == 128);
    CHECK(sprite.sheet.at(8, 24)[0] == 128);
    const auto large = plain(300, 150, 77);
    const auto shrunk = eval::detail::sprite_of({&large});
    CHECK(shrunk.side == 64);
    CHECK(shrunk.sheet.at(0, 16)[1] == 77);
    CHECK(shrunk.sheet.at(0, 15)[1] == 128);
    const auto line = plain(64, 1, 0);
    CHECK(eval::detail::sprite_of(std::vector<const Image*>(1500, &line)).side == 48);
    CHECK(eval::detail::sprite_of(std::vector<const Image*>(1501, &line)).side == 32);
    CHECK(eval::detail::sprite_of({&none}).side == 0);
}

TEST_CASE("Points that have no place or class are rejected") {
    const auto text = [](double x, std::int64_t label) {
        return message_of([&] { eval::detail::map_tag({.title = "PCA", .classes = {"a"}, .points = {{0, 0, 0, {}, ""}, {x, 1, label, {}, ""}}}, 0); });
    };
    CHECK(mentions(text(NAN, 0), {"point 1", "\"PCA\"", "nan", "finite"}));
    CHECK(mentions(text(0, 1), {"point 1", "label 1", "1 classes"}));
    CHECK(mentions(text(0, -2), {"label -2"}));
}
