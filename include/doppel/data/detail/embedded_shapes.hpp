// SPDX-License-Identifier: Apache-2.0
// The ten shapes and surfaces of the embedded data set.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace doppel::data::detail {

/// A point in the frame of an object, whose circumscribed circle has radius 1024.
struct Point {
    int u = 0, v = 0;
};

enum class Shape { disc, square, triangle, star, cross, ring, crescent, heart, hexagon, ellipse };
enum class Pattern { stripes, checks, dots, rings, shade, spokes, zigzag, plain, lattice, rim };

inline constexpr int kinds = 10;

inline std::vector<std::string> kind_names() {
    return {"striped disc", "checked square",  "dotted triangle", "ringed star",      "shaded cross",
            "spoked ring",  "zigzag crescent", "plain heart",     "latticed hexagon", "rimmed ellipse"};
}

/// Integer square root; exact, since IEEE sqrt is.
inline int root(std::int64_t n) { return static_cast<int>(std::sqrt(static_cast<double>(n))); }

inline bool within(Point p, Point center, int radius) {
    const int du = p.u - center.u, dv = p.v - center.v;
    return du * du + dv * dv <= radius * radius;
}

/// Counts the directions d (unit length 1024) along which p lies at most `reach` from the origin.
template <std::size_t N>
int sides_kept(const std::array<Point, N>& directions, Point p, int reach) {
    int kept = 0;
    for (auto d : directions) kept += d.u * p.u + d.v * p.v <= reach * 1024;
    return kept;
}

/// Returns whether the shape contains the point.
inline bool holds(Shape shape, Point p) {
    // Multiples of 120°, 72° and 60° from "up".
    static constexpr std::array<Point, 3> three{{{0, 1024}, {887, -512}, {-887, -512}}};
    static constexpr std::array<Point, 5> five{{{0, 1024}, {974, 316}, {602, -828}, {-602, -828}, {-974, 316}}};
    static constexpr std::array<Point, 6> six{
        {{0, 1024}, {887, 512}, {887, -512}, {0, -1024}, {-887, -512}, {-887, 512}}};
    const int across = std::abs(p.u), along = std::abs(p.v);
    switch (shape) {
        case Shape::disc: return within(p, {}, 900);
        case Shape::square: return across <= 724 && along <= 724;
        case Shape::triangle: return sides_kept(three, p, 512) == 3;
        case Shape::star: return sides_kept(five, p, 316) >= 4;  // the pentagram: outside one edge line at most
        case Shape::cross: return (across <= 330 && along <= 960) || (along <= 330 && across <= 960);
        case Shape::ring: return within(p, {}, 1000) && !within(p, {}, 440);
        case Shape::crescent: return within(p, {}, 1000) && !within(p, {560, 0}, 720);
        case Shape::heart:  // a square with half a disc on two neighboring sides, point at the lower left
            return (across <= 500 && along <= 500) || within(p, {0, -500}, 500) || within(p, {500, 0}, 500);
        case Shape::hexagon: return sides_kept(six, p, 870) == 6;
        case Shape::ellipse: return p.u * p.u + 4 * p.v * p.v <= 1024 * 1024;
    }
    return false;
}

/// Returns whether x is in an odd cell of width `w`.
constexpr bool odd(int x, int w) { return ((x + 64 * w) / w) % 2 != 0; }
/// Returns the position of x in its cell of width `w`, from -w/2.
constexpr int from_middle(int x, int w) { return (x + 64 * w) % w - w / 2; }

/// Returns the weight of the second color at the point, 0..256.
inline int paint(Pattern pattern, Shape shape, Point p) {
    const auto which = [](bool second) { return second ? 256 : 0; };
    switch (pattern) {
        case Pattern::stripes: return which(odd(p.u, 260));
        case Pattern::checks: return which(odd(p.u, 362) != odd(p.v, 362));
        case Pattern::dots: return which(within({from_middle(p.u, 420), from_middle(p.v, 420)}, {}, 140));
        case Pattern::rings: return which(odd(root(p.u * p.u + p.v * p.v), 200));
        case Pattern::shade: return (p.u + 1024) / 8;
        case Pattern::spokes: return which((p.u < 0) != ((p.v < 0) != (std::abs(p.u) < std::abs(p.v))));
        case Pattern::zigzag: return which(odd(p.u + std::abs(from_middle(p.v, 560)), 260));
        case Pattern::plain: return 0;
        case Pattern::lattice:
            return which(std::abs(from_middle(p.u, 440)) < 75 || std::abs(from_middle(p.v, 440)) < 75);
        case Pattern::rim: return which(holds(shape, {p.u * 3 / 2, p.v * 3 / 2}));
    }
    return 0;
}

}  // namespace doppel::data::detail
