// SPDX-License-Identifier: Apache-2.0
// Whole runs on several processes, as the launchers start them.
#include <doppel/distributed/launch.hpp>
#include <doppel/io/json_lines.hpp>

#include "child.hpp"
#include "support/images.hpp"

#include <cmath>
#include <cstring>
#include <map>
#include <memory>

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> operator+(std::vector<std::string> a, const std::vector<std::string>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

/// The float32 values of a safetensors file, by name.
std::map<std::string, std::vector<float>> weights_of(const fs::path& file) {
    const std::string text = read_text(file);
    std::uint64_t size = 0;
    std::memcpy(&size, text.data(), 8);
    std::map<std::string, std::vector<float>> all;
    const auto header = nlohmann::json::parse(text.substr(8, size));
    for (const auto& [name, entry] : header.items()) {
        if (name == "__metadata__" || entry["dtype"] != "F32") continue;
        const auto from = entry["data_offsets"][0].get<std::size_t>(), to = entry["data_offsets"][1].get<std::size_t>();
        all[name].resize((to - from) / 4);
        std::memcpy(all[name].data(), text.data() + 8 + size + from, to - from);
    }
    return all;
}

/// Both runs computed the same but for the rounding of sums.
void check_same_run(const fs::path& a, const fs::path& b) {
    const auto lines = io::read_json_lines(a / "metrics.jsonl"), others = io::read_json_lines(b / "metrics.jsonl");
    REQUIRE(lines.size() == others.size());
    for (std::size_t i = 0; i < lines.size(); ++i)
        for (const char* name : {"loss", "knn_top1", "knn_top1_random", "knn_top1_pixels"})
            if (lines[i].contains(name)) {
                INFO(name << " in line " << i);
                CHECK(std::abs(lines[i][name].get<double>() - others[i][name].get<double>()) < 2e-5);
            }
    const auto own = weights_of(a / "encoder.safetensors"), other = weights_of(b / "encoder.safetensors");
    REQUIRE(!own.empty());
    REQUIRE(own.size() == other.size());
    for (const auto& [name, values] : own) {
        INFO(name);
        const auto& theirs = other.at(name);
        REQUIRE(values.size() == theirs.size());
        float most = 0;  // relative to large values: running variances
        for (std::size_t i = 0; i < values.size(); ++i) most = std::max(most, std::abs(values[i] - theirs[i]) / std::max(1.0F, std::abs(values[i])));
        CHECK(most < 2e-5F);
    }
}

fs::path last_checkpoint(const fs::path& out) {
    std::vector<fs::path> all;
    std::error_code missing;
    for (const auto& item : fs::directory_iterator(out / "checkpoints", missing)) all.push_back(item.path());
    std::sort(all.begin(), all.end());
    return all.empty() ? fs::path() : all.back();
}

/// A process that another one started, with RANK=`rank` in its environment; 0: there is none.
::pid_t process_of_rank(int rank, const fs::path& out) {
    const std::string wanted = std::string("RANK=") + std::to_string(rank) + '\0';
    for (const auto& item : fs::directory_iterator("/proc")) {
        const auto name = item.path().filename().string();
        if (name.find_first_not_of("0123456789") != name.npos) continue;
        const auto environment = '\0' + read_text(item.path() / "environ"), command = read_text(item.path() / "cmdline");
        if (environment.find('\0' + wanted) != std::string::npos && command.find(out.string()) != std::string::npos &&
            command.starts_with(DOPPEL_PROGRAM))
            return static_cast<::pid_t>(std::stol(name));
    }
    return 0;
}

/// Of a transformer, in which rounding does not grow: in a ResNet of few pixels, whose layers are normalized by a handful of values,
/// six steps make 10⁻⁶ a hundredth.
std::vector<std::string> calm_run(const fs::path& out, std::vector<std::string> more = {}) {
    const auto all = small_run(out, {"--size", "16", "--arch", "vit_ti8d2"});
    more.insert(more.begin(), all.begin(), all.end());
    return more;
}

bool works(const std::string& command) { return run({"/bin/sh", "-c", command + " >/dev/null 2>&1"}).status == 0; }

/// Several processes by hand; their ends, by rank.
std::vector<Ended> started(const std::vector<std::vector<std::string>>& commands) {
    std::vector<std::unique_ptr<Child>> children;
    for (const auto& command : commands) children.push_back(std::make_unique<Child>(std::vector<std::string>{"/usr/bin/env"} + command));
    std::vector<Ended> ends;
    for (auto& child : children) ends.push_back(child->wait());
    return ends;
}

}  // namespace

