// SPDX-License-Identifier: Apache-2.0
// Lesson 5: custom data.
//
// Folders of images, lists of files, tar shards and published binaries need no code: --data PATH. For anything else (a
// database, one large file, images that a program draws) write a class with four const members:
//
//     size()      number of images
//     image(i)    8-bit pixels; called from several loader threads at once, and the same each time
//     label(i)    index into classes(), or data::unlabeled
//     classes()   names; empty without labels
//
// Training never looks at labels, unless the method says so (SupCon). They are for k-NN, which tells how good the
// features are. fingerprint() is optional: if the list of images changes, a run is not resumed. shards() is too: what is
// stored in a few large files is then read almost in sequence.
//
// cli::train() makes a training program of it, with every option, a report and --resume:
//
//     ./run example 05 --epochs 20 --stem strided
//
// Next: decode slow sources once with data::in_memory(images); give the loader more threads with --workers 4.
#include <doppel/cli/program.hpp>
#include <doppel/methods/simclr.hpp>

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
    const auto method = methods::method_entry(
        {.name = "simclr", .title = "SimCLR", .text = "", .paper = "arXiv:2002.05709", .arch = "resnet18x0.25"},
        methods::SimclrOptions{}, methods::simclr_small,
        [](auto encoder, const methods::SimclrOptions& options) { return methods::simclr(encoder, options); });
    const auto open = [] { return data::Splits{.train = DiscsAndSquares{1000}, .validation = DiscsAndSquares{250, 1000}}; };
    return cli::train(argc, argv, method, {.name = "discs", .open = open});
}
