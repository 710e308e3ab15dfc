// SPDX-License-Identifier: Apache-2.0
// Outcomes of histories as runs leave them, one for each rule.
#include <doppel/run/outcome.hpp>

#include "support/torch_support.hpp"

#include <cmath>

using namespace doppel;
using namespace doppel::test;
using run::Outcome;

namespace {

/// A hundred lines of a run of 2,000 steps whose loss is loss(share of the run done), with a sample of the embeddings in each.
template <class Loss>
std::vector<nlohmann::ordered_json> history_of(Loss loss) {
    std::vector<nlohmann::ordered_json> lines{{{"step", 0}, {"event", "baselines"}, {"knn_top1", 0.99}}};
    for (int i = 1; i <= 100; ++i)
        lines.push_back({{"step", 20 * i}, {"epoch", 0.2 * i}, {"loss", loss(i / 100.0)}, {"lr", 0.1}, {"embedding_cos", 0.1},
                         {"embedding_std", 0.08}, {"embedding_collapsed", 0}});
    return lines;
}
double settled(double at) { return 1 + 4 * std::exp(-20 * at); }

/// 1,000 validation images, features of 100 numbers, 20 epochs.
run::Evidence evidence(double knn, double untrained, double pixels, std::vector<nlohmann::ordered_json> history = history_of(settled)) {
    return {.end = {{"knn_top1", knn}, {"knn_top1_random", untrained}, {"knn_top1_pixels", pixels}, {"feature_std", 0.09}},
            .history = std::move(history),
            .images = 1000,
            .feature_dim = 100,
            .epochs = 20,
            .steps = 2000};
}

}  // namespace

TEST_CASE("a gain over both baselines that chance does not explain is learned") {
    const auto outcome = run::outcome_of(evidence(0.713, 0.41, 0.532));
    CHECK(outcome.state == Outcome::State::learned);
    CHECK(mentions(outcome.sentence, {"Learned: k-NN (k = 20) is right for 71.3 % of 1000 validation images (95 % interval 68.4 to 74.0)",
                                      "raw pixels reach 53.2 %, the untrained encoder 41.0 %",
                                      "the gain over the better one, raw pixels, is 18.1 points (13.9 to 22.2)"}));
    CHECK(outcome.advice.empty());
    CHECK(run::outcome_of(evidence(0.713, 0.55, 0.532)).sentence.find("the better one, the untrained encoder, is 16.3") != std::string::npos);
    const auto falling = run::outcome_of(evidence(0.713, 0.41, 0.532, history_of([](double at) { return 5 - 3 * at; })));
    CHECK(falling.state == Outcome::State::learned);
    CHECK(mentions(falling.advice, {"still falling", "--epochs"}));
}

TEST_CASE("no gain, or one within chance, is not yet learned") {
    for (const double knn : {0.30, 0.532, 0.545}) {
        INFO(knn);
        const auto outcome = run::outcome_of(evidence(knn, 0.41, 0.532));
        CHECK(outcome.state == Outcome::State::not_yet);
        CHECK(mentions(outcome.sentence, {"Not yet: k-NN (k = 20) is right for "}));
        CHECK_FALSE(outcome.advice.empty());
    }
    auto many = evidence(0.545, 0.41, 0.532);
    many.images = 100'000;  // the same gain is no chance there
    CHECK(run::outcome_of(many).state == Outcome::State::learned);
}

TEST_CASE("a run that started from weights must be better than these") {
    auto e = evidence(0.713, 0.41, 0.532);
    e.end["knn_top1_init"] = 0.70;
    const auto outcome = run::outcome_of(e);
    CHECK(outcome.state == Outcome::State::not_yet);
    CHECK(mentions(outcome.sentence, {"the untrained encoder 41.0 %, the weights that it started from 70.0 %",
                                      "the gain over the best of these, the weights that it started from, is 1.3 points"}));
    e.end["knn_top1_init"] = 0.5;
    CHECK(run::outcome_of(e).state == Outcome::State::learned);
}