TEST_CASE("--processes 2 and 3 give the figures and the weights of one process") {
    TemporaryFolder folder;
    const auto one = run(calm_run(folder / "one", {"--knn-every", "1"}));
    INFO(one.text);
    REQUIRE(one.status == 0);
    for (const char* count : {"2", "3"}) {
        const auto several = run(calm_run(folder / count, {"--knn-every", "1", "--processes", count}));
        INFO(several.text);
        REQUIRE(several.status == 0);
        check_same_run(folder / "one", folder / count);
        CHECK(fs::exists(folder / count / "report.html"));
        CHECK(several.text.find("run folder:") == several.text.rfind("run folder:"));  // said once
        CHECK(nlohmann::json::parse(read_text(folder / count / "config.json"))["training"]["processes"] == std::stoi(count));
    }
}

TEST_CASE("kill -9 of a process ends the others, and --resume auto ends like an undisturbed run, bit for bit") {
    TemporaryFolder folder;
    const std::vector<std::string> options{"--processes", "2", "--no-sync-batch-norm", "--epochs", "12", "--checkpoint-every", "1", "--resume", "auto"};
    REQUIRE(run(small_run(folder / "whole", options)).status == 0);
    const auto out = folder / "run";
    Child child(small_run(out, options));
    REQUIRE(child.until([&] { return !last_checkpoint(out).empty(); }));
    const auto victim = process_of_rank(1, out);
    REQUIRE(victim > 0);
    ::kill(victim, SIGKILL);
    const auto begun = std::chrono::steady_clock::now();
    const auto ended = child.wait();
    INFO(ended.text);
    CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(15));
    CHECK(ended.status == 137);
    CHECK(mentions(ended.text, {"process 1 of 2 was killed by signal 9 (out of memory?)"}));
    const auto resumed = run(small_run(out, options));
    INFO(resumed.text);
    REQUIRE(resumed.status == 0);
    CHECK(same_bytes(folder / "whole" / "encoder.safetensors", out / "encoder.safetensors"));
    CHECK(same_bytes(last_checkpoint(folder / "whole"), last_checkpoint(out)));
}

TEST_CASE("a run goes on with another number of processes") {
    TemporaryFolder folder;
    REQUIRE(run(calm_run(folder / "whole", {"--epochs", "4"})).status == 0);
    for (const auto& [first, then] : {std::pair("1", "2"), std::pair("3", "1")}) {
        const auto out = folder / (std::string(first) + then);
        Child child(calm_run(out, {"--epochs", "4", "--checkpoint-every", "1", "--processes", first, "--resume", "auto"}));
        REQUIRE(child.until([&] { return !last_checkpoint(out).empty(); }));
        child.signal(SIGINT);
        const auto stopped = child.wait();
        INFO(stopped.text);
        CHECK(((stopped.status == 130 && mentions(stopped.text, {"stopped at step"})) || stopped.status == 0));
        const auto resumed = run(calm_run(out, {"--epochs", "4", "--checkpoint-every", "1", "--processes", then, "--resume", "auto"}));
        INFO(resumed.text);
        REQUIRE(resumed.status == 0);
        check_same_run(folder / "whole", out);
    }
}

