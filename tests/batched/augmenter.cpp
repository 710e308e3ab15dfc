// SPDX-License-Identifier: Apache-2.0
#include <doppel/batched/augmenter.hpp>

#include <doppel/data/embedded.hpp>
#include <doppel/data/memory.hpp>
#include <doppel/views/simclr.hpp>

#include "support/planes.hpp"
#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

/// The first batch by a augmenter, and what its loader makes.
std::pair<Batch, data::Make> first(const data::Dataset& images, batched::Augmenter& augmenter, const std::vector<augment::Pipeline>& views) {
    data::LoaderOptions options{.batch_size = 4, .seed = 2};
    augmenter.set(options);
    const data::Loader loader(images, views, options);
    return {augmenter(loader.pass(0, 1)->next().value()), options.make};
}

}  // namespace

TEST_CASE("small images of one size stay on the device, others come as crops; both have the engine's views") {
    const auto views = views::simclr({.size = 64, .blur_kind = image::Blur::gaussian}).pipelines;
    const data::Dataset small = data::Embedded({.size = 40, .count = 300});
    const data::Dataset several = data::Memory({noise(70, 80, 3), noise(80, 70, 1), noise(66, 66, 3), noise(90, 64, 3)});
    batched::Augmenter resident(small, views, at::kCPU, 4096, nullptr), large(small, views, at::kCPU, 1, nullptr), crops(several, views, at::kCPU, 4096, nullptr);
    CHECK(resident.text() == "device; 300 images of 40x40 px stay there, 2 MB");
    CHECK(large.text() == "device; crops come from the CPU: 300 images of 40x40 px need 2 MB, more than 1 (--resident-mb)");
    CHECK(crops.text() == "device; crops come from the CPU: the images differ in size");
    for (const auto& [images, augmenter, make] : {std::tuple(&small, &resident, data::Make::draws), std::tuple(&small, &large, data::Make::crops),
                                             std::tuple(&several, &crops, data::Make::crops)}) {
        const auto [batch, made] = first(*images, *augmenter, views);
        CHECK(made == make);
        const data::Loader reference(*images, views, {.batch_size = 4, .seed = 2});
        const Batch wanted = reference.pass(0, 1)->next().value();
        for (std::size_t v = 0; v < 2; ++v) CHECK(at::equal(batch.views[v], wanted.views[v]));
    }
}

TEST_CASE("an operation of one's own is refused before an image is decoded") {
    struct Unread {
        std::int64_t size() const { return 3; }
        Image image(std::int64_t) const { fail("decoded"); }
        std::int64_t label(std::int64_t) const { return data::unlabeled; }
        std::vector<std::string> classes() const { return {}; }
    };
    auto views = views::simclr_small(16);
    views.insert_after<augment::ColorJitter>(augment::AnyOperation([](Image&, random::Stream&) {}));
    CHECK(mentions(message_of([&] { batched::Augmenter(Unread(), views.pipelines, at::kCPU, 1, nullptr); }), {"'custom'", "--augment cpu"}));
}
