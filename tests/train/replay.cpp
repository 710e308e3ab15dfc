// SPDX-License-Identifier: Apache-2.0
#include <doppel/train/replay.hpp>
#include <doppel/train/train.hpp>

#include "support/train_support.hpp"

#include <cmath>

using namespace doppel;
using namespace doppel::test;

namespace {

/// What a run gave at each of its steps.
struct Recorded {
    std::vector<Tensor> losses, online, weights;
};

template <class R>
Recorded recorded(const Preset<R>& described, const train::TrainOptions& options) {
    Recorded all;
    train::train(described, images(), options, [&](train::Trainer& trainer, const train::StepReport& report) {
        all.losses.push_back(report.loss.clone());
        all.online.push_back(report.outputs.online.at(1).clone());
        all.weights.push_back(trainer.method().module().parameters().front().detach().clone());
    });
    return all;
}

}  // namespace

TEST_CASE("a step of a run is taken again: views, outputs and loss are the run's, and the log agrees") {
    TemporaryFolder folder;
    auto options = quick(folder.path());
    options.log_every = 3;
    options.checkpoint_every = 2;  // steps 10 and 20
    const auto run = recorded(preset(), options);
    for (const std::int64_t step : {1, 9, 12, 13, 20}) {
        INFO(step);
        const auto again = train::replay(erase(preset()), images(), options, folder.path(), step);
        CHECK(again.from == (step > 12 ? 10 : 0));
        CHECK(again.checkpoint.empty() == (again.from == 0));
        CHECK(again.report.step == step);
        CHECK(bit_equal(again.report.loss, run.losses[static_cast<std::size_t>(step - 1)]));
        CHECK(bit_equal(again.report.outputs.online.at(1), run.online[static_cast<std::size_t>(step - 1)]));
        CHECK(again.logged_at == std::min<std::int64_t>((step + 2) / 3 * 3, 20));
        CHECK(again.agrees());
        CHECK(again.report.metrics.contains("grad_norm"));
    }
    const auto files = std::distance(std::filesystem::recursive_directory_iterator(folder.path()), {});
    train::replay(erase(preset()), images(), options, folder.path(), 4);
    CHECK(std::distance(std::filesystem::recursive_directory_iterator(folder.path()), {}) == files);

    std::filesystem::remove_all(folder / "checkpoints");  // without them it begins with the seed
    const auto again = train::replay(erase(preset()), images(), options, folder.path(), 14);
    CHECK(again.from == 0);
    CHECK(again.agrees());
    const auto elsewhere = train::replay(erase(preset()), images(), options, folder.path(), 14, {}, [](const AnyMethod& method) {
        const at::NoGradGuard no_grad;
        method.module().parameters().front().add_(0.1);
    });
    CHECK_FALSE(elsewhere.agrees());
    auto other = options;
    other.seed = 8;
    CHECK_FALSE(train::replay(erase(preset()), images(), other, folder.path(), 14).agrees());
}

TEST_CASE("the views of a step are those that the network sees, with the streams that drew them") {
    const auto described = erase(preset());
    data::Loader loader(images(), described.views.pipelines, {.batch_size = 8, .seed = 7});
    const auto pass = loader.pass(0, 20);
    for (std::int64_t step = 1; step <= 20; ++step) {
        const auto batch = *pass->next();
        if (step % 6 != 0) continue;
        const auto seen = train::replay_views(described, images(), quick(), step);
        CHECK(seen.epoch == (step - 1) / 5);
        CHECK(at::equal(seen.batch.index, batch.index));
        REQUIRE(seen.drawn.size() == 8);
        for (std::size_t v = 0; v < 2; ++v) {
            CHECK(at::equal(seen.batch.views[v], batch.views[v]));
            const random::Stream draw({.seed = 7, .epoch = static_cast<std::uint64_t>(seen.epoch), .index = static_cast<std::uint64_t>(seen.drawn[3]), .view = v});
            const Image view = described.views.pipelines[v].render(images().image(seen.batch.index[3].item<std::int64_t>()), draw);
            CHECK(view.at(5, 2)[1] == seen.batch.views[v][3][1][2][5].item<std::uint8_t>());
        }
    }
    auto two = quick();
    two.accumulate = 2;  // two steps an epoch: the last pass of step 3 is batch 5
    const auto last = train::replay_views(described, images(), two, 3);
    CHECK(last.epoch == 1);
    CHECK(at::equal(last.batch.index, (*data::Loader(images(), described.views.pipelines, {.batch_size = 8, .seed = 7, .multiple = 2}).pass(5, 6)->next()).index));
}

TEST_CASE("steps that are skipped stay out of the mean, and a step that is not there is rejected") {
    TemporaryFolder folder;
    auto options = quick(folder.path());
    options.log_every = 4;
    const auto described = stumbling({5});
    train::train(described, images(), options);
    const auto again = train::replay(erase(described), images(), options, folder.path(), 6);
    CHECK_FALSE(again.report.taken);
    CHECK(std::isnan(again.report.loss.item<double>()));
    CHECK(again.agrees());
    CHECK_FALSE(again.warnings.empty());
    for (const std::int64_t step : {0, 21}) {
        CHECK(mentions(message_of([&] { train::replay(erase(preset()), images(), quick(), folder.path(), step); }), {"the steps 1 to 20", "got " + std::to_string(step)}));
        CHECK(mentions(message_of([&] { train::replay_views(erase(preset()), images(), quick(), step); }), {"the steps 1 to 20"}));
    }
}