TEST_CASE("srun's and torchrun's environment by hand; processes with other options are named") {
    TemporaryFolder folder;
    REQUIRE(run(calm_run(folder / "one")).status == 0);
    const std::string port = "MASTER_PORT=" + std::to_string(distributed::detail::free_port());
    const auto slurm = [&](const char* rank) {
        return std::vector<std::string>{std::string("SLURM_PROCID=") + rank, std::string("SLURM_LOCALID=") + rank, "SLURM_STEP_ID=0", "SLURM_STEP_NUM_TASKS=2",
                                        "SLURM_STEP_TASKS_PER_NODE=2", "MASTER_ADDR=127.0.0.1", port} + calm_run(folder / "slurm");
    };
    const auto ends = started({slurm("0"), slurm("1")});
    INFO(ends[0].text << ends[1].text);
    CHECK(ends[0].status == 0);
    CHECK(ends[1].status == 0);
    CHECK(ends[1].text.find("run folder") == std::string::npos);  // the first process speaks
    check_same_run(folder / "one", folder / "slurm");

    const std::string other_port = "MASTER_PORT=" + std::to_string(distributed::detail::free_port());
    const auto torch = [&](const char* rank, std::vector<std::string> more) {
        return std::vector<std::string>{std::string("RANK=") + rank, "WORLD_SIZE=2", "MASTER_ADDR=127.0.0.1", other_port} + small_run(folder / "other", std::move(more));
    };
    const auto differ = started({torch("0", {}), torch("1", {"--seed", "7"})});
    INFO(differ[0].text << differ[1].text);
    CHECK(differ[0].status == 2);
    CHECK(differ[1].status == 2);
    CHECK(mentions(differ[0].text, {"seed is 1 in process 0 and 7 in process 1"}));
    CHECK(!fs::exists(folder / "other"));
    const auto twice = started({torch("0", {"--processes", "2"})});
    CHECK(twice[0].status == 2);
    CHECK(mentions(twice[0].text, {"--processes 2", "leave --processes out"}));
}

TEST_CASE("torchrun starts a run, and starts it anew when a process dies") {
    const std::string torchrun = "python3 -m torch.distributed.run";
    if (!works(torchrun + " --help")) SKIP("there is no torchrun (PYTHONPATH without torch)");
    TemporaryFolder folder;
    const auto words = [&](const fs::path& out, const std::string& options, const std::vector<std::string>& more) {
        std::string command = "exec " + torchrun + " --standalone --nproc-per-node 2 " + options + " --no-python";
        for (const auto& word : small_run(out, more)) command += " '" + word + "'";
        return std::vector<std::string>{"/bin/sh", "-c", command};
    };
    const std::vector<std::string> options{"--no-sync-batch-norm", "--epochs", "12", "--checkpoint-every", "1", "--resume", "auto"};
    REQUIRE(run(small_run(folder / "whole", options + std::vector<std::string>{"--processes", "2"})).status == 0);
    const auto out = folder / "run";
    Child child(words(out, "--max-restarts 1", options));
    REQUIRE(child.until([&] { return !last_checkpoint(out).empty(); }));
    const auto victim = process_of_rank(1, out);
    REQUIRE(victim > 0);
    ::kill(victim, SIGKILL);
    const auto ended = child.wait();
    INFO(ended.text);
    REQUIRE(ended.status == 0);
    CHECK(mentions(ended.text, {"resuming from"}));
    CHECK(same_bytes(folder / "whole" / "encoder.safetensors", out / "encoder.safetensors"));
}

TEST_CASE("mpirun starts a run") {
    if (!works("command -v mpirun")) SKIP("there is no mpirun (openmpi-bin)");
    TemporaryFolder folder;
    REQUIRE(run(calm_run(folder / "one")).status == 0);
    std::string command = "exec mpirun --allow-run-as-root --oversubscribe -np 2";
    for (const auto& word : calm_run(folder / "mpi")) command += " '" + word + "'";
    const auto ended = run({"/bin/sh", "-c", command});
    INFO(ended.text);
    REQUIRE(ended.status == 0);
    check_same_run(folder / "one", folder / "mpi");
}

