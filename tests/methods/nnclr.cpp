// SPDX-License-Identifier: Apache-2.0
#include <doppel/methods/nnclr.hpp>

#include "support/method_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

auto small_nnclr() {
    auto o = tiny_heads(methods::nnclr_small);
    o.predictor = 10;
    o.queue = 20;
    return methods::nnclr(tiny(), o);
}

}  // namespace

TEST_CASE("three steps of NNCLR equal solo-learn's loss, with a support set that wraps around") {
    auto options = tiny_heads(methods::NnclrOptions{});
    options.predictor = 10;
    options.queue = 15;
    // Rows that are rounded to float32 have not quite length 1: solo-learn divides by it, ours does not.
    steps_as("variant_steps.txt", "nnclr", methods::nnclr(tiny(), options).recipe, {.tight = 1e-6, .loose = 2e-3, .lr = 0.01});
}

TEST_CASE("NNCLR's step is algorithm 1: neighbors of one view meet predictions of the other; view 0 is remembered") {
    Method method{small_nnclr().recipe, {.seed = 1}};
    const Tensor before = method->named_buffers()["queue.rows"].clone();
    const Tensor loss = method->forward(batch_of(6));
    const Outputs& out = method->last()[0];
    const losses::Nnclr term = method->recipe.loss;
    const Tensor both = (term(out.online[0], out.target[1], before) + term(out.online[1], out.target[0], before)) / 2;
    CHECK(loss.item<double>() == Approx(both.item<double>()).epsilon(1e-6));
    CHECK(bit_equal(out.target[0], out.projected[0]));
    CHECK(!at::equal(out.online[0], out.projected[0]));
    CHECK(bit_equal(method->named_buffers()["queue.rows"], before));  // read before it is written
    const Tensor first = unit(out.target[0]);
    method->commit();
    CHECK(largest_difference(method->named_buffers()["queue.rows"].narrow(0, 0, 6), first) < 1e-6);
    CHECK(method->named_buffers()["queue.pointer"].item<std::int64_t>() == 6);
}

TEST_CASE("NNCLR has the paper's heads and support set, and SimCLR's training") {
    using Widths = std::vector<std::int64_t>;
    trains(small_nnclr(), two_views);
    const auto preset = methods::nnclr(tiny());
    is_trained_as(preset, methods::simclr(tiny()), "nnclr");
    CHECK(preset.recipe.projector.hidden == Widths{2048, 2048});
    CHECK(preset.recipe.projector.out == 256);
    CHECK(preset.recipe.projector.last_norm == heads::LastNorm::affine);
    CHECK(preset.recipe.predictor.hidden == Widths{4096});
    CHECK(preset.recipe.predictor.out == 256);
    CHECK(preset.recipe.predictor.last_norm == heads::LastNorm::none);
    CHECK(preset.recipe.queue.capacity == 98304);
    // Section 4.1: LARS, 0.3 for 256 images, batches of 4096, 1000 epochs, 10 of warm-up, decay 1e-6.
    const auto large = methods::nnclr(tiny(), methods::nnclr_lars);
    CHECK((large.batch_size == 4096 && large.epochs == 1000));
    CHECK(rate(large, 0.01) == Approx(4.8));
    CHECK(peak_epoch(large) == 10);
    CHECK(mentions(large.optimizer.describe(), {"LARS (SimCLR's)", "1e-06", "not on biases"}));
    CHECK(preset.recipe.loss.temperature == 0.1);
}
