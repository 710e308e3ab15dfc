// SPDX-License-Identifier: Apache-2.0
#include <doppel/run/comparison.hpp>

#include "support/support.hpp"

#include <cmath>

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

/// A finished run with k-NN `top1` on 1,000 images.
run::RecordedRun recorded(const std::string& folder, double top1, const std::string& more = "{}") {
    run::RecordedRun run{.folder = folder, .state = run::RunState::finished};
    run.config = nlohmann::ordered_json::parse(R"({"doppel":"0.1.0","method":"simclr","started":"now","command":["--data","my photos"],"data":{"data":"photos","val":""},
        "options":{"temperature":0.2,"lr":0.1},"run":{"seed":1,"k":20,"out":"x"},
        "resolved":{"data":"photos","validation_images":1000,"train_images":4000,"classes":["a","b"]},"views":["crop","crop"],"view_eval":"resize"})");
    run.config.merge_patch(nlohmann::ordered_json::parse(more));
    run.lines = {{{"step", 0}, {"epoch", 0}, {"knn_top1_random", 0.2}},
                 {{"step", 1}, {"epoch", 1}, {"loss", 3}},
                 {{"step", 2}, {"epoch", 2}, {"loss", 2}, {"knn_top1", top1}, {"event", "end"}}};
    return run;
}

}  // namespace

TEST_CASE("settings that differ are found under their options' names") {
    const auto facts = run::differences_of({recorded("a", 0.5), recorded("b", 0.5, R"({"options":{"temperature":0.5,"base_lr":2},"run":{"seed":2,"out":"y"},"started":"later","views":["crop","crop > flip"]})")});
    std::vector<std::string> shown;
    for (const auto& fact : facts) shown.push_back(fact.name + ": " + fact.values.at(0) + ", " + fact.values.at(1));
    CHECK(shown == std::vector<std::string>{"--temperature: 0.2, 0.5", "--seed: 1, 2", "--base-lr: –, 2", "view 2: crop, crop > flip"});
    CHECK(run::differences_of({recorded("a", 0.5), recorded("b", 0.6)}).empty());
}

TEST_CASE("figures and curves have a value and a line for each run") {
    auto other = recorded("b", 0.25);
    other.lines.pop_back();
    const auto comparison = run::comparison_of({recorded("runs/a", 0.5), other});
    REQUIRE(comparison.figures.size() >= 3);
    CHECK(comparison.figures[0].name == "knn_top1");
    CHECK(comparison.figures[0].values[0] == 0.5);
    CHECK(std::isnan(comparison.figures[0].values[1]));
    CHECK(comparison.figures[1].name == "gain");
    CHECK(comparison.figures[1].values[0] == 0.3);
    REQUIRE(comparison.curves.size() == 1);
    CHECK(comparison.curves[0].name == "loss");
    REQUIRE(comparison.curves[0].series.size() == 2);
    CHECK(comparison.curves[0].series[0].points == std::vector<std::pair<double, double>>{{1, 3}, {2, 2}});
    CHECK(comparison.curves[0].series[1].name == "b");
    CHECK(comparison.runs[0].name == "a");
    CHECK(comparison.runs[0].command == "./run train simclr --data 'my photos'");
}

TEST_CASE("the best run is told from others by the interval of its validation images") {
    const auto leader = [](double a, double b) { return run::leader_of({recorded("a", a), recorded("b", b)}, {"a", "b"}); };
    CHECK(leader(0.5, 0.48) == "a has the highest k-NN: 50.0 % (95 %: 46.9 to 53.1). Inside this interval too: b. More validation images or seeds would tell.");
    CHECK(leader(0.4, 0.5) == "b has the highest k-NN: 50.0 % (95 %: 46.9 to 53.1). The others lie below this interval.");
    CHECK(run::leader_of({recorded("a", 0.5)}, {"a"}).empty());
    CHECK(run::leader_of({recorded("a", 0.5), recorded("b", 0.4, R"({"resolved":{"validation_images":null}})")}, {"a", "b"}).starts_with("a has"));
    CHECK(run::leader_of({recorded("a", 0.5, R"({"resolved":{"validation_images":null}})"), recorded("b", 0.4)}, {"a", "b"}) == "a has the highest k-NN: 50.0 %.");
}

TEST_CASE("what makes runs incomparable is said") {
    const auto cautions = [](const run::RecordedRun& other) {
        std::string text;
        for (const auto& line : run::cautions_of({recorded("a", 0.5), other}, {"a", "b"})) text += line + "\n";
        return text;
    };
    CHECK(cautions(recorded("b", 0.4)).empty());
    CHECK(mentions(cautions(recorded("b", 0.4, R"({"resolved":{"data":"others"}})")), {"not evaluated on the same images"}));
    CHECK(mentions(cautions(recorded("b", 0.4, R"({"resolved":{"train_images":400}})")), {"same training images"}));
    CHECK(mentions(cautions(recorded("b", 0.4, R"({"run":{"k":5}})")), {"different k"}));
    CHECK(mentions(cautions(recorded("b", 0.4, R"({"view_eval":"crop"})")), {"evaluation views differ"}));
    auto failed = recorded("b", 0.4);
    failed.state = run::RunState::failed;
    failed.note = "loss is not finite";
    CHECK(cautions(failed) == "b failed: loss is not finite\n");
}

TEST_CASE("runs are named by the ends of their paths that tell them apart") {
    const auto names = [](std::vector<std::string> folders) {
        std::vector<run::RecordedRun> runs;
        for (const auto& folder : folders) runs.push_back({.folder = folder});
        return run::detail::short_names(runs);
    };
    CHECK(names({"runs/a", "runs/b/"}) == std::vector<std::string>{"a", "b"});
    CHECK(names({"x/seed1/out", "x/seed2/out"}) == std::vector<std::string>{"seed1/out", "seed2/out"});
    CHECK(mentions(message_of([&] { names({"runs/a", "runs/../runs/a/"}); }), {"runs/../runs/a/ was given twice"}));
    CHECK(mentions(message_of([&] { run::comparison_of({recorded("a", 0.5)}); }), {"expected at least two run folders to compare, got 1"}));
}