TEST_CASE("two machines: network namespaces with a cable between them") {
    TemporaryFolder folder;
    const std::string number = std::to_string(::getpid() % 10000), a = "doppel-a" + number, b = "doppel-b" + number, cable = "dop" + number;
    struct Removed {
        std::string a, b;
        ~Removed() { works("ip netns del " + a + "; ip netns del " + b); }
    } removed{a, b};
    if (!works("ip netns add " + a + " && ip netns add " + b + " && ip link add " + cable + "a netns " + a + " type veth peer name " + cable +
               "b netns " + b + " && ip -n " + a + " addr add 10.77.0.1/24 dev " + cable + "a && ip -n " + b + " addr add 10.77.0.2/24 dev " + cable +
               "b && ip -n " + a + " link set " + cable + "a up && ip -n " + b + " link set " + cable + "b up && ip -n " + a +
               " link set lo up && ip -n " + b + " link set lo up"))
        SKIP("network namespaces are not permitted, or there is no ip (iproute2)");
    REQUIRE(run(calm_run(folder / "one")).status == 0);
    const auto machine = [&](const std::string& name, const char* rank) {
        return std::vector<std::string>{"ip", "netns", "exec", name, "env", std::string("RANK=") + rank, "WORLD_SIZE=2", "LOCAL_RANK=0", "LOCAL_WORLD_SIZE=1",
                                        "MASTER_ADDR=10.77.0.1", "MASTER_PORT=29500"} + calm_run(folder / "two");
    };
    const auto ends = started({machine(a, "0"), machine(b, "1")});
    INFO(ends[0].text << ends[1].text);
    REQUIRE(ends[0].status == 0);
    REQUIRE(ends[1].status == 0);
    check_same_run(folder / "one", folder / "two");
}

TEST_CASE("wrong numbers of processes are rejected before any is started") {
    TemporaryFolder folder;
    for (const auto& [count, what] : {std::pair("0", "'0'"), std::pair("17", "more than the images of a batch, 16")}) {
        const auto ended = run(small_run(folder / "run", {"--processes", count}));
        INFO(ended.text);
        CHECK(ended.status == 2);
        CHECK(mentions(ended.text, {"--processes", what}));
        CHECK(std::count(ended.text.begin(), ended.text.end(), '\n') == 1);
        CHECK(!fs::exists(folder / "run"));
    }
}

TEST_CASE("an error of one process is told by the first, and all end") {
    const auto ended = run(small_run("/proc/doppel-cannot-write-here", {"--processes", "2"}));
    INFO(ended.text);
    CHECK(ended.status == 2);
    CHECK(mentions(ended.text, {"/proc/doppel-cannot-write-here"}));
    CHECK(std::count(ended.text.begin(), ended.text.end(), '\n') == 1);
}

TEST_CASE("damaged images that any process meets are listed as by one; with --strict one ends all") {
    TemporaryFolder folder;
    const auto photos = folder / "photos";
    save_images(photos / "a", 30);
    save_images(photos / "b", 30, 90);
    for (const char* name : {"a/103.png", "b/107.png", "b/120.png"}) {
        const auto whole = read_text(photos / name);
        write_bytes(photos / name, whole.substr(0, whole.size() / 2));
    }
    const std::vector<std::string> data{"--data", photos.string()};
    REQUIRE(run(calm_run(folder / "one", data)).status == 0);
    const auto two = run(calm_run(folder / "two", data + std::vector<std::string>{"--processes", "2"}));
    INFO(two.text);
    REQUIRE(two.status == 0);
    CHECK(mentions(two.text, {"files that were skipped: 3 "}));
    CHECK(same_bytes(folder / "one" / "skipped.jsonl", folder / "two" / "skipped.jsonl"));
    const auto strict = run(calm_run(folder / "strict", data + std::vector<std::string>{"--processes", "2", "--strict"}));
    INFO(strict.text);
    CHECK(strict.status != 0);
    CHECK(mentions(strict.text, {".png"}));
}
