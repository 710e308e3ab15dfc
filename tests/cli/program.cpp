// SPDX-License-Identifier: Apache-2.0
// The training program's command line, from arguments to what a run leaves.
#include <doppel/cli.hpp>
#include <doppel/cli/data_options.hpp>
#include <doppel/io/json_lines.hpp>
#include <doppel/io/safetensors.hpp>
#include <doppel/methods/registry.hpp>
#include <doppel/run/options.hpp>

#include "support/torch_support.hpp"
#include "support/ended.hpp"
#include "support/images.hpp"
#include "support/tiffs.hpp"

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

/// The training program with these arguments.
Ended program(std::vector<std::string> arguments) {
    return ended([](int argc, char** argv) { return cli::train(argc, argv, methods::all()); }, "train", std::move(arguments));
}
Ended simclr(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "simclr");
    return program(std::move(arguments));
}

/// A run of a second or two.
std::vector<std::string> quick(const fs::path& out, std::vector<std::string> more = {}) {
    std::vector<std::string> all{"--images", "48", "--size", "12", "--arch", "resnet18x0.125", "--hidden", "16", "--out-dim", "8",
                                 "--epochs", "2", "--batch-size", "16", "--log-every", "1", "--device", "cpu", "--out", out.string()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

}  // namespace

TEST_CASE("without a method the program lists them, and a mistyped one is named") {
    const auto list = program({});
    CHECK(list.status == 0);
    for (const auto& entry : methods::all()) CHECK(mentions(list.out, {"  " + entry.about.name + " ", entry.about.text}));
    const auto wrong = program({"simclrr"});
    CHECK(wrong.status == 2);
    CHECK(mentions(wrong.err, {"no method 'simclrr'", "did you mean simclr?"}));
    CHECK(program({"--options"}).out.find("## Barlow Twins") != std::string::npos);
}

TEST_CASE("--help lists every option of every method, with the defaults for the size that is given") {
    for (const auto& entry : methods::all()) {
        INFO(entry.about.name);
        const auto ended = program({entry.about.name, "--help"});
        CHECK(ended.status == 0);
        CHECK(ended.out.find("{false}") == std::string::npos);
        auto values = entry.values(methods::Scale::small);
        run::RunOptions run;
        auto rows = values.rows;
        for (const auto& row : options::rows_of(run)) rows.push_back(row);
        for (const auto& row : rows) {
            CHECK(mentions(ended.out, {"--" + row.name}));
            if (row.is_switch()) CHECK(mentions(ended.out, {"--no-" + row.name}));
        }
    }
    CHECK(mentions(simclr({"--help"}).out, {"--batch-size N=128", "views of 32 px", "Example:"}));
    CHECK(mentions(simclr({"--help", "--size", "224"}).out, {"--batch-size N=256", "views of 224 px"}));
    CHECK(mentions(program({"dino", "--help", "--size", "224", "--arch", "resnet50"}).out, {"--base-lr X=0.03"}));
    CHECK(mentions(simclr({"--version"}).out, {"doppel "}));
}

TEST_CASE("wrong options end with one line that says what was expected, status 2, and no run folder") {
    TemporaryFolder folder;
    const auto out = (folder / "run").string();
    const auto refused = [&](std::vector<std::string> arguments, std::initializer_list<std::string_view> parts) {
        arguments.insert(arguments.end(), {"--out", out, "--images", "48"});
        const auto ended = simclr(arguments);
        INFO(arguments[0] << ": " << ended.err);
        CHECK(ended.status == 2);
        CHECK(mentions(ended.err, parts));
        CHECK(std::count(ended.err.begin(), ended.err.end(), '\n') == 1);
        CHECK(!fs::exists(out));
    };
    refused({"--lr", "nan"}, {"--lr", "number", "'nan'"});
    refused({"--lr", "-1"}, {"--lr", "from 0", "'-1'"});
    refused({"--temprature", "1"}, {"unknown option --temprature", "did you mean --temperature?"});
    refused({"--zero-init=maybe"}, {"zero-init", "maybe"});
    refused({"stray"}, {"unexpected argument stray"});
    refused({"--epochs", "abc"}, {"--epochs", "whole number", "'abc'"});
    refused({"--epochs", "1.5"}, {"--epochs", "whole number", "'1.5'"});
    refused({"--batch-size", "0"}, {"--batch-size", "'0'"});
    refused({"--batch-size", "64"}, {"--batch-size", "64", "48"});
    refused({"--workers", "-2"}, {"--workers", "'-2'"});
    refused({"--temperature", "0"}, {"--temperature", "above 0", "'0'"});
    refused({"--arch", "resnet19"}, {"--arch", "resnet18", "'resnet19'"});
    refused({"--arch", "resnet18x"}, {"--arch", "resnet18x"});
    refused({"--arch", "resnet18x-2"}, {"width", "-2"});
    refused({"--precision", "fp8"}, {"--precision", "bf16", "'fp8'"});
    refused({"--device", "gpus"}, {"device", "'gpus'"});
    refused({"--data", "/no/such/folder"}, {"--data", "/no/such/folder"});
    refused({"--val", "x"}, {"--val", "--data"});
    refused({"--bank", "x"}, {"--bank", "--data"});
    refused({"--extra", "x"}, {"--extra", "--data"});
    refused({"--fraction", "0"}, {"--fraction", "above 0 and at most 1", "'0'"});
    refused({"--shuffle-buffer", "-1"}, {"--shuffle-buffer", "'-1'"});
    refused({"--data", "/no/such-{0..3}.tar"}, {"/no/such-0.tar"});
    refused({"--unlabeled"}, {"--unlabeled", "--data"});
    refused({"--unlabelled"}, {"--unlabelled", "did you mean --unlabeled?"});
    refused({"--folders", "splits"}, {"--folders", "--data"});
    refused({"--folders", "years"}, {"--folders", "auto, classes, splits", "'years'"});
    refused({"--channels", "17"}, {"--channels", "16", "17"});
    refused({"--window", "9:3"}, {"--window must be LOW:HIGH", "'9:3'"});
    refused({"--window", "3:9"}, {"--window: embedded has no image files of its own"});
    refused({"--mean", "0.5,0.5,0.5"}, {"--mean and --std go together; got only --mean"});
    refused({"--mean", "0.5,0.5", "--std", "1,1,1"}, {"--mean must be 3 numbers, one for each channel", "'0.5,0.5'"});
    refused({"--mean", "0,0,0", "--std", "1,0,1"}, {"--std must be 3 numbers above 0", "'1,0,1'"});
    refused({"--unknown-option"}, {"--unknown-option"});
    refused({"--expect", "knn_top1"}, {"--expect: 'knn_top1' is no milestone", "knn_top1=0.4@20"});
    refused({"--expect", "knn_tpo1>0.4@1", "--batch-size", "16"}, {"no figure 'knn_tpo1'", "did you mean knn_top1?"});
    refused({"--expect", "knn_top1=0.4@1", "--expect", "loss<3@999", "--batch-size", "16"}, {"--expect knn_top1=0.4@1", "--knn-every 1"});
    refused({"--expect", "knn_top1=0@2", "--expect", "loss<3@999", "--batch-size", "16", "--epochs", "2"}, {"--expect loss<3@999", "2 epochs"});
    refused({"--epochs"}, {"--epochs"});
    if (!at::hasCUDA() || at::detail::getCUDAHooks().deviceCount() == 0) refused({"--device", "cuda"}, {"cuda", "no CUDA device"});
}

TEST_CASE("what does not fit together is told in the options' words before anything is computed") {
    TemporaryFolder folder;
    const auto out = (folder / "run").string();
    const auto refused = [&](std::vector<std::string> arguments, std::initializer_list<std::string_view> parts) {
        arguments.insert(arguments.end(), {"--out", out, "--images", "48", "--batch-size", "16", "--size", "16"});
        const auto ended = program(arguments);
        INFO(arguments[0] << ": " << ended.err);
        CHECK(ended.status == 2);
        CHECK(mentions(ended.err, parts));
        CHECK(ended.err.find("before training") == std::string::npos);
        CHECK(!fs::exists(out));
    };
    refused({"moco_v2", "--bn-groups", "3"}, {"--bn-groups", "= 3", "batch of 16"});
    refused({"dino", "--arch", "vit_ti4d1", "--local-size", "7"}, {"views of 16, 16, 7", "patch, 4", "7 x 7"});
#ifndef __SANITIZE_ADDRESS__  // which aborts at 200 TB of views
    const auto large = program({"simclr", "--out", out, "--images", "1000000", "--batch-size", "1000000", "--size", "4096"});
    CHECK(large.status == 2);
    CHECK(mentions(large.err, {"views of 4096, 4096 px and 1000000 images", "--batch-size", "allocate"}));
    CHECK(!fs::exists(out));
#endif
}

TEST_CASE("a run leaves what it says, and the encoder carries torchvision's names") {
    TemporaryFolder folder;
    const auto out = folder / "run";
    const auto ended = simclr(quick(out));
    INFO(ended.err);
    REQUIRE(ended.status == 0);
    CHECK(mentions(ended.err, {"k-NN", "untrained encoder", "raw pixels", "report.html", "encoder.safetensors"}));
    const auto config = nlohmann::json::parse(std::ifstream(out / "config.json"));
    CHECK(config["training"]["epochs"] == 2);
    CHECK(config["options"]["temperature"] == 0.2);
    CHECK(config["resolved"]["train_images"] == 48);
    CHECK(config["resolved"]["classes"].size() == 10);
    const auto lines = io::read_json_lines(out / "metrics.jsonl");
    for (auto* key : {"knn_top1", "knn_top1_random", "knn_top1_pixels"}) {
        CHECK(lines.back()[key].get<double>() >= 0);
        CHECK(lines.back()[key].get<double>() <= 1);
    }
    const auto encoder = io::load_safetensors(out / "encoder.safetensors");
    CHECK(encoder.tensors.count("conv1.weight") == 1);
    CHECK(encoder.tensors.count("layer4.1.bn2.running_var") == 1);
    CHECK(encoder.metadata.at("arch") == "resnet18");
    CHECK(encoder.metadata.at("image_size") == "12");
    CHECK(mentions(read_text(out / "report.html"), {"<svg", "data:image/", "Nearest neighbors", "Raw pixels"}));
}

TEST_CASE("the outcome is printed, and a missed milestone is exit status 3 with what to do") {
    TemporaryFolder folder;
    const auto ended = simclr(quick(folder / "run", {"--expect", "loss<100@1", "--expect", "knn_top1=1@2"}));
    INFO(ended.err);
    CHECK(ended.status == 3);
    CHECK(mentions(ended.err, {"validation images (95 % interval", "missed: knn_top1 was to be at least 1 after epoch 2, got ", "--resume " + (folder / "run").string()}));
    CHECK(nlohmann::json::parse(std::ifstream(folder / "run/config.json"))["run"]["expect"] == "loss<100@1,knn_top1=1@2");
}

TEST_CASE("a used run folder is refused, and gone on with when asked") {
    TemporaryFolder folder;
    const auto out = folder / "run";
    REQUIRE(simclr(quick(out)).status == 0);
    const auto before = io::read_json_lines(out / "metrics.jsonl").size();
    const auto again = simclr(quick(out));
    CHECK(again.status == 2);
    CHECK(mentions(again.err, {out.string(), "--resume auto"}));
    CHECK(io::read_json_lines(out / "metrics.jsonl").size() == before);
    const auto resumed = simclr(quick(out, {"--resume", "auto"}));
    INFO(resumed.err);
    CHECK(resumed.status == 0);
    CHECK(mentions(resumed.err, {"resum"}));
    const auto other = simclr(quick(out, {"--resume", "auto", "--seed", "2"}));
    CHECK(other.status == 2);
    CHECK(mentions(other.err, {"seed is 1 there and 2 here"}));
}

TEST_CASE("switches are turned off, and a run's config.json makes the same run again") {
    TemporaryFolder folder;
    const auto one = folder / "one", two = folder / "two";
    const auto first = simclr(quick(one, {"--no-channels-last", "--join-views", "--temperature", "0.25"}));
    INFO(first.err);
    REQUIRE(first.status == 0);
    const auto config = nlohmann::json::parse(std::ifstream(one / "config.json"));
    CHECK(config["run"]["channels_last"] == false);
    CHECK(config["options"]["join_views"] == true);
    CHECK(config["command"].size() > 4);
    const auto second = program({"--config", (one / "config.json").string(), "--out", two.string()});
    INFO(second.err);
    REQUIRE(second.status == 0);
    CHECK(same_bytes(one / "encoder.safetensors", two / "encoder.safetensors"));
    auto again = nlohmann::json::parse(std::ifstream(two / "config.json"));
    CHECK(again["options"] == config["options"]);
    CHECK(again["data"] == config["data"]);

    // The command line counts before the file; a file by hand holds what it wants to.
    write_bytes(folder / "mine.json", R"({"method": "simclr", "data": {"images": 48}, "options": {"epochs": 5, "hidden": 16},
        "encoder": {"arch": "resnet18x0.125"}, "run": {"seed": 3, "device": "cpu"}})");
    const auto third = simclr({"--config", (folder / "mine.json").string(), "--size", "12", "--epochs", "1", "--out-dim", "8",
                               "--batch-size", "16", "--out", (folder / "three").string()});
    INFO(third.err);
    REQUIRE(third.status == 0);
    const auto mine = nlohmann::json::parse(std::ifstream(folder / "three" / "config.json"));
    CHECK(mine["options"]["epochs"] == 1);
    CHECK(mine["options"]["hidden"] == 16);
    CHECK(mine["run"]["seed"] == 3);

    const auto refused = [&](const std::string& text, std::initializer_list<std::string_view> parts) {
        write_bytes(folder / "wrong.json", text);
        const auto ended = simclr({"--config", (folder / "wrong.json").string(), "--out", (folder / "none").string()});
        INFO(ended.err);
        CHECK(ended.status == 2);
        CHECK(mentions(ended.err, parts));
        CHECK(!fs::exists(folder / "none"));
    };
    refused(R"({"options": {"temprature": 1}})", {"wrong.json", "no option 'temprature'", "did you mean 'temperature'?"});
    refused(R"({"option": {"temperature": 1}})", {"no section 'option'", "did you mean 'options'?"});
    refused(R"({"options": {"temperature": 0}})", {"temperature must be a number above 0 and at most 10, got 0"});
    refused(R"({"method": "byol"})", {"byol", "simclr"});
    refused("{", {"not valid JSON"});
    CHECK(mentions(simclr({"--config", "/no/such/file"}).err, {"/no/such/file", "cannot be read"}));
}