TEST_CASE("what to change first follows from the curves") {
    const auto advice = [](const run::Evidence& e) {
        const auto outcome = run::outcome_of(e);
        CHECK(outcome.state == Outcome::State::not_yet);
        return outcome.advice;
    };
    CHECK(mentions(advice(evidence(0.5, 0.41, 0.532)), {"come to rest", "learning rate first"}));
    CHECK(mentions(advice(evidence(0.545, 0.41, 0.532)), {"1000 validation images", "1.3 points may be chance"}));
    CHECK(mentions(advice(evidence(0.5, 0.41, 0.532, history_of([](double at) { return 5 - 3 * at; }))), {"loss was still falling", "--epochs 60"}));
    auto few = evidence(0.5, 0.41, 0.532);
    few.steps = 100;
    few.epochs = 10;
    CHECK(mentions(advice(few), {"100 steps are few", "--epochs 200 for about 2,000"}));
    auto skipping = few;
    skipping.skipped_steps = 3;
    CHECK(mentions(advice(skipping), {"3 steps were skipped", "--lr"}));
    auto alike = history_of(settled);
    for (auto& line : alike) line["embedding_cos"] = 0.93;
    CHECK(mentions(advice(evidence(0.5, 0.41, 0.532, alike)), {"mean cosine 0.93", "--temperature"}));
    auto rising = history_of(settled);
    rising.push_back({{"step", 1000}, {"epoch", 10}, {"knn_top1", 0.40}});
    rising.push_back({{"step", 1500}, {"epoch", 15}, {"knn_top1", 0.45}});
    CHECK(mentions(advice(evidence(0.5, 0.41, 0.532, rising)), {"k-NN was still rising"}));
    auto fell = history_of(settled);
    fell.push_back({{"step", 1000}, {"epoch", 10}, {"knn_top1", 0.60}});
    fell.push_back({{"step", 1500}, {"epoch", 15}, {"knn_top1", 0.55}});
    CHECK(mentions(advice(evidence(0.5, 0.41, 0.532, fell)), {"k-NN was 60.0 % before", "augmentations first"}));
}

TEST_CASE("embeddings that are collapsed to the end are a collapse, and since when") {
    auto lines = history_of(settled);
    for (auto& line : lines)
        if (line.value("step", 0) >= 640) {
            line["embedding_collapsed"] = 1;
            line["embedding_cos"] = 0.99;
        }
    const auto outcome = run::outcome_of(evidence(0.2, 0.41, 0.532, lines));
    CHECK(outcome.state == Outcome::State::collapsed);
    CHECK(mentions(outcome.sentence, {"Collapsed: since step 640 (epoch 6.4)", "mean cosine 0.99", "K-NN (k = 20) is right for 20.0 %"}));
    CHECK(mentions(outcome.advice, {"--lr", "--warmup"}));

    // k-NN that is better all the same counts more, and the collapse is told.
    const auto both = run::outcome_of(evidence(0.7, 0.41, 0.532, lines));
    CHECK(both.state == Outcome::State::learned);
    CHECK(mentions(both.sentence, {"But since step 640"}));
    CHECK(mentions(both.advice, {"collapse"}));

    // Without labels the collapse is seen too; one that ended is none.
    auto unlabeled = evidence(0, 0, 0, lines);
    unlabeled.end = {{"feature_std", 0.09}};
    CHECK(run::outcome_of(unlabeled).state == Outcome::State::collapsed);
    auto recovered = lines;
    recovered.back()["embedding_collapsed"] = 0;
    CHECK(run::outcome_of(evidence(0.2, 0.41, 0.532, recovered)).state == Outcome::State::not_yet);

    // Fewer than five samples are a collapse only if the watch, which sees more than the log, warned.
    auto short_log = history_of(settled);
    for (auto& line : short_log)
        if (line.value("step", 0) >= 1960) line["embedding_collapsed"] = 1;
    auto e = evidence(0.2, 0.41, 0.532, short_log);
    CHECK(run::outcome_of(e).state == Outcome::State::not_yet);
    e.collapse_seen = true;
    CHECK(run::outcome_of(e).state == Outcome::State::collapsed);
    auto flat = evidence(0.2, 0.41, 0.532);
    flat.end["feature_std"] = 0.005;  // of 0.1
    CHECK(mentions(run::outcome_of(flat).sentence, {"Collapsed: the features do not distinguish images (spread 0.05"}));
}

TEST_CASE("without labels or baselines nothing says what was learned") {
    auto e = evidence(0, 0, 0);
    e.end = {{"feature_std", 0.09}};
    const auto outcome = run::outcome_of(e);
    CHECK(outcome.state == Outcome::State::unknown);
    CHECK(mentions(outcome.sentence, {"Unknown: k-NN was not measured", "spread is 0.90"}));
    CHECK(mentions(outcome.advice, {"--val"}));
    e.end = {{"knn_top1", 0.5}};
    CHECK(mentions(run::outcome_of(e).sentence, {"Unknown: k-NN is right for 50.0 %", "baselines were not measured"}));
    e.end = {{"knn_top1", std::nan("")}, {"knn_top1_random", 0.1}, {"knn_top1_pixels", 0.1}};
    CHECK(run::outcome_of(e).state == Outcome::State::unknown);
    CHECK(run::outcome_of({}).state == Outcome::State::unknown);
}

TEST_CASE("metrics.jsonl holds the outcome") {
    const auto json = run::to_json({.state = Outcome::State::not_yet, .sentence = "Not yet: …", .advice = "train longer"});
    CHECK(json["state"] == "not yet");
    CHECK(json["advice"] == "train longer");
    CHECK_FALSE(run::to_json({.sentence = "Unknown."}).contains("advice"));
}
