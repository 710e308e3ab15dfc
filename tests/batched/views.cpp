// SPDX-License-Identifier: Apache-2.0
#include <doppel/batched/views.hpp>

#include <doppel/data/embedded.hpp>
#include <doppel/data/memory.hpp>

#include <ATen/record_function.h>

#include "support/batched.hpp"
#include "support/planes.hpp"

using namespace doppel;
using namespace doppel::test;
using namespace doppel::augment;

namespace {

const RandomResizedCrop crop{.size = 24};
const GaussianBlur blur{.p = 0.7}, boxes{.p = 0.7, .kind = image::Blur::boxes};

Pipeline of(std::vector<AnyOperation> operations, int size = 24, int channels = 3) {
    return Pipeline({.size = size, .operations = std::move(operations),
                     .normalize = {.mean = {}, .std = {1, 1, 1, 1, 1}}, .channels = channels});
}

/// Scenes and noise of 40 × 30.
data::Dataset pictures(int channels = 3) {
    std::vector<Image> all;
    const data::Embedded scenes({.size = 40, .count = 12});
    for (std::int64_t i = 0; i < 12; ++i) {
        all.push_back(channels <= 3 ? image::with_channels(image::crop(scenes.image(i), {0, 5, 40, 30}), channels) : noise(40, 30, channels));
        all.push_back(image::resize(noise(7 + static_cast<int>(i), 5, channels), 40, 30, image::Filter::bicubic));
    }
    return data::Memory(std::move(all));
}

int operations_of(const std::function<void()>& action) {
    static thread_local int count;
    count = 0;
    const auto handle = at::addThreadLocalCallback(at::RecordFunctionCallback([](const at::RecordFunction& at) -> std::unique_ptr<at::ObserverContext> {
        const std::string name = at.name();
        for (const char* view : {"narrow", "select", "view", "reshape", "expand", "transpose", "permute", "unsqueeze", "slice", "as_strided", "_to_copy", "to", "empty", "flatten", "_reshape_alias", "_unsafe_view", "empty_like", "empty_strided", "resolve", "repeat", "alias", "unfold", "resize_", "zeros", "full", "ones", "detach", "contiguous", "clone"})
            if (name == std::string("aten::") + view) return nullptr;
        ++count;
        return nullptr;
    }));
    action();
    at::removeCallback(handle);
    return count;
}

}  // namespace

TEST_CASE("batched views have the pixels of the engine, of resident images and of crops") {
    const ColorJitter jitter{.brightness = 0.8, .contrast = 0.8, .saturation = 0.8, .hue = 0.2};
    const std::vector<std::vector<Pipeline>> all{
        {of({crop, HorizontalFlip{}, jitter, Grayscale{}, blur}), of({crop, HorizontalFlip{}, jitter, Grayscale{}, blur, Solarize{.p = 0.5}})},
        {of({jitter, Grayscale{}, Solarize{}, boxes, crop, HorizontalFlip{}})},
        {of({blur, HorizontalFlip{}, crop, jitter, boxes, HorizontalFlip{}, Solarize{.threshold = 77}})},
        {of({crop}), of({RandomResizedCrop{.size = 9, .filter = image::Filter::bicubic}, jitter, blur}, 9),
         of({RandomResizedCrop{.size = 9, .filter = image::Filter::bicubic}, jitter, blur}, 9)}};
    for (const auto& pipelines : all)
        for (const bool resident : {false, true}) {
            const Apart found = apart(pictures(), pipelines, resident);
            INFO(pipelines.front().describe() << (resident ? ", resident, " : ", crops, ") << found.differ << " of " << found.of << " values differ");
            CHECK(found.levels <= 1);
            CHECK(found.share() <= 0.0001);
        }
}

TEST_CASE("batched views of gray images, of images of bands, and of gray images for color views") {
    for (const int channels : {1, 5})
        for (const bool resident : {false, true}) {
            const Apart found = apart(pictures(channels), {of({crop, ColorJitter{.p = 1}, Grayscale{}, blur, Solarize{}}, 24, channels)}, resident);
            CHECK(found.levels <= 1);
            CHECK(found.share() <= 0.0001);
        }
    CHECK(apart(pictures(1), {of({crop, ColorJitter{.p = 1}})}, true).share() <= 0.0001);
    CHECK(apart(pictures(1), {of({crop, ColorJitter{.p = 1}})}, false).share() <= 0.0001);
}