TEST_CASE("class folders are trained on by name; a flat folder has no knn figures, and that is said") {
    TemporaryFolder folder;
    save_images(folder / "photos" / "train" / "b", 20);
    save_images(folder / "photos" / "train" / "a", 20, 90);
    save_images(folder / "photos" / "val" / "a", 4, 90);
    save_images(folder / "photos" / "val" / "b", 4);
    const auto labeled = simclr(quick(folder / "run", {"--data", (folder / "photos").string()}));
    INFO(labeled.err);
    REQUIRE(labeled.status == 0);
    const auto config = nlohmann::json::parse(std::ifstream(folder / "run" / "config.json"));
    CHECK(config["resolved"]["classes"] == nlohmann::json({"a", "b"}));
    CHECK(config["resolved"]["train_images"] == 40);
    CHECK(config["resolved"]["validation_images"] == 8);

    save_images(folder / "flat", 40, 3);
    const auto flat = simclr(quick(folder / "flat-run", {"--data", (folder / "flat").string(), "--channels", "1"}));
    INFO(flat.err);
    REQUIRE(flat.status == 0);
    CHECK(mentions(flat.err, {"no labels", "knn_"}));
    for (const auto& line : io::read_json_lines(folder / "flat-run" / "metrics.jsonl")) CHECK(!line.contains("knn_top1"));
}

