// SPDX-License-Identifier: Apache-2.0
// The views of a method: the papers' pipelines as lines of one table.
#pragma once

#include <doppel/augment/operations.hpp>
#include <doppel/augment/pipeline.hpp>
#include <doppel/core/error.hpp>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace doppel::views {

using augment::Normalize;
using augment::Range;

/// What a method looks at: every view of an image, and the plain one for evaluation.
struct Views {
    /// Views 0 … V − 1; those of one size stand together, large ones first.
    std::vector<augment::Pipeline> each{};
    /// Not augmented: short side resized, center crop.
    augment::Pipeline plain{};
    /// How many of `each`, from the front, are global (seen by a target branch).
    int globals = 0;
    /// "simclr", "multi_crop", …
    std::string name{};
};

enum class Stage { crop, flip, jitter, gray, blur, solarize };

/// One line of the table of pipelines; a probability of 0 leaves the stage out.
struct Line {
    /// Side of the view in pixels.
    int size = 224;
    /// Area and aspect ratio of the crop.
    Range scale{0.08, 1}, ratio{3 / 4., 4 / 3.};
    image::Filter filter = image::Filter::bilinear;
    augment::HorizontalFlip flip{.p = 0.5};
    augment::ColorJitter jitter{};
    augment::Grayscale gray{.p = 0.2};
    augment::GaussianBlur blur{.p = 0.5};
    augment::Solarize solarize{.p = 0};
    /// The order of the stages; those that do not stand here are left out.
    std::vector<Stage> order{Stage::crop, Stage::flip, Stage::jitter, Stage::gray, Stage::blur, Stage::solarize};
    Normalize normalize = augment::imagenet_normalize;
    int channels = 3;
};

/// The view that a line describes.
inline augment::Pipeline view(const Line& line) {
    std::vector<augment::AnyOperation> operations;
    const auto add = [&](const auto& operation) {
        operation.check();
        if (operation.p > 0) operations.emplace_back(operation);
    };
    for (const Stage stage : line.order) switch (stage) {
        case Stage::crop:
            operations.emplace_back(augment::RandomResizedCrop{
                .size = line.size, .scale = line.scale, .ratio = line.ratio, .filter = line.filter});
            break;
        case Stage::flip: add(line.flip); break;
        case Stage::jitter: add(line.jitter); break;
        case Stage::gray: add(line.gray); break;
        case Stage::blur: add(line.blur); break;
        case Stage::solarize: add(line.solarize); break;
    }
    return augment::Pipeline({.size = line.size, .operations = std::move(operations), .normalize = line.normalize,
                          .channels = line.channels});
}

/// The un-augmented view: short side to size · 256/224 (below 64 px: to size), center crop.
inline augment::Pipeline plain(const Line& line) {
    const int shorter = line.size < 64 ? line.size : static_cast<int>(std::lround(line.size * 256 / 224.0));
    return augment::Pipeline({.size = line.size,
                          .operations = {augment::Resize{.size = shorter, .filter = line.filter},
                                         augment::CenterCrop{.size = line.size}},
                          .normalize = line.normalize,
                          .channels = line.channels});
}

/// Global lines first, then local ones; the plain view has the first global line's size and normalization.
inline Views from_lines(std::string name, const std::vector<Line>& globals, const std::vector<Line>& locals = {}) {
    require(!globals.empty(), name, ": needs at least one global view");
    Views result{.plain = plain(globals.front()), .globals = static_cast<int>(globals.size()), .name = std::move(name)};
    for (const Line& line : globals) result.each.push_back(view(line));
    for (const Line& line : locals) result.each.push_back(view(line));
    return result;
}

struct SimclrOptions {
    /// Side of the views in pixels.
    int size = 224;
    /// s of the paper: the jitter is 0.8s, 0.8s, 0.8s, 0.2s; 0 … 2.5; 1 at ImageNet size, 0.5 at 32 px.
    double strength = 1.0;
    /// Probability of blur, 0 … 1; 0.5 at ImageNet size, 0 at 32 px.
    double blur = 0.5;
    /// Area of the crop.
    Range scale{0.08, 1};
    /// Aspect ratio of the crop.
    Range ratio{3 / 4., 4 / 3.};
    /// The paper's code resizes bicubically.
    image::Filter filter = image::Filter::bicubic;
    Normalize normalize = augment::imagenet_normalize;
    int channels = 3;
    /// Views of an image, ≥ 1; the paper's 2.
    int views = 2;
};

/// Two views of SimCLR: crop, flip, jitter (p 0.8), gray (p 0.2), blur. Differs from the paper's code: brightness is
/// multiplied, not added (the default of SimCLR v2); inputs are normalized.
/// Source: Chen, Kornblith, Norouzi, Hinton, "A simple framework for contrastive learning of visual
/// representations", 2020 (arXiv:2002.05709), appendix A.
///
///     auto pair = views::simclr({.size = 96, .strength = 0.5});
inline Views simclr(const SimclrOptions& options = {}) {
    require(options.strength >= 0 && options.strength <= 2.5, "simclr: strength must be in [0, 2.5], got ",
            options.strength);
    require(options.views >= 1, "simclr: views must be at least 1, got ", options.views);
    const double s = options.strength;
    const Line line{.size = options.size,
                    .scale = options.scale,
                    .ratio = options.ratio,
                    .filter = options.filter,
                    .jitter = {.brightness = 0.8 * s, .contrast = 0.8 * s, .saturation = 0.8 * s, .hue = 0.2 * s},
                    .blur = {.p = options.blur},
                    .order = {Stage::crop, Stage::flip, Stage::jitter, Stage::gray, Stage::blur},
                    .normalize = options.normalize,
                    .channels = options.channels};
    return from_lines("simclr", std::vector<Line>(static_cast<std::size_t>(options.views), line));
}

/// SimCLR's views for 32-px images: strength 0.5 (jitter 0.4, 0.4, 0.4, 0.1), no blur, bilinear, CIFAR-10's mean and
/// std. The paper's appendix B.9.
inline Views simclr_small(int size = 32, const Normalize& normalize = augment::cifar10_normalize) {
    return simclr(
        {.size = size, .strength = 0.5, .blur = 0, .filter = image::Filter::bilinear, .normalize = normalize});
}

struct MultiCropOptions {
    /// Sides of the global and local views in pixels.
    int global_size = 224, local_size = 96;
    /// How many of each; globals ≥ 1, locals ≥ 0.
    int globals = 2, locals = 6;
    /// Areas of the crops.
    Range global_scale{0.4, 1}, local_scale{0.05, 0.4};
    /// Everything else of every view; its size and scale are not read.
    Line line{};
};

/// Views of two sizes. Source: Caron et al., "Unsupervised learning of visual features by contrasting cluster
/// assignments", 2020 (arXiv:2006.09882), section 3.2; the default areas are DINO's (arXiv:2104.14294).
///
///     auto views = views::multi_crop({.global_size = 32, .local_size = 16, .locals = 4});
inline Views multi_crop(const MultiCropOptions& options = {}) {
    require(options.globals >= 1 && options.locals >= 0, "multi_crop: needs globals >= 1 and locals >= 0, got ",
            options.globals, " and ", options.locals);
    Line global = options.line, local = options.line;
    global.size = options.global_size;
    global.scale = options.global_scale;
    local.size = options.local_size;
    local.scale = options.local_scale;
    return from_lines("multi_crop", std::vector<Line>(static_cast<std::size_t>(options.globals), global),
                      std::vector<Line>(static_cast<std::size_t>(options.locals), local));
}

}  // namespace doppel::views
