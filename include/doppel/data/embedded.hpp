// SPDX-License-Identifier: Apache-2.0
// A data set that needs no files: ten kinds of objects, rendered on demand.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/random.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/detail/embedded_scene.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace doppel::data {

struct EmbeddedOptions {
    /// Width and height in pixels, 8 to 4096; default 32. The size does not change the scenes.
    int size = 32;
    /// Number of images, at least 1; default 4000.
    std::int64_t count = 4000;
    /// Seed of the scenes; default 1.
    std::uint64_t seed = 1;
    /// Index of the first scene, at least 0; default 0. Disjoint ranges share no scene.
    std::int64_t first = 0;
};

/// Images of objects in ten classes, each a shape with a surface: a striped disc, a checked square, a dotted triangle …
/// Independent of the class: colors (two random ones, a dark and a light one), position, scale, rotation, background
/// (two-color gradient, texture, clutter), light (brightness, contrast, direction) and noise.
/// Crops, flips, color jitter and grayscale keep the class recognizable.
///
/// image(i): RGB [size, size, 3]; label(i): 0 to 9, uniformly drawn. Image i is a pure function of
/// (seed, first + i) in integer arithmetic: the same bytes on every machine, from any thread.
///
///     data::Embedded train({.count = 4000}), validation({.count = 1000, .first = 4000});
///     Image picture = train.image(0);
class Embedded {
public:
    explicit Embedded(EmbeddedOptions options = {}) : options_(options) {
        require(options.size >= 8 && options.size <= 4096, "Embedded: size must be 8 to 4096 pixels, got ",
                options.size);
        require(options.count >= 1, "Embedded: count must be at least 1, got ", options.count);
        require(options.first >= 0, "Embedded: first must be at least 0, got ", options.first);
        constexpr auto scenes = std::int64_t{1} << 48;  // the range of an index of random::Stream
        require(options.first < scenes && options.count <= scenes - options.first,
                "Embedded: first + count must be at most 2^48, got ", options.first, " + ", options.count);
    }

    std::int64_t size() const { return options_.count; }
    const EmbeddedOptions& options() const { return options_; }
    std::vector<std::string> classes() const { return detail::kind_names(); }

    Image image(std::int64_t i) const {
        auto draw = stream(i);
        const auto scene = detail::draw_scene(draw);
        return detail::render(scene, options_.size, draw);
    }
    /// Returns the class of image i: an index into classes().
    std::int64_t label(std::int64_t i) const {
        auto draw = stream(i);
        return detail::draw_kind(draw);
    }
    /// Returns the object mask of image i, [size, size, 1]: 255 inside, 0 outside, in between on the edge.
    Image mask(std::int64_t i) const {
        auto draw = stream(i);
        return detail::render_mask(detail::draw_scene(draw), options_.size);
    }

private:
    random::Stream stream(std::int64_t i) const {
        require(i >= 0 && i < options_.count, "Embedded: index must be 0 to ", options_.count - 1, ", got ", i);
        return random::Stream({.seed = options_.seed,
                               .purpose = random::Purpose::scene,
                               .index = static_cast<std::uint64_t>(options_.first + i)});
    }

    EmbeddedOptions options_;
};

static_assert(ImageSource<Embedded>);

}  // namespace doppel::data