TEST_CASE("images without labels are scored by a labeled set, and a folder of no classes is trained on as a whole") {
    TemporaryFolder folder;
    save_images(folder / "photos", 20, 3);
    save_images(folder / "photos" / "2019", 20, 50);
    save_images(folder / "judge" / "train" / "a", 12, 90);
    save_images(folder / "judge" / "train" / "b", 12, 0);
    save_images(folder / "judge" / "test" / "a", 4, 95);
    save_images(folder / "judge" / "test" / "b", 4, 5);
    const auto photos = (folder / "photos").string() + "/";  // with a slash behind it
    const auto refused = simclr(quick(folder / "none", {"--data", photos}));
    CHECK(refused.status == 2);
    CHECK(mentions(refused.err, {"100.png", "2019", "--unlabeled"}));
    const auto scored = simclr(quick(folder / "run", {"--data", photos, "--unlabeled", "--val", (folder / "judge").string()}));
    INFO(scored.err);
    REQUIRE(scored.status == 0);
    CHECK(mentions(scored.err, {"40 training and 8 validation images, 24 images to compare with, 2 classes"}));
    const auto config = nlohmann::json::parse(std::ifstream(folder / "run" / "config.json"));
    CHECK(config["resolved"]["train_images"] == 40);
    CHECK(config["resolved"]["bank_images"] == 24);
    CHECK(config["resolved"]["classes"] == nlohmann::json({"a", "b"}));
    CHECK(config["data"]["unlabeled"] == true);
    const auto last = io::read_json_lines(folder / "run" / "metrics.jsonl").back();
    for (auto* key : {"knn_top1", "knn_top1_random", "knn_top1_pixels"}) CHECK(last.contains(key));
    const auto bytes = read_bytes(folder / "run" / "report.html");
    const std::string report(bytes.begin(), bytes.end());
    CHECK(mentions(report, {"SimCLR on photos", "24 to compare with", "the labeled images that the encoder finds most alike"}));
}

