// SPDX-License-Identifier: Apache-2.0
#include <doppel/cli.hpp>
#include <doppel/cli/replay.hpp>
#include <doppel/io/json_lines.hpp>
#include <doppel/methods/registry.hpp>

#include "support/ended.hpp"
#include "support/images.hpp"
#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

Ended replayed(std::vector<std::string> arguments) {
    return ended([](int argc, char** argv) { return cli::replay(argc, argv, methods::all()); }, "replay", std::move(arguments));
}

/// A run of six steps that logs every second one.
Ended trained(const char* method, const fs::path& out, std::vector<std::string> more = {}) {
    std::vector<std::string> all{method, "--images", "48", "--size", "12", "--arch", "resnet18x0.125", "--epochs", "2", "--batch-size", "16",
                                 "--log-every", "2", "--device", "cpu", "--out", out.string()};
    all.insert(all.end(), more.begin(), more.end());
    return ended([](int argc, char** argv) { return cli::train(argc, argv, methods::all()); }, "train", all);
}

}  // namespace

TEST_CASE("a step of a run is shown again, and its loss is the log's") {
    const TemporaryFolder folder;
    const auto out = folder / "run";
    REQUIRE(trained("simclr", out, {"--hidden", "16", "--out-dim", "8", "--workers", "2"}).status == 0);
    double logged = 0;
    for (const auto& line : io::read_json_lines(out / "metrics.jsonl"))
        if (line.contains("lr") && line["step"] == 4) logged = line["loss"];
    const auto tensors = (folder / "step.safetensors").string();
    const auto done = replayed({out.string(), "--step", "3", "--rows", "4", "--tensors", tensors});
    INFO(done.err);
    REQUIRE(done.status == 0);
    CHECK(mentions(done.err, {"step 3: loss ", "weights: those of the seed, then 2 steps",
                              fmt::format("metrics.jsonl at step 4: loss {}, replayed {}: the same", logged, logged), "replay-3.html"}));
    const auto page = read_text(out / "replay-3.html");
    CHECK(mentions(page, {"Step 3 of run", "Images and views", "cosine of views 1 and 2: ", "Embeddings", "grad_norm", "random_resized_crop: "}));
    const auto file = io::load_safetensors(tensors);
    CHECK(file.tensors.at("view.2").sizes() == at::IntArrayRef({16, 3, 12, 12}));
    CHECK(file.tensors.at("projected.1").sizes() == at::IntArrayRef({16, 8}));
    CHECK(file.metadata.at("step") == "3");
    // Step 6 begins with the checkpoint of epoch 1, step 3, if the log's line begins behind it.
    CHECK(mentions(replayed({out.string(), "--step", "6"}).err, {"step-00000003.safetensors, then 2 steps", "the same"}));

    const auto views = replayed({out.string(), "--step", "3", "--views-only", "--out", (folder / "views.html").string()});
    CHECK(views.status == 0);
    CHECK(views.err.find("loss") == std::string::npos);
    CHECK(mentions(read_text(folder / "views.html"), {"Images and views", "view 2; "}));
}

TEST_CASE("a run that started from weights is shown with these") {
    const TemporaryFolder folder;
    const auto first = folder / "first", second = folder / "second";
    const std::vector<std::string> narrow{"--hidden", "16", "--out-dim", "8"};
    REQUIRE(trained("simclr", first, narrow).status == 0);
    auto with = narrow;
    with.insert(with.end(), {"--init", (first / "encoder.safetensors").string()});
    REQUIRE(trained("simclr", second, with).status == 0);
    const auto done = replayed({second.string(), "--step", "2"});
    INFO(done.err);
    CHECK(done.status == 0);
    CHECK(mentions(done.err, {"weights: ", "encoder.safetensors, then 1 step of training", "the same"}));
}

TEST_CASE("runs of image files are shown with the images of their list") {
    const TemporaryFolder folder;
    save_images(folder / "photos" / "a", 20);
    save_images(folder / "photos" / "b", 20, 90);
    const auto out = folder / "run";
    REQUIRE(trained("moco_v2", out, {"--data", (folder / "photos").string(), "--hidden", "16", "--out-dim", "8", "--queue", "32"}).status == 0);
    save_images(folder / "photos" / "c", 5);  // new ones are not used
    const auto done = replayed({out.string(), "--step", "2"});
    INFO(done.err);
    CHECK(done.status == 0);
    CHECK(mentions(done.err, {"the same"}));
    fs::rename(folder / "photos", folder / "moved");
    CHECK(mentions(replayed({out.string(), "--step", "2"}).err, {"photos", "no such file or folder"}));
}

TEST_CASE("the program says in a line what is wrong") {
    const TemporaryFolder folder;
    const auto out = (folder / "run").string();
    CHECK(mentions(replayed({}).err, {"replay: expected a run folder"}));
    CHECK(mentions(replayed({out, "--step", "3"}).err, {out, "no config.json"}));
    write_bytes(folder / "run" / "config.json", R"({"method": "simclr", "data": {"images": 48, "size": 12}, "options": {"batch_size": 16, "epochs": 2}, "encoder": {"arch": "resnet18x0.125"}})");
    CHECK(mentions(replayed({out}).err, {"--step"}));
    CHECK(mentions(replayed({out, "--step", "x"}).err, {"--step", "'x'"}));
    CHECK(mentions(replayed({out, "--step", "7", "--views-only"}).err, {"the steps 1 to 6", "got 7"}));
    CHECK(mentions(replayed({out, "--step", "1", "--stpe", "3"}).err, {"unknown option --stpe"}));
    write_bytes(folder / "run" / "config.json", R"({"method": "mine"})");
    CHECK(mentions(replayed({out, "--step", "1"}).err, {"no method 'mine'"}));
    CHECK(mentions(replayed({"--help"}).out, {"--step", "--views-only", "runs/mine"}));
}
