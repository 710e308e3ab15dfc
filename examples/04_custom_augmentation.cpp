// SPDX-License-Identifier: Apache-2.0
// Lesson 4: a custom augmentation.
//
// A view is made by a pipeline of operations on 8-bit images. An operation is any callable (Image&, random::Stream&)
// const that changes the image in place. Draw random numbers from the stream only: it is a function of seed, epoch,
// image and view, so runs repeat exactly. The loader's threads share the operation: it must not change itself. check()
// and describe() are optional; describe() goes into config.json and into a checkpoint's identity, so that a run is not
// resumed with other augmentations.
//
// A preset's pipelines can be edited: insert_after, insert_before, replace, remove, by type of operation.
//
// Here: Cutout, a gray square at a random place.
// Source: DeVries, Taylor, "Improved Regularization of CNNs with Cutout", 2017, arXiv:1708.04552.
//
//     ./run example 04 [EPOCHS]            writes views.png: eight images, each with four views
//
// Next: preset.views.remove<augment::Grayscale>(), or a list of pipelines of your own: preset.views = {mine, mine}.
#include <doppel/data/embedded.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/image/sheet.hpp>
#include <doppel/image/write_png.hpp>
#include <doppel/methods/simclr.hpp>
#include <doppel/train/train.hpp>

#include <iostream>
using namespace doppel;

struct Cutout {
    int side = 12;   ///< of the square in pixels
    double p = 0.5;  ///< probability

    void operator()(Image& image, random::Stream& draw) const {
        if (!draw.chance(p)) return;
        const auto place = [&](int length) { return static_cast<int>(draw.uniform(0, length)) - side / 2; };
        const int left = place(image.width), top = place(image.height);
        for (int y = std::max(top, 0); y < std::min(top + side, image.height); ++y)
            for (int x = std::max(left, 0); x < std::min(left + side, image.width); ++x)
                std::fill_n(image.at(x, y), image.channels, std::uint8_t{128});
    }
    void check() const { require(side >= 1, "Cutout: side must be at least 1, got ", side); }
    std::string describe() const { return "cutout(side=" + std::to_string(side) + ", p=" + std::to_string(p) + ")"; }
};

int main(int argc, char** argv) {
    const encoders::ResNet encoder{.depth = 18, .stem = Stem::strided, .width = 0.25};
    auto preset = methods::simclr(encoder, methods::simclr_small);
    preset.epochs = argc > 1 ? std::atoll(argv[1]) : 20;
    preset.views.insert_after<augment::ColorJitter>(Cutout{.side = 10});
    std::cout << preset.views.pipelines.front().describe() << '\n';

    const data::Dataset images = data::Embedded({.count = 1000});
    std::vector<std::vector<Image>> rows(8);
    for (std::uint64_t i = 0; i < rows.size(); ++i)
        for (std::uint64_t view = 0; view < 4; ++view)
            rows[i].push_back(preset.views.pipelines[0].render(images.image(static_cast<std::int64_t>(i)),
                                                               random::Stream({.index = i, .view = view})));
    image::write_png("views.png", image::sheet(rows));
    std::cout << "loss " << train::train(preset, images, {.seed = 1}).loss << '\n';
    return 0;
}
