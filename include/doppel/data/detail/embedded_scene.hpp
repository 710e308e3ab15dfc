// SPDX-License-Identifier: Apache-2.0
// Draws and renders the scenes of the embedded data set.
#pragma once

#include <doppel/core/random.hpp>
#include <doppel/data/detail/embedded_shapes.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

// All arithmetic is integer, so the pixels are the same on every machine and with every compiler.
// Lengths are in 1/16384 of the image's side, directions have length 16384, levels are 8-bit.
namespace doppel::data::detail {

inline constexpr int side = 16384;
using Color = std::array<int, 3>;

/// A unit vector of length 16384.
struct Direction {
    int x = side, y = 0;
};

/// An object or a piece of clutter: a shape with a surface, at a position.
struct Thing {
    Shape shape = Shape::disc;
    Pattern pattern = Pattern::plain;
    int x = 0, y = 0, radius = side;
    Direction right;
    std::array<Color, 2> colors{};
};

struct Scene {
    int kind = 0;
    Thing object;
    std::vector<Thing> clutter;
    std::array<Color, 2> ground{};  // the background runs from one color to the other
    Direction ground_towards;
    std::array<int, 81> texture{};   // levels on a 9 by 9 lattice
    int texture_cells = 8;           // lattice cells per side, at most 8
    Direction light_from;
    int brightness = 256, contrast = 256, slope = 0, noise = 0;  // in 1/256; noise in levels
};

/// Returns a uniform integer in [low, high].
inline int between(random::Stream& draw, int low, int high) {
    return low + static_cast<int>(draw.below(static_cast<std::uint64_t>(high - low + 1)));
}

inline Direction direction(random::Stream& draw) {
    for (;;) {
        const int x = between(draw, -1000, 1000), y = between(draw, -1000, 1000), square = x * x + y * y;
        if (square < 250'000 || square > 1'000'000) continue;
        const int length = root(std::int64_t{square} << 8);  // 16 times the length
        return {x * 16 * side / length, y * 16 * side / length};
    }
}

/// Draws a color of the given luma (Rec. 601). Colors are muted: vivid ones would be a shortcut for matching the views
/// of an image without learning shapes.
inline Color color(random::Stream& draw, int luma) {
    Color c{between(draw, -64, 64), between(draw, -64, 64), between(draw, -64, 64)};
    const int shift = luma - (77 * c[0] + 150 * c[1] + 29 * c[2]) / 256;
    for (auto& level : c) level = std::clamp(level + shift, 0, 255);
    return c;
}

/// Draws the class, which comes first, so that a label costs one block of random numbers.
inline int draw_kind(random::Stream& draw) { return static_cast<int>(draw.below(kinds)); }

inline Scene draw_scene(random::Stream& draw) {
    Scene scene;
    scene.kind = draw_kind(draw);
    auto& object = scene.object;
    object.shape = static_cast<Shape>(scene.kind);
    object.pattern = static_cast<Pattern>(scene.kind);
    object.radius = between(draw, side * 25 / 100, side * 42 / 100);
    const int margin = object.radius * 7 / 10;
    object.x = between(draw, margin, side - margin);
    object.y = between(draw, margin, side - margin);
    object.right = direction(draw);
    // A dark and a light color on a background in between, so that the edges of every class survive color jitter.
    const Color dark = color(draw, between(draw, 20, 80)), light = color(draw, between(draw, 175, 235));
    object.colors = draw.chance(0.5) ? std::array{dark, light} : std::array{light, dark};

    const int luma = between(draw, 90, 165);
    scene.ground = {color(draw, luma), color(draw, std::clamp(luma + between(draw, -40, 40), 75, 180))};
    scene.ground_towards = direction(draw);
    scene.texture_cells = between(draw, 2, 8);
    const int amplitude = between(draw, 4, 32);
    for (auto& level : scene.texture) level = between(draw, -amplitude, amplitude);
    scene.clutter.resize(draw.below(4));
    for (auto& thing : scene.clutter) {
        static constexpr std::array shapes{Shape::disc, Shape::square, Shape::triangle, Shape::ellipse};
        thing.shape = shapes[draw.below(shapes.size())];
        thing.radius = between(draw, side * 4 / 100, side * 10 / 100);
        thing.x = between(draw, 0, side);
        thing.y = between(draw, 0, side);
        thing.right = direction(draw);
        thing.colors[0] = color(draw, between(draw, 60, 195));
    }
    scene.light_from = direction(draw);
    scene.brightness = between(draw, 190, 300);
    scene.contrast = between(draw, 190, 280);
    scene.slope = between(draw, 0, 70);
    scene.noise = between(draw, 0, 6);
    return scene;
}

/// The levels of an image before lighting.
struct Canvas {
    explicit Canvas(int width) : size(width), levels(static_cast<std::size_t>(width * width)) {}
    Color& at(int x, int y) { return levels[static_cast<std::size_t>(y * size + x)]; }
    int size;
    std::vector<Color> levels;
};

/// Calls `pixel(x, y, hits, second)` for each pixel that the thing covers: `hits` of 4 × 4 samples are inside, and
/// `second` is the sum of the weights (0..256) of the second color there.
template <class Pixel>
void rasterize(const Thing& thing, int size, Pixel&& pixel) {
    const std::int64_t right = std::int64_t{thing.right.x} * 4096 / thing.radius;
    const std::int64_t down = std::int64_t{thing.right.y} * 4096 / thing.radius;
    const auto point = [&](std::int64_t dx, std::int64_t dy) {
        return Point{static_cast<int>((dx * right + dy * down) >> 16),
                     static_cast<int>((dy * right - dx * down) >> 16)};
    };
    const auto first = [&](int center) { return std::max(0, (center - thing.radius) * size / side - 1); };
    const auto last = [&](int center) { return std::min(size - 1, (center + thing.radius) * size / side + 1); };
    const int step = side / (size * 4);
    const int near = 1024 + 4 * step * 1024 / thing.radius;  // no pixel farther from the center is covered
    for (int y = first(thing.y); y <= last(thing.y); ++y)
        for (int x = first(thing.x); x <= last(thing.x); ++x) {
            const int x0 = x * side / size + step / 2 - thing.x, y0 = y * side / size + step / 2 - thing.y;
            if (!within(point(x0 + 3 * step / 2, y0 + 3 * step / 2), {}, near)) continue;
            int hits = 0, second = 0;
            for (int sample = 0; sample < 16; ++sample) {
                const auto p = point(x0 + sample % 4 * step, y0 + sample / 4 * step);
                if (!holds(thing.shape, p)) continue;
                ++hits;
                second += paint(thing.pattern, thing.shape, p);
            }
            if (hits) pixel(x, y, hits, second);
        }
}

inline void paint_thing(Canvas& canvas, const Thing& thing) {
    rasterize(thing, canvas.size, [&](int x, int y, int hits, int second) {
        auto& under = canvas.at(x, y);
        for (std::size_t c = 0; c < 3; ++c) {
            const int sum = thing.colors[0][c] * (hits * 256 - second) + thing.colors[1][c] * second;
            under[c] = (sum + under[c] * (16 - hits) * 256) / (16 * 256);
        }
    });
}

/// Returns the distance of pixel (x, y) from the image center along a direction: -181..181 (the side is 256).
inline int along(Direction towards, int x, int y, int size) {
    const int dx = (2 * x + 1 - size) * (side / 2) / size, dy = (2 * y + 1 - size) * (side / 2) / size;
    return (dx * (towards.x / 64) + dy * (towards.y / 64)) / side;
}

/// Paints the background: a gradient between two colors, with a bilinear lattice of lighter and darker spots.
inline void paint_ground(Canvas& canvas, const Scene& scene) {
    const int size = canvas.size;
    for (int y = 0; y < size; ++y)
        for (int x = 0; x < size; ++x) {
            const int mix = std::clamp(128 + along(scene.ground_towards, x, y, size), 0, 256);
            const int tx = (2 * x + 1) * scene.texture_cells * 128 / size;  // a cell is 256
            const int ty = (2 * y + 1) * scene.texture_cells * 128 / size;
            const auto* cell = scene.texture.data() + (ty / 256) * 9 + tx / 256;
            const int fx = tx % 256, fy = ty % 256;
            const int above = cell[0] * (256 - fx) + cell[1] * fx, below = cell[9] * (256 - fx) + cell[10] * fx;
            const int spot = (above * (256 - fy) + below * fy) / 65536;
            auto& pixel = canvas.at(x, y);
            for (std::size_t c = 0; c < 3; ++c)
                pixel[c] = (scene.ground[0][c] * (256 - mix) + scene.ground[1][c] * mix) / 256 + spot;
        }
}

/// Renders the scene. The noise comes from `draw`, in the state that draw_scene left.
inline Image render(const Scene& scene, int size, random::Stream& draw) {
    Canvas canvas(size);
    paint_ground(canvas, scene);
    for (const auto& thing : scene.clutter) paint_thing(canvas, thing);
    paint_thing(canvas, scene.object);

    Image image(size, size, 3);
    for (int y = 0; y < size; ++y)
        for (int x = 0; x < size; ++x) {
            const int light = scene.brightness + scene.slope * along(scene.light_from, x, y, size) / 128;
            auto grain = draw.bits();
            for (std::size_t c = 0; c < 3; ++c, grain >>= 10) {
                const int level = 128 + (canvas.at(x, y)[c] * light / 256 - 128) * scene.contrast / 256;
                const int noise = static_cast<int>(grain & 31) + static_cast<int>(grain >> 5 & 31) - 31;
                image.at(x, y)[c] = static_cast<std::uint8_t>(std::clamp(level + noise * scene.noise / 16, 0, 255));
            }
        }
    return image;
}

/// Renders the object mask: 255 inside, 0 outside, in between on the edge.
inline Image render_mask(const Scene& scene, int size) {
    Image mask(size, size, 1);
    rasterize(scene.object, size,
              [&](int x, int y, int hits, int) { *mask.at(x, y) = static_cast<std::uint8_t>(hits * 255 / 16); });
    return mask;
}

}  // namespace doppel::data::detail
