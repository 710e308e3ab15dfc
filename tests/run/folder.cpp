// SPDX-License-Identifier: Apache-2.0
#include <doppel/run/folder.hpp>

#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

TEST_CASE("a folder counts as used only when training has left something there") {
    TemporaryFolder folder;
    CHECK_FALSE(run::holds_a_run(folder.path()));
    write_bytes(folder / "config.json", "{}");
    write_bytes(folder / "metrics.jsonl", "{\"step\":0,\"knn_top1_random\":0.1}\n");
    fs::create_directories(folder / "checkpoints");
    CHECK_FALSE(run::holds_a_run(folder.path()));
    write_bytes(folder / "metrics.jsonl", "{\"step\":0}\n{\"step\":10,\"loss\":1}\n");
    CHECK(run::holds_a_run(folder.path()));
    write_bytes(folder / "metrics.jsonl", "");
    write_bytes(folder / "checkpoints" / "step-00000010.safetensors", "x");
    CHECK(run::holds_a_run(folder.path()));
    CHECK(mentions(message_of([&] { run::Folder(folder.path(), false); }), {"already contains a run", folder.path().string()}));
    const run::Folder mine(folder.path(), true);
    CHECK(mentions(message_of([&] { run::Folder(folder.path(), true); }), {folder.path().string()}));
}

TEST_CASE("a resumed run goes on in its own folder") {
    TemporaryFolder folder;
    fs::create_directories(folder / "checkpoints");
    const auto of = [](std::string out, std::string resume) {
        return run::folder_of({.out = std::move(out), .resume = std::move(resume)}, "simclr");
    };
    CHECK(of("mine", "") == "mine");
    CHECK(of("mine", folder.path().string()) == "mine");
    CHECK(of("", folder.path().string()) == folder.path());
    CHECK(of("", (folder / "checkpoints" / "step-1.safetensors").string()) == folder.path());
    CHECK(of("", (folder / "elsewhere.safetensors").string()).string().starts_with("runs/simclr-"));
    CHECK(of("", "").string().starts_with("runs/simclr-"));
    CHECK(mentions(message_of([&] { of("", "auto"); }), {"--resume auto", "--out"}));
}

TEST_CASE("default folders of one second do not collide") {
    TemporaryFolder folder;
    const auto before = fs::current_path();
    fs::current_path(folder.path());
    for (int i = 0; i < 3; ++i) CHECK(fs::create_directories(run::default_folder("simclr")));
    fs::current_path(before);
}

TEST_CASE("an event's line is replaced, others stay") {
    TemporaryFolder folder;
    const auto path = folder / "metrics.jsonl";
    run::write_event(path, "end", {{"step", 1}});
    write_bytes(folder / "other", "");
    run::write_event(path, "baselines", {{"step", 0}});
    run::write_event(path, "end", {{"step", 2}});
    const auto lines = io::read_json_lines(path);
    REQUIRE(lines.size() == 2);
    CHECK(lines[0]["event"] == "baselines");
    CHECK(lines[1]["step"] == 2);
}
