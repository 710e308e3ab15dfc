// SPDX-License-Identifier: Apache-2.0
// Lesson 5: custom data.
//
// Folders of images, CIFAR-10 and IDX files need no code: run::data_from(data::open("photos"), "photos"). For anything
// else (a database, one large file, images that a program draws) write a class with four const members:
//
//     size()      number of images
//     image(i)    8-bit pixels; called from several loader threads at once, and the same each time
//     label(i)    index into classes(), or data::unlabeled
//     classes()   names; empty without labels
//
// Training never looks at labels, unless the method says so (SupCon). They are for k-NN, which tells how good the
// features are. fingerprint() is optional: if the list of images changes, a run is not resumed.
//
// run::run() does a whole run: config.json, baselines, training, checkpoints, k-NN, encoder.safetensors, report.html.
//
//     ./run example 05 [EPOCHS]
//
// Next: decode slow sources once with data::in_memory(images); give the loader more threads: .train = {.workers = 4}.
#include <doppel/encoders/resnet.hpp>
#include <doppel/methods/simclr.hpp>
#include <doppel/run/run.hpp>

#include <cmath>
using namespace doppel;

/// Discs and squares of random color, size and place on a random background.
struct DiscsAndSquares {
    std::int64_t count = 0, first = 0;

    std::int64_t size() const { return count; }
    std::int64_t label(std::int64_t i) const { return (first + i) % 2; }
    std::vector<std::string> classes() const { return {"disc", "square"}; }
    Image image(std::int64_t i) const {
        random::Stream draw({.seed = 1, .index = static_cast<std::uint64_t>(first + i)});
        Image picture(32, 32, 3);
        std::uint8_t colors[2][3];
        for (auto& color : colors)
            for (auto& value : color) value = static_cast<std::uint8_t>(draw.below(256));
        const double radius = draw.uniform(5, 10);
        const double x0 = draw.uniform(radius, 32 - radius), y0 = draw.uniform(radius, 32 - radius);
        for (int y = 0; y < 32; ++y)
            for (int x = 0; x < 32; ++x) {
                const double dx = std::abs(x - x0), dy = std::abs(y - y0);
                const bool inside = label(i) == 0 ? std::hypot(dx, dy) <= radius : std::max(dx, dy) <= radius;
                std::copy_n(colors[inside], 3, picture.at(x, y));
            }
        return picture;
    }
    std::string fingerprint() const { return "discs and squares from " + std::to_string(first); }
};

int main(int argc, char** argv) {
    const encoders::ResNet encoder{.depth = 18, .stem = Stem::strided, .width = 0.25};
    auto preset = methods::simclr(encoder, methods::simclr_small);
    preset.epochs = argc > 1 ? std::atoll(argv[1]) : 20;
    const run::Data images{
        .train = DiscsAndSquares{1000}, .validation = DiscsAndSquares{250, 1000}, .name = "discs and squares"};
    return run::run(preset, images, {.train = {.seed = 1}}).status();
}