TEST_CASE("runs inside the folder of images are not trained on: the next run sees the same images") {
    TemporaryFolder folder;
    save_images(folder / "photos" / "a", 20, 0);
    save_images(folder / "photos" / "b", 20, 90);
    const auto run = [&](const char* name, std::vector<std::string> more = {}) {
        more.insert(more.end(), {"--data", (folder / "photos").string(), "--epochs", "1", "--arch", "vit_ti4d1"});
        return program([&] {
            auto all = quick(folder / "photos" / "runs" / name, more);
            all.insert(all.begin(), "simclr");
            return all;
        }());
    };
    REQUIRE(run("one").status == 0);
    REQUIRE(fs::exists(folder / "photos" / "runs" / "one" / "attention.png"));
    const auto second = run("two");
    INFO(second.err);
    REQUIRE(second.status == 0);
    CHECK(mentions(second.err, {"skipped a run folder: " + (folder / "photos" / "runs" / "one").string()}));
    const auto config = nlohmann::json::parse(std::ifstream(folder / "photos" / "runs" / "two" / "config.json"));
    CHECK(config["resolved"]["classes"] == nlohmann::json({"a", "b"}));
    CHECK(config["resolved"]["train_images"] == 36);
    const auto resumed = run("one", {"--resume", "auto"});  // the list of images is the same as before
    INFO(resumed.err);
    CHECK(resumed.status == 0);
}

