// SPDX-License-Identifier: Apache-2.0
// A run that is killed, stopped or out of disk space loses nothing that it had written.
// DOPPEL_KILLS sets how often the long test kills (./run kill9 20).
#include "child.hpp"

#include <cstdlib>

using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

std::vector<fs::path> checkpoints(const fs::path& out) {
    std::vector<fs::path> all;
    std::error_code missing;
    for (const auto& item : fs::directory_iterator(out / "checkpoints", missing)) all.push_back(item.path());
    std::sort(all.begin(), all.end());
    return all;
}

bool partial_files(const fs::path& out) {
    for (const auto& folder : {out, out / "checkpoints"})
        for (const auto& item : fs::directory_iterator(folder))
            if (item.path().extension() == ".partial") return true;
    return false;
}

/// Both runs ended with the same weights, and with the same checkpoint: optimizer, generators, counters.
void check_same_end(const fs::path& a, const fs::path& b) {
    CHECK(same_bytes(a / "encoder.safetensors", b / "encoder.safetensors"));
    REQUIRE(!checkpoints(a).empty());
    REQUIRE(!checkpoints(b).empty());
    CHECK(checkpoints(a).back().filename() == checkpoints(b).back().filename());
    CHECK(same_bytes(checkpoints(a).back(), checkpoints(b).back()));
}

}  // namespace

TEST_CASE("kill -9 at random moments, then --resume auto: the end is that of an undisturbed run, bit for bit") {
    const char* wanted = std::getenv("DOPPEL_KILLS");
    const int kills = wanted ? std::atoi(wanted) : 2;
    TemporaryFolder folder;
    // A killed run gets on by half a second or so: this long, that it is not over before the last kill.
    const std::vector<std::string> options{"--epochs", std::to_string(10 + 6 * kills), "--checkpoint-every", "1"};
    const auto whole = run(small_run(folder / "whole", options));
    INFO(whole.text);
    REQUIRE(whole.status == 0);

    std::mt19937 random(7);
    for (const std::string workers : {"1", "3"}) {  // the undisturbed run's end, whatever the workers
        const auto out = folder / ("killed" + workers);
        auto resumed = options;
        resumed.insert(resumed.end(), {"--workers", workers, "--resume", "auto"});
        int done = 0, while_writing = 0, over_early = 0;
        while (done < kills) {
            Child child(small_run(out, resumed));
            if (done % 2 == 1 && fs::exists(out / "checkpoints")) {
                // While a checkpoint is being written, the second or third of this process.
                const FolderWatch watch(out / "checkpoints");
                for (unsigned i = 0; i < 2 + random() % 2 && watch.made(10); ++i) {}
            } else {
                std::this_thread::sleep_for(std::chrono::milliseconds(100 + random() % 1500));
            }
            child.signal(SIGKILL);
            if (child.wait().signal != SIGKILL) {
                ++over_early;
                break;
            }
            ++done;
            while_writing += fs::exists(out) && fs::exists(out / "checkpoints") && partial_files(out);
        }
        const auto last = run(small_run(out, resumed));
        INFO(last.text);
        REQUIRE(last.status == 0);
        WARN("workers " << workers << ": killed " << done << " times, " << while_writing << " of them while a checkpoint was being written");
        CHECK(over_early == 0);
        CHECK(!partial_files(out));
        check_same_end(folder / "whole", out);
    }
}

