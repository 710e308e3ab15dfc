// SPDX-License-Identifier: Apache-2.0
#include <doppel/train/callbacks/expectation.hpp>
#include <doppel/train/train.hpp>

#include "support/train_support.hpp"

using namespace doppel;
using namespace doppel::test;
using train::milestones_of;

namespace {

const train::EvaluateEvery score{.epochs = 2, .measure = [](train::Trainer&) { return train::Metrics{{"score_top1", 0.5}}; }};
const std::vector<train::EvaluationFigure> figures{{.name = "score_top1", .every = 2, .option = "--score-every"},
                                                   {.name = "knn_top1", .missing = "the data set has no labels"}};

/// Trains 4 epochs of 5 steps, and returns how many steps were taken.
std::int64_t steps(train::Expectation& expect, train::TrainOptions options = quick()) {
    return train::train(preset(), images(), options, score, expect).steps;
}

}  // namespace

TEST_CASE("milestones are read: a figure, which way, a value, an epoch") {
    const auto all = milestones_of("knn_top1=0.4@20, loss=5@10,mine>-1e3@1,mine<=2.5@3");
    REQUIRE(all.size() == 4);
    CHECK(all[0].figure == "knn_top1");
    CHECK(all[0].at_least);
    CHECK(all[0].value == 0.4);
    CHECK(all[0].epoch == 20);
    CHECK_FALSE(all[1].at_least);
    CHECK(all[1].text == "loss=5@10");
    CHECK(all[2].at_least);
    CHECK(all[2].value == -1000);
    CHECK_FALSE(all[3].at_least);
    CHECK(all[3].value == 2.5);
    CHECK(milestones_of("").empty());
    CHECK_FALSE(all[0].reached_by(std::numeric_limits<double>::quiet_NaN()));
    CHECK(all[0].reached_by(0.4));
    for (const char* wrong : {"knn_top1", "knn_top1=0.4", "knn_top1=@3", "=0.4@3", "knn_top1=x@3", "loss<nan@3", "loss<3@x", "loss<3@", "a,", "loss<3@2.5"})
        CHECK(mentions(message_of([&] { milestones_of(wrong); }), {"--expect", "FIGURE=VALUE@EPOCH", "knn_top1=0.4@20"}));
    CHECK(mentions(message_of([] { milestones_of("loss<3@0"); }), {"counted from 1", "got 0"}));
    CHECK(mentions(message_of([] { milestones_of("knn_top1=40@3"); }), {"a share from 0 to 1, got 40"}));
    CHECK(mentions(message_of([] { milestones_of("mine=3@3"); }), {"mine>", "mine<"}));
}

TEST_CASE("a run that misses a milestone ends there with everything kept; one that reaches it goes on") {
    TemporaryFolder folder;
    train::Expectation missed(milestones_of("score_top1=0.6@2")), reached(milestones_of("score_top1=0.4@2,loss<100@1,grad_norm>0@4"));
    const auto result = train::train(preset(), images(), quick(folder.path()), score, missed);
    CHECK(result.steps == 10);
    CHECK(mentions(result.stopped, {"score_top1 was to be at least 0.6 after epoch 2, got 0.5"}));
    CHECK(missed.missed() == std::vector<std::string>{result.stopped});
    CHECK(std::filesystem::exists(folder / "checkpoints" / "step-00000010.safetensors"));
    CHECK(steps(reached) == 20);
    CHECK(reached.missed().empty());
    train::Expectation loss(milestones_of("loss<0.001@3")), last(milestones_of("loss<0.001@4"));
    CHECK(steps(loss) == 15);
    CHECK(mentions(loss.missed().at(0), {"loss was to be at most 0.001 after epoch 3, got "}));
    CHECK(steps(last) == 20);
    CHECK(last.missed().size() == 1);
}

TEST_CASE("what never comes is missed, as soon as that is known") {
    train::Expectation other(milestones_of("of_mine>1@2")), at_the_end(milestones_of("of_mine>1@4"));
    CHECK(steps(other) == 11);
    CHECK(mentions(other.missed().at(0), {"of_mine", "it was not measured"}));
    CHECK(steps(at_the_end) == 20);
    CHECK(at_the_end.missed().size() == 1);
}

TEST_CASE("milestones that can never be measured are rejected before training") {
    train::Trainer trainer(preset(), images(), [] {
        auto options = quick();
        options.log_every = 8;
        return options;
    }());
    trainer.rehearse();
    CHECK(trainer.loss_figures().empty());  // NT-Xent has none
    const auto refused = [&](const char* text) {
        return message_of([&] { train::Expectation(milestones_of(text), figures, false).check(trainer); });
    };
    CHECK(mentions(refused("loss<3@5"), {"--expect loss<3@5", "4 epochs"}));
    CHECK(mentions(refused("los<3@4"), {"no figure 'los'", "did you mean loss?"}));
    CHECK(mentions(refused("score_top1=0.4@3"), {"every 2 epochs", "--score-every 3"}));
    CHECK(mentions(refused("knn_top1=0.4@4"), {"knn_top1 is not measured: the data set has no labels"}));
    CHECK(mentions(refused("loss<3@1"), {"before step 8 (--log-every)", "epoch 1 ends with step 5"}));
    CHECK(mentions(refused("embedding_std>0@3"), {"no sample of the embeddings is logged before epoch 3 ends"}));  // that of step 10 at 16
    for (const char* right : {"loss<3@2", "score_top1=0.4@2", "score_top1=0.4@4", "embedding_std>0@4"})
        CHECK_NOTHROW(train::Expectation(milestones_of(right), figures, false).check(trainer));
    CHECK_NOTHROW(train::Expectation(milestones_of("los<3@4"), figures, true).check(trainer));  // of the caller's own
    train::Expectation ends(milestones_of("score_top1=0.4@3"), {{.name = "score_top1"}});
    CHECK(mentions(message_of([&] { steps(ends); }), {"at the end alone, after epoch 4"}));
}

TEST_CASE("figures of the evaluation at the end decide about the last epoch") {
    const auto missed = [](const train::Metrics& end, bool ended) {
        train::Expectation expect(milestones_of("score_top1=0.6@4"), figures);
        CHECK(steps(expect) == 20);
        CHECK(expect.missed().empty());
        expect.finish(end, ended);
        return expect.missed();
    };
    CHECK(missed({{"score_top1", 0.7}}, true).empty());
    CHECK(mentions(missed({{"score_top1", 0.5}}, true).at(0), {"at least 0.6 after epoch 4, got 0.5"}));
    CHECK(mentions(missed({}, true).at(0), {"not measured"}));
    CHECK(missed({}, false).empty());
}

TEST_CASE("a resumed run does not check the milestones behind it, and says so") {
    TemporaryFolder folder;
    train::Expectation first(milestones_of("loss<0.001@2")), again(milestones_of("loss<0.001@2,loss<100@3"));
    CHECK(steps(first, quick(folder.path())) == 10);
    auto options = quick(folder.path());
    options.resume = "auto";
    std::vector<std::string> warnings;
    const auto collect = [&](train::Trainer& trainer, const train::StepReport&) { warnings = trainer.warnings(); };
    CHECK(train::train(preset(), images(), options, again, collect).steps == 20);
    CHECK(again.missed().empty());
    CHECK(std::count_if(warnings.begin(), warnings.end(), [](const auto& text) { return mentions(text, {"loss<0.001@2 lies before step 10"}); }) == 1);
}