TEST_CASE("a data set is named by its folder, also with a slash behind it") {
    cli::DataOptions options;
    CHECK(cli::data_name(options) == "the embedded images");
    const auto name = [&](const char* path) {
        options.data = path;
        return cli::data_name(options);
    };
    for (const auto* path : {"/tmp/photos", "/tmp/photos/", "/tmp/photos//", "/tmp/x/../photos/."}) {
        INFO(path);
        CHECK(name(path) == "photos");
    }
    CHECK(name("/") == "/");
    CHECK(name(".") == fs::current_path().filename().string());
}

TEST_CASE("a run goes on with its own images: for a lost one another stands in, another one under its name is refused") {
    TemporaryFolder folder;
    const auto photos = folder / "photos", out = folder / "run";
    save_images(photos / "a", 20);
    save_images(photos / "b", 20, 80);
    const auto with = [&](std::vector<std::string> more) {
        auto all = quick(out, {"--data", photos.string()});
        all.erase(std::find(all.begin(), all.end(), "--epochs"), std::find(all.begin(), all.end(), "--batch-size"));
        all.insert(all.end(), more.begin(), more.end());
        return simclr(all);
    };
    const auto first = with({"--epochs", "1"});
    INFO(first.err);
    REQUIRE(first.status == 0);
    const auto listed = read_text(out / "images.tsv");
    CHECK(mentions(listed, {"train\tdata\t0\t", "validation\tdata\t1\t"}));
    // One image of each part is lost, and there is a new one.
    const auto path_in = [&](const std::string& part) {
        const auto line = listed.substr(listed.find("\n" + part + "\tdata") + 1);
        const auto text = line.substr(0, line.find('\n'));
        return photos / text.substr(text.rfind('\t') + 1);
    };
    fs::remove(path_in("train"));
    fs::remove(path_in("validation"));
    save_images(photos / "c", 5);
    const auto second = with({"--epochs", "2", "--resume", out.string()});
    INFO(second.err);
    CHECK(second.status == 0);
    CHECK(mentions(second.err, {"36 training and 4 validation images, 2 classes", path_in("train").string(), "gone since the run began"}));
    CHECK(read_text(out / "images.tsv") == listed);
    CHECK(mentions(read_text(out / "skipped.jsonl"), {path_in("train").filename().string(), path_in("validation").filename().string()}));
    const auto config = read_text(out / "config.json");
    write_bytes(path_in("train"), "another one");
    const auto third = with({"--epochs", "3", "--resume", out.string()});
    CHECK(third.status == 2);
    CHECK(mentions(third.err, {path_in("train").string() + " has 11 bytes", "the same images"}));
    CHECK(read_text(out / "config.json") == config);
}