TEST_CASE("SIGINT and SIGTERM leave a checkpoint, say how to resume, and end with 130 and 143") {
    TemporaryFolder folder;
    const std::vector<std::string> options{"--epochs", "40"};
    REQUIRE(run(small_run(folder / "whole", options)).status == 0);
    for (const auto& [which, status] : {std::pair(SIGINT, 130), std::pair(SIGTERM, 143)}) {
        const auto out = folder / std::to_string(status);
        Child child(small_run(out, options));
        REQUIRE(child.until([&] { return child.text().find("epoch ") != std::string::npos; }));
        child.signal(which);
        const auto ended = child.wait();
        INFO(ended.text);
        CHECK(ended.status == status);
        CHECK(mentions(ended.text, {"stopped at step", "--resume auto", out.string()}));
        CHECK(checkpoints(out).size() >= 1);
        CHECK(!fs::exists(out / "encoder.safetensors"));
        auto resumed = options;
        resumed.insert(resumed.end(), {"--resume", "auto"});
        const auto last = run(small_run(out, resumed));
        INFO(last.text);
        REQUIRE(last.status == 0);
        check_same_end(folder / "whole", out);
    }
}

TEST_CASE("a full disk ends the run with the path and the reason, and the earlier checkpoints stay whole") {
    TemporaryFolder folder;
    const auto out = folder / "run";
    const std::vector<std::string> options{"--epochs", "3", "--checkpoint-every", "1"};
    // No checkpoint fits: nothing of it is left.
    const auto full = run(small_run(out, options), {.largest_file = 100'000});
    INFO(full.text);
    CHECK(full.status == 2);
    CHECK(mentions(full.text, {"cannot write", "checkpoints/step-"}));
    CHECK(checkpoints(out).empty());
    CHECK(!partial_files(out));
    // With room again it goes on from where it stood.
    auto resumed = options;
    resumed.insert(resumed.end(), {"--resume", "auto"});
    CHECK(run(small_run(out, resumed)).status == 0);
    REQUIRE(run(small_run(folder / "whole", options)).status == 0);
    check_same_end(folder / "whole", out);
}

TEST_CASE("two processes cannot work in one run folder") {
    TemporaryFolder folder;
    const auto out = folder / "run";
    Child first(small_run(out, {"--epochs", "200"}));
    REQUIRE(first.until([&] { return first.text().find("epoch ") != std::string::npos; }));
    const auto second = run(small_run(out, {"--epochs", "200", "--resume", "auto"}));
    CHECK(second.status == 2);
    CHECK(mentions(second.text, {"another process", out.string()}));
}

TEST_CASE("a checkpoint that is cut off, has a flipped bit or is of another kind is refused; the last whole one is named") {
    TemporaryFolder folder;
    const auto out = folder / "run";
    const std::vector<std::string> options{"--epochs", "3", "--checkpoint-every", "1"};
    REQUIRE(run(small_run(out, options)).status == 0);
    const auto all = checkpoints(out);
    REQUIRE(all.size() == 2);
    const auto good = read_bytes(all.back());
    const auto refused = [&](std::vector<unsigned char> bytes) {
        write_bytes(all.back(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
        auto resumed = options;
        resumed.insert(resumed.end(), {"--resume", "auto"});
        const auto ended = run(small_run(out, resumed));
        INFO(ended.text);
        CHECK(ended.status == 2);
        CHECK(mentions(ended.text, {all.back().string(), "the last whole one is " + all.front().string()}));
        CHECK(ended.text.find("terminate") == std::string::npos);
        CHECK((read_bytes(all.back()) == bytes));
    };
    auto bytes = good;
    bytes.resize(bytes.size() / 2);
    refused(bytes);
    bytes = good;
    bytes[bytes.size() - 1000] ^= 4;
    refused(bytes);
    bytes = good;
    bytes[200] ^= 1;
    refused(bytes);
    refused({});
    // The named one serves.
    auto resumed = options;
    resumed.insert(resumed.end(), {"--resume", all.front().string()});
    CHECK(run(small_run(out, resumed)).status == 0);
    CHECK((read_bytes(all.back()) == good));

    auto foreign = options;
    foreign.insert(foreign.end(), {"--resume", (out / "encoder.safetensors").string()});
    const auto ended = run(small_run(out, foreign));
    CHECK(ended.status == 2);
    CHECK(mentions(ended.text, {"encoder.safetensors"}));
}
