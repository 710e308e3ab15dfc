// SPDX-License-Identifier: Apache-2.0
#include <doppel/augment/batched_plan.hpp>
#include <doppel/augment/operations.hpp>

#include "support/errors.hpp"
#include "support/support.hpp"
#include "support/views.hpp"

using namespace doppel;
using namespace doppel::test;
using namespace doppel::augment;

namespace {

Pipeline of(std::vector<AnyOperation> operations, int channels = 3) {
    return Pipeline({.size = 16, .operations = std::move(operations), .channels = channels});
}
const RandomResizedCrop crop{.size = 16};

std::vector<double> row_of(const BatchedPlan& plan, const random::Stream& draw) {
    std::vector<double> row(plan.columns());
    plan.draw(draw, 40, 30, row);
    return row;
}

}  // namespace

TEST_CASE("a plan draws what its pipeline draws, in the operations' order") {
    const Solarize solarize{.p = 0.5, .threshold = 90};
    const GaussianBlur blur{.p = 0.5}, boxes{.p = 0.5, .kind = image::Blur::boxes};
    const Pipeline pipeline = of({Grayscale{}, crop, blur, HorizontalFlip{}, boxes, solarize});
    const BatchedPlan plan(pipeline);
    REQUIRE(plan.columns() == 1 + 4 + 1 + 1 + 3 + 1);
    CHECK(plan.crop() == 1);
    for (std::uint64_t i = 0; i < 50; ++i) {
        random::Stream draw = address(2, i, 1);
        const auto row = row_of(plan, draw);
        CHECK(row[0] == Grayscale{}.draw(draw));
        const auto part = crop.draw(draw, 40, 30);
        CHECK(image::Rect{static_cast<int>(row[1]), static_cast<int>(row[3]), static_cast<int>(row[2]), static_cast<int>(row[4])} == part);
        CHECK(row[5] == blur.draw(draw).value_or(0));
        CHECK(row[6] == HorizontalFlip{}.draw(draw));
        const auto sigma = boxes.draw(draw);
        const auto box = sigma ? image::detail::FractionalBox::for_sigma(static_cast<float>(*sigma)) : image::detail::FractionalBox{0, 1U << 24, 0};
        CHECK((row[7] == box.radius && row[8] == box.center && row[9] == box.edge));
        CHECK(row[10] == (solarize.draw(draw) ? 90 : 256));
    }
}

TEST_CASE("the adjustments of a jitter keep their order around the hue") {
    const ColorJitter jitter{.p = 0.9};
    const BatchedPlan plan(of({crop, jitter}));
    REQUIRE(plan.columns() == 4 + 6 * 3 + 2);
    for (std::uint64_t i = 0; i < 200; ++i) {
        random::Stream draw = address(0, i, 0);
        const auto row = row_of(plan, draw);
        crop.draw(draw, 40, 30);
        std::vector<double> wanted, got;
        if (const auto drawn = jitter.draw(draw))
            for (const Jitter part : drawn->order) {
                const auto blend = [&](double factor, double luma, double mean) { wanted.insert(wanted.end(), {static_cast<float>(factor), luma, mean}); };
                if (part == Jitter::brightness) blend(*drawn->brightness, 0, 0);
                if (part == Jitter::contrast) blend(*drawn->contrast, 0, 1);
                if (part == Jitter::saturation) blend(*drawn->saturation, 1, 0);
                if (part == Jitter::hue) wanted.insert(wanted.end(), {-1, std::trunc(*drawn->hue * 255)});
            }
        for (std::size_t s = 0; s <= 6; ++s) {
            if (s == 3 && row[4 + 19] != 0) got.insert(got.end(), {-1, row[4 + 18]});
            if (s < 6 && (row[4 + 3 * s] != 1 || row[5 + 3 * s] != 0 || row[6 + 3 * s] != 0)) got.insert(got.end(), &row[4 + 3 * s], &row[4 + 3 * s] + 3);
        }
        CHECK(got == wanted);
    }
    CHECK(BatchedPlan(of({crop, ColorJitter{.hue = 0}})).columns() == 4 + 3 * 3);
    CHECK(BatchedPlan(of({crop, ColorJitter{}}, 1)).columns() == 4 + 2 * 3);
}

TEST_CASE("a plan's head makes the view up to its crop") {
    const Pipeline pipeline = of({Solarize{.p = 0.5}, crop, HorizontalFlip{.p = 1}});
    CHECK(BatchedPlan(pipeline).head().describe() == of({Solarize{.p = 0.5}, crop}).describe());
}

TEST_CASE("what only the CPU can do is refused by name") {
    const AnyOperation custom = [](Image&, random::Stream&) {};
    CHECK(mentions(message_of([&] { BatchedPlan(of({crop, custom})); }), {"'custom'", "CPU only", "--augment cpu", "random_resized_crop(size=16"}));
    CHECK(mentions(message_of([&] { BatchedPlan(of({Resize{.size = 16}, CenterCrop{.size = 16}})); }), {"'resize(size=16"}));
    CHECK(mentions(message_of([&] { BatchedPlan(of({Grayscale{}})); }), {"must have a random resized crop"}));
    CHECK(mentions(message_of([&] { BatchedPlan(of({crop, crop})); }), {"one random resized crop"}));
    CHECK(mentions(message_of([&] { BatchedPlan(of({RandomResizedCrop{.size = 8}})); }), {"crop to that size, got 8"}));
    std::vector<double> row(3);
    CHECK(mentions(message_of([&] { BatchedPlan(of({crop})).draw(address(0, 0, 0), 4, 4, row); }), {"4 numbers", "3"}));
}

TEST_CASE("views of one kind differ in probabilities alone") {
    const auto kind = [](std::vector<AnyOperation> operations) { return BatchedPlan(of(std::move(operations))).kind(); };
    CHECK(kind({crop, Grayscale{.p = 0.1}}) == kind({crop, Grayscale{.p = 0.2}}));
    CHECK(kind({crop, ColorJitter{}}) == kind({crop, ColorJitter{.brightness = 0.1}}));
    CHECK(kind({crop, ColorJitter{}}) != kind({crop, ColorJitter{.brightness = 0}}));
    CHECK(kind({crop, ColorJitter{}}) != kind({crop, ColorJitter{.hue = 0}}));
    CHECK(kind({crop, Grayscale{}}) != kind({crop, HorizontalFlip{}}));
    CHECK(kind({crop}) != kind({RandomResizedCrop{.size = 16, .filter = image::Filter::bicubic}}));
    CHECK(kind({crop, GaussianBlur{}}) != kind({crop, GaussianBlur{.sigma = {0.1, 3}}}));
    CHECK(kind({crop, GaussianBlur{}}) != kind({crop, GaussianBlur{.kind = image::Blur::boxes}}));
}