TEST_CASE("what the run is too short for is said before anything is measured") {
    TemporaryFolder folder;
    const auto ended = simclr(quick(folder / "run", {"--warmup", "5"}));
    INFO(ended.err);
    REQUIRE(ended.status == 0);
    const auto warning = ended.err.find("warning: ");
    CHECK(ended.err.find("warm") != std::string::npos);
    CHECK(warning < ended.err.find("before training:"));
    CHECK(ended.err.find("warning: ", warning + 1) == std::string::npos);  // once
}

TEST_CASE("a list of files, a fraction of it, and balanced classes: told, recorded, and held to when the run goes on") {
    TemporaryFolder folder;
    save_images(folder / "images", 40);
    std::string rows = "file,class\n";
    for (int i = 100; i < 140; ++i) rows += "images/" + std::to_string(i) + ".png," + (i < 132 ? "many" : "few") + "\n";
    write_bytes(folder / "list.csv", rows);
    const auto out = folder / "run";
    const auto with = [&](std::vector<std::string> more) {
        more.insert(more.end(), {"--data", (folder / "list.csv").string(), "--batch-size", "8"});
        return simclr(quick(out, more));
    };
    const auto first = with({"--fraction", "0.5", "--balanced", "--epochs", "1"});
    INFO(first.err);
    REQUIRE(first.status == 0);
    CHECK(mentions(first.err, {"training: 19 of 36 images, a fraction of 0.5 per class; held out 4 of 40 images"}));
    const auto config = nlohmann::json::parse(std::ifstream(out / "config.json"));
    CHECK(config["data"]["fraction"] == 0.5);
    CHECK(config["run"]["balanced"] == true);
    CHECK(config["resolved"]["data_kind"] == "list of files");
    CHECK(config["resolved"]["train_images"] == 19);
    CHECK(mentions(with({"--balanced", "--resume", "auto"}).err, {"fraction is 0.5 there and not set here"}));
    CHECK(mentions(with({"--fraction", "0.5", "--resume", "auto"}).err, {"balanced is true there and not set here"}));
    const auto again = with({"--fraction", "0.5", "--balanced", "--resume", "auto", "--epochs", "2"});
    INFO(again.err);
    CHECK(again.status == 0);
}

namespace {

/// Stripes of as many pixels as the image's number.
struct Stripes {
    std::int64_t count = 40;
    std::string print = "stripes";
    std::int64_t size() const { return count; }
    std::int64_t label(std::int64_t i) const { return i % 2; }
    std::vector<std::string> classes() const { return {"even", "odd"}; }
    Image image(std::int64_t i) const {
        Image picture(16, 16, 3);
        for (std::size_t p = 0; p < picture.pixels.size(); ++p) picture.pixels[p] = static_cast<std::uint8_t>(p / static_cast<std::size_t>(i + 1) % 2 * 200);
        return picture;
    }
    std::string fingerprint() const { return print; }
};

}  // namespace

