// SPDX-License-Identifier: Apache-2.0
#include <doppel/distributed/launch.hpp>

#include "support/capture.hpp"
#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

/// Starts a shell script as two processes or more; returns the exit status and what was written.
std::pair<int, std::string> launched(const std::string& script, distributed::LaunchOptions options = {}) {
    Capture out(1), err(2);
    const int status = distributed::launch("/bin/sh", {"sh", "-c", script}, options);
    return {status, out.text() + err.text()};
}

}  // namespace

TEST_CASE("each process finds its place in torchrun's variables and gets its part of the cores") {
    const auto [status, text] = launched("echo [$RANK/$WORLD_SIZE $LOCAL_RANK/$LOCAL_WORLD_SIZE $MASTER_ADDR]", {.processes = 3});
    CHECK(status == 0);
    CHECK(mentions(text, {"[0/3 0/3 127.0.0.1]", "[1/3 1/3 127.0.0.1]", "[2/3 2/3 127.0.0.1]"}));
    ::unsetenv("OMP_NUM_THREADS");
    const auto cores = std::max(1U, std::thread::hardware_concurrency() / 2);
    CHECK(mentions(launched("echo [$OMP_NUM_THREADS]").second, {"[" + std::to_string(cores) + "]"}));
    ::setenv("OMP_NUM_THREADS", "1", 1);
    CHECK(mentions(launched("echo [$OMP_NUM_THREADS]").second, {"[1]"}));
    const auto ports = launched("echo $MASTER_PORT").second;  // the same for all
    REQUIRE(ports.find('\n') != std::string::npos);
    CHECK(ports == ports.substr(0, ports.find('\n') + 1) + ports.substr(0, ports.find('\n') + 1));
}

TEST_CASE("a process that is killed is named, and the others are ended after their time") {
    const auto begun = std::chrono::steady_clock::now();
    const auto [status, text] = launched("[ $RANK = 1 ] && kill -9 $$; exec sleep 60", {.patience = 0.2, .last_patience = 0.2});
    CHECK(status == 137);
    CHECK(mentions(text, {"process 1 of 2 was killed by signal 9 (out of memory?)"}));
    // One that takes no notice of SIGTERM too.
    const auto deaf = launched("[ $RANK = 1 ] && exit 5; trap '' TERM; while :; do sleep 0.05; done", {.patience = 0.2, .last_patience = 0.2});
    CHECK(deaf.first == 5);
    CHECK(mentions(deaf.second, {"process 1 of 2 ended with status 5"}));
    CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(10));
}

TEST_CASE("the first failure is the exit status; what process 0 says is not said again") {
    const auto [status, text] = launched("[ $RANK = 0 ] && sleep 0.2 && echo the reason && exit 2; exit 1");
    CHECK(status == 1);
    CHECK(text == "the reason\n");
    CHECK(launched("exit 0").first == 0);
    CHECK(launched("[ $RANK = 0 ]", {.processes = 2}).first == 1);
}

TEST_CASE("signals are passed on once, and the processes may take their time") {
    std::pair<int, std::string> got;
    const ::pid_t self = ::getpid();
    std::thread sender([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(400));
        ::kill(self, SIGINT);
    });
    got = launched("trap 'echo stopped; sleep 0.3; exit 130' INT; while :; do sleep 0.05; done", {.patience = 0.1, .last_patience = 0.1});
    sender.join();
    CHECK(got.first == 130);
    CHECK(got.second == "stopped\nstopped\n");
}

TEST_CASE("processes end with the program that started them") {
    TemporaryFolder folder;
    const ::pid_t launcher = ::fork();
    if (launcher == 0) {
        (void)distributed::launch("/bin/sh", {"sh", "-c", "echo $$ >" + (folder / "id").string() + "$RANK; sleep 60; :"}, {});
        ::_exit(0);
    }
    for (int i = 0; i < 200 && !(std::filesystem::exists(folder / "id0") && std::filesystem::exists(folder / "id1")); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    ::kill(launcher, SIGKILL);
    ::waitpid(launcher, nullptr, 0);
    for (const char* name : {"id0", "id1"}) {
        const auto id = static_cast<::pid_t>(std::stol(read_text(folder / name)));
        bool gone = false;
        for (int i = 0; i < 200 && !gone; ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
            const auto state = std::filesystem::exists("/proc/" + std::to_string(id) + "/stat") ? read_text("/proc/" + std::to_string(id) + "/stat") : "";
            gone = state.empty() || state.find(") Z") != std::string::npos;
        }
        CHECK(gone);
    }
}

TEST_CASE("wrong numbers of processes are rejected") {
    says([] { (void)distributed::launch("/bin/sh", {"sh"}, {.processes = 0}); }, {"--processes", "at least 1", "0"});
}
