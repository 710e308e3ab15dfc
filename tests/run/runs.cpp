// SPDX-License-Identifier: Apache-2.0
#include <doppel/run/runs.hpp>

#include "support/support.hpp"

#include <algorithm>

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

void make_run(const fs::path& folder, const std::string& metrics, const std::string& config = R"({"doppel": "0.1.0", "method": "byol"})") {
    write_bytes(folder / "config.json", config);
    write_bytes(folder / "metrics.jsonl", metrics);
}

const std::string baselines = R"({"step":0,"epoch":0,"knn_top1_random":0.2,"knn_top1_pixels":0.3,"event":"baselines"})" "\n";
const std::string end = R"({"step":40,"epoch":4,"loss":1.5,"knn_top1":0.55,"collapsed":false,"event":"end"})" "\n";

std::string line(double step, const std::string& more) { return "{\"step\":" + std::to_string(step) + "," + more + "}\n"; }

}  // namespace

TEST_CASE("a finished run is read back with figures, curves and gain") {
    const TemporaryFolder folder;
    make_run(folder / "a", baselines + line(10, R"("epoch":1,"loss":3.5)") + line(20, R"("epoch":2,"loss":null)") + end,
             R"({"doppel": "0.1.0", "method": "byol", "resolved": {"encoder": "resnet18"}, "run": {"seed": 3}})");
    const auto run = run::read_run(folder / "a");
    CHECK(run.state == run::RunState::finished);
    CHECK(run.note.empty());
    CHECK(run.text("method") == "byol");
    CHECK(run.text("resolved/encoder") == "resnet18");
    CHECK(run.text("run/seed") == "3");
    CHECK(run.text("run/none") == "–");
    CHECK(run.latest("loss") == 1.5);
    CHECK_FALSE(run.latest("lr"));
    CHECK(run.curve("loss") == std::vector<std::pair<double, double>>{{1, 3.5}, {4, 1.5}});
    REQUIRE(run.gain());
    CHECK(*run.gain() > 0.349);
    CHECK(*run.gain() < 0.351);
}

TEST_CASE("the state of a run follows from its folder") {
    const TemporaryFolder folder;
    const auto state = [&](const std::string& metrics) {
        make_run(folder / "a", metrics);
        return run::read_run(folder / "a");
    };
    CHECK(state("").state == run::RunState::stopped);
    CHECK(state(baselines + line(10, R"("loss":3)")).state == run::RunState::stopped);
    CHECK(state(baselines + end + line(50, R"("loss":3)")).state == run::RunState::stopped);  // it went on after its end
    const auto failed = state(line(10, R"("loss":3)") + "{\"event\":\"failure\",\"reason\":\"loss is not finite\"}\n");
    CHECK(failed.state == run::RunState::failed);
    CHECK(failed.note == "loss is not finite");
    CHECK(state("{\"event\":\"failure\",\"reason\":\"x\"}\n" + line(11, R"("loss":3)")).state == run::RunState::stopped);  // resumed
    CHECK(state(line(40, R"("event":"end","collapsed":true,"failed":{"report":"disk full"})")).note == "collapsed; report failed: disk full");
    make_run(folder / "a", baselines + end);
    {
        const io::FolderLock lock(folder / "a");
        CHECK(run::read_run(folder / "a").state == run::RunState::running);
    }
    CHECK(run::read_run(folder / "a").state == run::RunState::finished);
}

TEST_CASE("run folders are found at any depth, and only they") {
    const TemporaryFolder folder;
    make_run(folder / "b/c", end);
    make_run(folder / "a", end);
    make_run(folder / "a/inside", end);  // belongs to a
    write_bytes(folder / "model/config.json", R"({"architectures": []})");
    write_bytes(folder / "started/config.json", R"({"doppel": "0.1.0"})");
    write_bytes(folder / "loop/metrics.jsonl", "");
    fs::create_directory_symlink(folder / "a", folder / "link");
    CHECK(run::run_folders(folder.path()) == std::vector<fs::path>{folder / "a", folder / "b/c", folder / "loop", folder / "started"});
    CHECK(run::run_folders(folder / "a") == std::vector<fs::path>{folder / "a"});
    CHECK(run::run_folders(folder / "model").empty());
    CHECK(mentions(message_of([&] { run::run_folders(folder / "none"); }), {"none: no such folder"}));
    CHECK(mentions(message_of([&] { run::read_run(folder / "none"); }), {"none: no such folder"}));
    CHECK(mentions(message_of([&] { run::read_run(folder / "model"); }), {"model is no run folder", "metrics.jsonl", "config.json"}));
}

TEST_CASE("a damaged run is listed with its reason") {
    const TemporaryFolder folder;
    make_run(folder / "a", "{\"step\":1}\nnothing\n{\"step\":2}\n");
    make_run(folder / "b", end, "{\"doppel\"");
    make_run(folder / "c", end);
    const auto runs = run::recorded_runs(folder.path());
    REQUIRE(runs.size() == 3);
    CHECK(runs[0].state == run::RunState::failed);
    CHECK(mentions(runs[0].note, {"metrics.jsonl: line 2 is not a JSON object"}));
    CHECK(mentions(runs[1].note, {"config.json is damaged"}));
    CHECK(runs[2].state == run::RunState::finished);
}

TEST_CASE("runs are sorted by any figure, those without it last") {
    const TemporaryFolder folder;
    make_run(folder / "a", line(1, R"("loss":2,"knn_top1":0.1)"));
    make_run(folder / "b", line(1, R"("lr":2)"));
    make_run(folder / "c", line(1, R"("loss":1,"knn_top1":0.1,"knn_top1_random":0.1)"));
    make_run(folder / "d", line(1, R"("loss":3,"knn_top1":0.3,"online_top1":0.4)"));
    auto runs = run::recorded_runs(folder.path());
    const auto order = [&](const std::string& figure) {
        run::sort_by(runs, figure);
        std::string names;
        for (const auto& run : runs) names += run.folder.filename().string();
        return names;
    };
    CHECK(order("lr") == "bacd");
    CHECK(order("knn_top1") == "dacb");
    CHECK(order("loss") == "cadb");
    CHECK(run::accuracies_of(runs) == std::vector<std::string>{"knn_top1", "online_top1"});
}
