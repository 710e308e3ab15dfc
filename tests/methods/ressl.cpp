// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/resnet.hpp>
#include <doppel/methods/ressl.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

auto small_ressl() {
    auto o = tiny_heads(methods::ressl_small);
    o.queue = 20;
    return methods::ressl(tiny(), o);
}

}  // namespace

TEST_CASE("three steps of ReSSL equal solo-learn's loss, with a queue that wraps around") {
    auto options = tiny_heads(methods::ResslOptions{});
    options.momentum = 0.9;
    options.queue = 15;
    steps_as("variant_steps.txt", "ressl", methods::ressl(tiny(), options).recipe, {.tight = 1e-6, .lr = 0.01});
}

TEST_CASE("ReSSL's step sends view 0 through the online branch and view 1 through the target, whose rows it keeps") {
    Method method{small_ressl().recipe, {.seed = 1}};
    const Tensor before = method->named_buffers()["queue.rows"].clone();
    const Tensor loss = method->forward(batch_of(6));
    const Outputs& out = method->last()[0];
    CHECK((out.online[0].defined() && !out.online[1].defined()));
    CHECK((!out.target[0].defined() && out.target[1].defined()));
    CHECK(loss.item<double>() == Approx(losses::Ressl{}(out.online[0], out.target[1], before).item<double>()).epsilon(1e-6));
    const Tensor keys = unit(out.target[1]);
    method->commit();
    CHECK(largest_difference(method->named_buffers()["queue.rows"].narrow(0, 0, 6), keys) < 1e-6);
    CHECK(method->named_buffers()["queue.pointer"].item<std::int64_t>() == 6);
}

TEST_CASE("ReSSL has the paper's head, queue, target and learning rate") {
    trains(small_ressl(), two_views);
    const auto preset = methods::ressl(tiny());
    CHECK(preset.name == "ressl");
    CHECK(preset.recipe.projector.hidden == std::vector<std::int64_t>{4096});
    CHECK(preset.recipe.projector.out == 512);
    CHECK(!preset.recipe.projector.norm);
    CHECK(preset.recipe.queue.capacity == 131072);
    CHECK(preset.recipe.target.schedule({}) == 0.999);
    CHECK(preset.recipe.loss.target_temperature == 0.04);
    CHECK(rate(preset, 0.025) == Approx(0.05));
    CHECK(peak_epoch(preset) == 5);
    CHECK(!methods::ressl(encoders::ResNet{.depth = 50}).recipe.encoder.zero_init_residual);
    CHECK(mentions(preset.optimizer.describe(), {"SGD, momentum 0.9", "0.0001", "not on biases"}));
    CHECK(mentions(preset.views.pipelines[0].describe(), {"kind=boxes"}));
}

TEST_CASE("ReSSL's second view is cropped and flipped alone") {
    Image image(40, 30, 3);
    const std::uint8_t color[] = {200, 40, 90};
    for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = color[i % 3];
    for (const auto& both : {methods::ressl(tiny(), methods::ressl_small).views, methods::ressl(tiny()).views,
                             views::ressl()}) {
        CHECK(both.name == "ressl");
        CHECK(both.globals == 2);
        REQUIRE(both.pipelines.size() == 2);
        CHECK(both.pipelines[0].size() == both.pipelines[1].size());
        const auto weak = both.pipelines[1].describe();
        INFO(weak);
        CHECK(mentions(weak, {"random_resized_crop", "flip", "normalize"}));
        for (const auto part : {"jitter", "gray", "blur", "solarize"}) CHECK(weak.find(part) == std::string::npos);
        int changed = 0;
        for (std::uint64_t i = 0; i < 12; ++i) {
            const auto differs = [&](std::size_t v) {
                const Image seen = both.pipelines[v].render(image, random::Stream({.seed = 1, .index = i, .view = v}));
                for (std::size_t p = 0; p < seen.pixels.size(); ++p)
                    if (seen.pixels[p] != color[p % 3]) return true;
                return false;
            };
            CHECK(!differs(1));
            changed += differs(0);
        }
        CHECK(changed > 6);
    }
}
