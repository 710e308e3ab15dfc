// SPDX-License-Identifier: Apache-2.0
// The kernel of views on the CPU: the text that a GPU runs.
#include <doppel/batched/fused.hpp>

#include <doppel/data/embedded.hpp>
#include <doppel/data/memory.hpp>

#include "support/batched.hpp"
#include "support/kernels_on_cpu.hpp"
#include "support/planes.hpp"

using namespace doppel;
using namespace doppel::test;
using namespace doppel::augment;

namespace {

const RandomResizedCrop crop{.size = 21, .filter = image::Filter::bicubic}, line{.size = 21};
const ColorJitter jitter{.brightness = 0.8, .contrast = 0.8, .saturation = 0.8, .hue = 0.2};

Pipeline of(std::vector<AnyOperation> operations, int channels = 3) {
    return Pipeline({.size = 21, .operations = std::move(operations), .normalize = {.mean = {}, .std = {1, 1, 1, 1, 1}}, .channels = channels});
}

data::Dataset pictures(int channels) {
    std::vector<Image> all;
    const data::Embedded scenes({.size = 40, .count = 6});
    for (std::int64_t i = 0; i < 6; ++i) {
        all.push_back(channels <= 3 ? image::with_channels(image::crop(scenes.image(i), {0, 5, 40, 30}), channels) : noise(40, 30, channels));
        all.push_back(image::resize(noise(7 + static_cast<int>(i), 5, channels), 40, 30, image::Filter::bicubic));
    }
    return data::Memory(std::move(all));
}

}  // namespace

TEST_CASE("the kernel of views has the engine's pixels, bit for bit, in one launch a view") {
    const std::vector<std::vector<AnyOperation>> all{
        {crop},
        {crop, HorizontalFlip{}, jitter, Grayscale{}, GaussianBlur{.p = 0.7}},
        {line, ColorJitter{.hue = 0, .p = 1}, GaussianBlur{.p = 0.7, .kind = image::Blur::boxes}, HorizontalFlip{.p = 1}, HorizontalFlip{}, Solarize{.p = 0.5}},
        {line, GaussianBlur{.p = 1, .sigma = {3, 7}}, jitter, GaussianBlur{.p = 1, .sigma = {2, 6}, .kind = image::Blur::boxes}, Solarize{.p = 0.5, .threshold = 0}}};
    for (const int channels : {3, 1, 5})
        for (const auto& operations : all)
            for (const bool resident : {true, false}) {
                if (channels != 3 && &operations != &all[1] && &operations != &all[3]) continue;
                KernelsOnCpu backend;
                const device::UseBackend use(backend);
                const Apart found = apart(pictures(channels), {of(operations, channels), of(operations, channels)}, resident, {.batch_size = 6, .seed = 3}, 1);
                INFO(of(operations, channels).describe() << (resident ? ", resident, " : ", crops, ") << found.differ << " of " << found.of << " values differ");
                CHECK(found.differ == 0);
                CHECK(backend.launches == std::map<std::string, int>{{"views", 2}});
            }
}

TEST_CASE("what the kernel of views does not know is left to tensor operations") {
    const auto known = [](std::vector<AnyOperation> operations, bool resident = true) {
        return batched::FusedView::of(BatchedPlan(of(std::move(operations))), resident).has_value();
    };
    CHECK(known({crop, jitter}));
    CHECK_FALSE(known({jitter, crop}));
    CHECK(known({jitter, crop}, false));  // the CPU does both
    CHECK(known({crop, GaussianBlur{.sigma = {0.1, 31.7}}}));
    CHECK_FALSE(known({crop, GaussianBlur{.sigma = {0.1, 31.8}}}));
    CHECK(known({crop, GaussianBlur{.sigma = {0.1, 32}, .kind = image::Blur::boxes}}));
    std::vector<AnyOperation> many(16, HorizontalFlip{});
    many.insert(many.begin(), crop);
    CHECK_FALSE(known(many));
    CHECK(known(many, false));
    KernelsOnCpu backend;
    const device::UseBackend use(backend);
    CHECK(apart(pictures(3), {of({jitter, crop}), of({crop})}, true).differ == 0);
    CHECK(backend.launches == std::map<std::string, int>{{"views", 3}});
}