TEST_CASE("views in portions, of any number of loader threads, from any step, are the same") {
    const std::vector<Pipeline> pipelines{of({crop, ColorJitter{}, blur}), of({crop, ColorJitter{.p = 0.5}, blur})};
    const auto set = batched::resident(pictures(), 3, 1, nullptr);
    const auto views_from = [&](std::int64_t step, int workers, std::int64_t portion) {
        const data::Loader loader(pictures(), pipelines, {.batch_size = 8, .seed = 4, .workers = workers, .make = data::Make::draws, .width = 40, .height = 30});
        auto pass = loader.pass(step, 5);
        Batch last;
        for (; step < 5; ++step) last = pass->next().value();
        return batched::Views(pipelines, at::kCPU, set.images, portion)(last).views;
    };
    const auto wanted = views_from(0, 0, 1 << 25);
    for (const auto& got : {views_from(4, 1, 1), views_from(3, 3, 3 * 24 * 24 * 5), views_from(4, 0, 1 << 25)})
        for (std::size_t v = 0; v < 2; ++v) CHECK(at::equal(got[v], wanted[v]));
}

TEST_CASE("a loader that only draws decodes nothing") {
    struct Unread {
        std::int64_t size() const { return 6; }
        Image image(std::int64_t) const { fail("decoded"); }
        std::int64_t label(std::int64_t i) const { return i % 2; }
        std::vector<std::string> classes() const { return {"a", "b"}; }
    };
    const data::Loader loader(Unread(), {of({crop})}, {.batch_size = 6, .make = data::Make::draws, .width = 40, .height = 30});
    const Batch batch = loader.pass(0, 1)->next().value();
    CHECK(batch.drawn[0].sizes() == at::IntArrayRef({6, 4}));
    CHECK(batch.views[0].sizes() == at::IntArrayRef({6, 3, 24, 24}));
    CHECK(at::equal(batch.label, batch.index.remainder(2)));
    CHECK(mentions(message_of([&] { data::Loader(Unread(), {of({crop})}, {.batch_size = 6, .make = data::Make::draws}); }), {"size of the images, got 0x0"}));
}

TEST_CASE("a damaged image is substituted as on the CPU") {
    struct Damaged {
        data::Dataset whole = pictures();
        std::int64_t size() const { return whole.size(); }
        Image image(std::int64_t i) const {
            if (i % 5 == 1) throw DamagedImage("damaged");
            return whole.image(i);
        }
        std::int64_t label(std::int64_t i) const { return i % 3; }
        std::vector<std::string> classes() const { return {"a", "b", "c"}; }
    };
    for (const bool resident : {false, true})
        CHECK(apart(Damaged(), {of({crop, ColorJitter{}})}, resident,
                    {.batch_size = 8, .seed = 1, .damage = std::make_shared<data::DamagedImages>()}).share() <= 0.0001);
}

TEST_CASE("views of one kind are made together, in few operations") {
    const ColorJitter jitter{.brightness = 0.8, .contrast = 0.8, .saturation = 0.8, .hue = 0.2};
    const std::vector<Pipeline> two{of({crop, HorizontalFlip{}, jitter, Grayscale{}, blur}), of({crop, HorizontalFlip{.p = 0}, jitter, Grayscale{.p = 0.1}, blur})};
    const auto count = [&](const std::vector<Pipeline>& pipelines) {
        const data::Loader loader(pictures(), pipelines, {.batch_size = 4, .make = data::Make::draws, .width = 40, .height = 30});
        batched::Views views(pipelines, at::kCPU, batched::resident(pictures(), 3, 1, nullptr).images);
        views(loader.pass(0, 1)->next().value());
        const Batch batch = loader.pass(0, 1)->next().value();
        return operations_of([&] { views(batch); });
    };
    CHECK(count(two) <= 420);  // with those that only cast on the CPU
    CHECK(count(two) <= count({two[0]}) + 4);
}

TEST_CASE("a batch without draws, and resident images of another type, are refused") {
    batched::Views views({of({crop})}, at::kCPU);
    const data::Loader loader(pictures(), {of({crop})}, {.batch_size = 4});
    CHECK(mentions(message_of([&] { views(loader.pass(0, 1)->next().value()); }), {"draws of 1 views, got 0", "Make::crops"}));
    CHECK(mentions(message_of([&] { batched::Views({of({crop})}, at::kCPU, at::zeros({2, 3, 4, 4})); }), {"8-bit tensor"}));
}
