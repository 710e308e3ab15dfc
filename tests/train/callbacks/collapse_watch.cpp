// SPDX-License-Identifier: Apache-2.0
#include <doppel/train/callbacks/collapse_watch.hpp>
#include <doppel/train/train.hpp>

#include "support/train_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("a collapsing objective is recognized while training, a sound one is not taken for one") {
    const auto ends = [](auto described) {
        described.epochs = 40;
        described.lr = schedules::WarmupCosine{.peak = 0.2, .warmup_fraction = 0.05};
        train::Trainer trainer(described, images(), quick());
        const auto result = train::run(trainer, train::CollapseWatch{});
        int warnings = 0;
        for (const auto& text : trainer.warnings()) warnings += text.find("collapsed") != text.npos;
        CHECK(warnings == (result.collapsed ? 1 : 0));
        CHECK(trainer.recorded().contains("embedding_rank"));  // of the last step
        return result.collapsed;
    };
    CHECK(ends(preset_of(tiny_recipe([](const Tensor& a, const Tensor& b) {
        return (a - b).pow(2).mean() + (a - a.detach().mean(0)).pow(2).mean();  // toward one point
    }))));
    CHECK_FALSE(ends(preset()));
}