#if DOPPEL_TIFF
TEST_CASE("images of bands are trained on with their own means, and files of 16 bits by a window") {
    const TemporaryFolder folder;
    for (const auto* kind : {"water", "forest"})
        for (int i = 0; i < 24; ++i) {
            const TiffLayout layout{.width = 20, .height = 18, .samples = 6, .bits = 16};
            std::vector<std::uint16_t> values(20 * 18 * 6);
            for (std::size_t v = 0; v < values.size(); ++v)
                values[v] = static_cast<std::uint16_t>(1000 + (v * static_cast<std::size_t>(i + (kind[0] == 'w' ? 7 : 3))) % 2000);
            const auto file = tiff_of(values, layout);
            write_bytes(folder / "tiles" / kind / (std::to_string(i) + ".tif"), {reinterpret_cast<const char*>(file.data()), file.size()});
        }
    const auto out = folder / "run";
    const std::vector<std::string> bands{"--data", (folder / "tiles").string(), "--channels", "6", "--window", "1000:3000",
                                         "--mean", "0.5,0.5,0.5,0.5,0.5,0.5", "--std", "0.3,0.3,0.3,0.3,0.3,0.2"};
    const auto ended = simclr(quick(out, bands));
    INFO(ended.err);
    REQUIRE(ended.status == 0);
    CHECK(mentions(ended.err, {"6 channels: saturation, hue and grayscale change nothing\n"}));
    CHECK(std::filesystem::exists(out / "report.html"));
    CHECK(mentions(read_text(out / "metrics.jsonl"), {"knn_top1"}));
    const auto encoder = io::load_safetensors(out / "encoder.safetensors");
    CHECK(encoder.tensors.at("conv1.weight").size(1) == 6);
    CHECK(encoder.metadata.at("channels") == "6");
    CHECK(encoder.metadata.at("std") == "0.3,0.3,0.3,0.3,0.3,0.2");
    auto other = quick(out, bands);  // another window is another data set
    for (auto& word : other)
        if (word == "1000:3000") word = "0:3000";
    other.insert(other.end(), {"--resume", "auto", "--epochs", "3"});
    const auto refused = simclr(other);
    CHECK(refused.status == 2);
    CHECK(mentions(refused.err, {"images"}));
    const auto few = simclr(quick(folder / "few", {"--data", (folder / "tiles").string(), "--channels", "5"}));
    CHECK(few.status == 2);
    CHECK(mentions(few.err, {"none of the", "has 6 channels, expected 5 (--channels)", ".tif"}));
}
#endif

TEST_CASE("a program's own images go by their name, with every option, and a resumed run knows whether they are the same") {
    TemporaryFolder folder;
    std::string print = "stripes";
    const auto own = [&](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {"train", "simclr"});
        std::vector<char*> argv;
        for (auto& argument : arguments) argv.push_back(argument.data());
        Capture out(1), err(2);
        const cli::CustomData images{.name = "stripes", .open = [&] { return data::Splits{.train = Stripes{.print = print}}; }};
        const int status = cli::train(static_cast<int>(argv.size()), argv.data(), methods::all(), images);
        return Ended{status, out.text(), err.text()};
    };
    const auto first = own(quick(folder / "run", {"--fraction", "0.5"}));
    INFO(first.err);
    REQUIRE(first.status == 0);
    CHECK(mentions(first.err, {"training: 18 of 36 images", "held out 4 of 40 images: no validation images", "2 classes", "k-NN"}));
    const auto config = nlohmann::json::parse(std::ifstream(folder / "run/config.json"));
    CHECK(config["data"]["data"] == "stripes");
    CHECK(own(quick(folder / "run", {"--fraction", "0.5", "--resume", "auto", "--epochs", "3"})).status == 0);
    print = "other stripes";
    CHECK(mentions(own(quick(folder / "run", {"--fraction", "0.5", "--resume", "auto"})).err, {"list of training images is "}));
    CHECK(mentions(own(quick(folder / "other", {"--data", "nothing"})).err, {"no such file or folder", "'stripes', or 'embedded'"}));
    CHECK(mentions(own(quick(folder / "other", {"--val", "x"})).err, {"--val goes with --data PATH", "program's own images"}));
    CHECK(own(quick(folder / "other", {"--data", "embedded"})).status == 0);
    CHECK(mentions(own({"--help"}).out, {"'stripes', the program's own images, 'embedded'"}));
}
