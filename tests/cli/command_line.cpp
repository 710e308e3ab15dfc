// SPDX-License-Identifier: Apache-2.0
// The examples' command line, from arguments to what a run leaves.
#include <doppel/cli.hpp>
#include <doppel/image/write_png.hpp>
#include <doppel/methods/simclr.hpp>

#include "support/torch_support.hpp"

#include <unistd.h>

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

/// Sends a file descriptor into a file for a scope.
class Capture {
public:
    explicit Capture(int descriptor) : descriptor_(descriptor), before_(::dup(descriptor)), file_(std::tmpfile()) {
        std::fflush(nullptr);
        ::dup2(::fileno(file_), descriptor_);
    }
    ~Capture() {
        std::fflush(nullptr);
        ::dup2(before_, descriptor_);
        ::close(before_);
        std::fclose(file_);
    }
    std::string text() {
        std::fflush(nullptr);
        std::rewind(file_);
        std::string all;
        for (int c; (c = std::fgetc(file_)) != EOF;) all += static_cast<char>(c);
        return all;
    }

private:
    int descriptor_, before_;
    std::FILE* file_;
};

struct Ended {
    int status;
    std::string out, err;
};

/// The SimCLR example with these arguments.
Ended simclr(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "01_simclr");
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    Capture out(1), err(2);
    const int status = cli::run(
        static_cast<int>(argv.size()), argv.data(), {.name = "simclr", .title = "SimCLR", .text = "learns."},
        [](int size) { return size < 64 ? methods::simclr_small : methods::SimclrOptions{}; },
        [](auto encoder, const auto& options) { return methods::simclr(encoder, options); });
    return {status, out.text(), err.text()};
}

/// A run of a second or two.
std::vector<std::string> quick(const fs::path& out, std::vector<std::string> more = {}) {
    std::vector<std::string> all{"--images", "48", "--size", "12", "--arch", "resnet18x0.125", "--hidden", "16", "--out-dim", "8",
                                 "--epochs", "2", "--batch-size", "16", "--log-every", "1", "--device", "cpu", "--out", out.string()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

void save_images(const fs::path& folder, int count, int shade) {
    fs::create_directories(folder);
    for (int i = 0; i < count; ++i) {
        Image image(20, 16, 3);
        for (std::size_t p = 0; p < image.pixels.size(); ++p)
            image.pixels[p] = static_cast<std::uint8_t>((p * static_cast<std::size_t>(7 + i) + static_cast<std::size_t>(shade)) % 251);
        image::write_png(folder / (std::to_string(i) + ".png"), image);
    }
}

}  // namespace

TEST_CASE("--help teaches every option and ends well") {
    const auto ended = simclr({"--help"});
    CHECK(ended.status == 0);
    CHECK(mentions(ended.out, {"--data", "--val", "--arch", "--size", "--epochs", "--batch-size", "--lr", "--seed", "--workers", "--device",
                               "--precision", "--out", "--resume", "--temperature", "Example:"}));
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
    refused({"--epochs", "abc"}, {"--epochs", "whole number", "'abc'"});
    refused({"--epochs", "1.5"}, {"--epochs", "whole number", "'1.5'"});
    refused({"--batch-size", "0"}, {"--batch-size", "'0'"});
    refused({"--batch-size", "64"}, {"--batch-size", "64", "48"});
    refused({"--workers", "-1"}, {"--workers", "'-1'"});
    refused({"--temperature", "0"}, {"--temperature", "above 0", "'0'"});
    refused({"--arch", "resnet19"}, {"--arch", "resnet18", "'resnet19'"});
    refused({"--arch", "resnet18x"}, {"--arch", "resnet18x"});
    refused({"--arch", "resnet18x-2"}, {"width", "-2"});
    refused({"--precision", "fp8"}, {"--precision", "bf16", "'fp8'"});
    refused({"--device", "gpu"}, {"device", "'gpu'"});
    refused({"--data", "/no/such/folder"}, {"--data", "/no/such/folder"});
    refused({"--val", "x"}, {"--val", "--data"});
    refused({"--channels", "2"}, {"--channels", "1 or 3", "2"});
    refused({"--unknown-option"}, {"--unknown-option"});
    refused({"--epochs"}, {"--epochs"});
    if (!at::hasCUDA() || at::detail::getCUDAHooks().deviceCount() == 0) refused({"--device", "cuda"}, {"cuda", "no CUDA device"});
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
    CHECK(config["simclr"]["temperature"] == 0.2);
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
    const auto report = read_bytes(out / "report.html");
    CHECK(mentions({reinterpret_cast<const char*>(report.data()), report.size()}, {"<svg", "data:image/", "Nearest neighbors", "Raw pixels"}));
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
    CHECK(mentions(resumed.err, {"going on from"}));
    const auto other = simclr(quick(out, {"--resume", "auto", "--seed", "2"}));
    CHECK(other.status == 2);
    CHECK(mentions(other.err, {"another run", "seed is 1 there and 2 here"}));
}

TEST_CASE("class folders are trained on by name; a flat folder has no knn figures, and that is said") {
    TemporaryFolder folder;
    save_images(folder / "photos" / "train" / "b", 20, 0);
    save_images(folder / "photos" / "train" / "a", 20, 90);
    save_images(folder / "photos" / "val" / "a", 4, 90);
    save_images(folder / "photos" / "val" / "b", 4, 0);
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
