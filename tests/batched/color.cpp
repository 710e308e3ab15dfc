// SPDX-License-Identifier: Apache-2.0
#include <doppel/batched/color.hpp>

#include <doppel/data/memory.hpp>

#include "support/batched.hpp"
#include "support/planes.hpp"

using namespace doppel;
using namespace doppel::test;
using augment::Pipeline;

namespace {

/// Images with an operation that draws for each, and the same by batched operations.
template <class Operation>
Apart each(const Operation& operation, int channels) {
    const Pipeline pipeline({.size = 13, .operations = {augment::RandomResizedCrop{.size = 13}, operation},
                             .normalize = {.mean = {}, .std = {1, 1, 1, 1, 1}}, .channels = channels});
    return apart(data::Memory(std::vector<Image>(40, noise(20, 13, channels))), {pipeline}, false, {.batch_size = 40, .seed = 2}, 2);
}

}  // namespace

TEST_CASE("each adjustment has the CPU's bits, for colors, gray and bands") {
    for (const int channels : {1, 3, 5}) {
        INFO(channels << " channels");
        CHECK(each(augment::ColorJitter{.brightness = 0.8, .contrast = 0, .saturation = 0, .hue = 0, .p = 1}, channels).differ == 0);
        CHECK(each(augment::ColorJitter{.brightness = 0, .contrast = 1.5, .saturation = 0, .hue = 0, .p = 1}, channels).differ == 0);
        CHECK(each(augment::ColorJitter{.brightness = 0, .contrast = 0, .saturation = 0.8, .hue = 0, .p = 1}, channels).differ == 0);
        CHECK(each(augment::ColorJitter{.brightness = 0, .contrast = 0, .saturation = 0, .hue = 0.5, .p = 1}, channels).differ == 0);
        CHECK(each(augment::ColorJitter{.brightness = 0, .contrast = 0, .saturation = 0, .hue = 0}, channels).differ == 0);
        CHECK(each(augment::ColorJitter{.brightness = 0.8, .contrast = 0.8, .saturation = 0.8, .hue = 0.2, .p = 0.9}, channels).differ == 0);
        CHECK(each(augment::ColorJitter{.brightness = 0.4, .contrast = 0, .saturation = 0.4, .hue = 0.1, .p = 0.9}, channels).differ == 0);
        CHECK(each(augment::ColorJitter{.brightness = 0.4, .contrast = 0.4, .saturation = 0.4, .hue = 0, .p = 0.9}, channels).differ == 0);
        CHECK(each(augment::Grayscale{.p = 0.5}, channels).differ == 0);
        CHECK(each(augment::HorizontalFlip{.p = 0.5}, channels).differ == 0);
        for (const int threshold : {0, 128, 256}) CHECK(each(augment::Solarize{.p = 0.5, .threshold = threshold}, channels).differ == 0);
    }
}

TEST_CASE("the mean luma is that of every pixel, at ties too") {
    Image half(2, 1, 3);  // mean 0.5, which is rounded up
    half.pixels = {0, 0, 0, 1, 1, 1};
    const augment::ColorJitter jitter{.brightness = 0, .contrast = 0.9, .saturation = 0, .hue = 0};
    Image wanted = half;
    image::contrast(wanted, 0.25);
    CHECK(at::equal(batched::color_jitter(tensor_of({half}), jitter, at::tensor({0.25F, 0.F, 1.F}).view({1, 3}), batched::HueTables(at::kCPU)),
                    tensor_of({wanted})));
}
