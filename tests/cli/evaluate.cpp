// SPDX-License-Identifier: Apache-2.0
// The evaluating program, from arguments to what it leaves.
#include <doppel/cli.hpp>
#include <doppel/cli/evaluate.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/image/write_png.hpp>
#include <doppel/methods/registry.hpp>
#include <doppel/weights/encoder_file.hpp>

#include "support/ended.hpp"
#include "support/torch_support.hpp"

#include <fstream>

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

Ended evaluate(std::vector<std::string> arguments) { return ended(cli::evaluate, "evaluate", std::move(arguments)); }

nlohmann::json json_of(const fs::path& path) {
    std::ifstream in(path);
    return nlohmann::json::parse(in);
}

/// A file of weights with its preprocessing.
void put_encoder(const fs::path& path) {
    const SeedScope seed(3);
    const auto net = encoders::ResNet{.depth = 18, .stem = Stem::strided, .width = 0.125}.build();
    weights::save_encoder(path, *net, augment::Pipeline({.size = 16, .operations = {augment::Resize{.size = 16}, augment::CenterCrop{.size = 16}}}));
}

/// Photographs of two classes, of which a part has a damaged file.
void put_photos(const fs::path& folder) {
    const data::Embedded scenes({.size = 16, .count = 40});
    for (std::int64_t i = 0; i < 40; ++i) {
        const auto place = folder / (i % 2 ? "dog" : "cat");
        fs::create_directories(place);
        image::write_png(place / (std::to_string(i) + ".png"), scenes.image(i));
    }
    std::ofstream(folder / "cat" / "damaged.png") << "no image";
}

}  // namespace

TEST_CASE("a file of weights is judged on a folder of photographs") {
    const TemporaryFolder folder;
    put_encoder(folder / "net.safetensors");
    put_photos(folder / "photos");
    const auto out = (folder / "judged").string();
    const auto done = evaluate({(folder / "net.safetensors").string(), "--data", (folder / "photos").string(), "--out", out, "--k", "3,1", "--labels",
                                "1,0.5", "--augmented", "4", "--device", "cpu"});
    REQUIRE(done.status == 0);
    CHECK(mentions(done.out, {"k-NN, k = 3, T = 0.1", "linear probe, 50 % of the labels", "untrained encoder", "raw pixels", "effective_rank", "lidar"}));
    CHECK(mentions(done.err, {"resnet18x0.125", "skipped", "damaged.png"}));
    const auto json = json_of(folder / "judged" / "evaluation.json");
    for (const char* key : {"knn", "knn_k1_t0.1", "linear", "linear_0.5"}) CHECK(json["scores"].contains(key));
    for (const char* key : {"knn_random", "linear_random", "knn_pixels"}) CHECK(json["baselines"].contains(key));
    CHECK(json["encoder"]["feature"] == "encoder output");
    CHECK(json["data"]["skipped_images"] == 1);
    CHECK(!json.contains("failed"));
    CHECK(fs::exists(folder / "judged" / "skipped.jsonl"));
    std::ifstream page(folder / "judged" / "report.html");
    const std::string text{std::istreambuf_iterator<char>(page), {}};
    CHECK(mentions(text, {"net.safetensors judged on photos", "t-SNE", "Nearest neighbors", "Spectrum of the features", "All scores"}));
}

TEST_CASE("a run is judged on its own images, and gives the k-NN figure that the run gave") {
    const TemporaryFolder folder;
    const auto run = (folder / "run").string();
    const auto trained = ended([](int argc, char** argv) { return cli::train(argc, argv, methods::all()); }, "train",
                               {"simclr", "--images", "48", "--size", "12", "--arch", "resnet18x0.125", "--hidden", "16", "--out-dim", "8", "--epochs", "1",
                                "--batch-size", "16", "--device", "cpu", "--out", run});
    REQUIRE(trained.status == 0);
    const auto done = evaluate({run, "--k", "20", "--no-baselines", "--augmented", "0", "--device", "cpu"});
    REQUIRE(done.status == 0);
    const auto json = json_of(folder / "run" / "evaluation" / "evaluation.json");
    double end = -1;
    std::ifstream metrics(folder / "run" / "metrics.jsonl");
    for (std::string line; std::getline(metrics, line);)
        if (const auto parsed = nlohmann::json::parse(line); parsed.value("event", "") == "end") end = parsed["knn_top1"];
    CHECK(json["scores"]["knn"]["top1"].get<double>() == end);
    CHECK(json["encoder"]["method"] == "simclr");
    CHECK(!json["baselines"].contains("knn_random"));

    // Its weights and its checkpoint are judged by the run's images too.
    for (const char* file : {"encoder.safetensors", "checkpoints/step-00000003.safetensors"}) {
        const auto out = (folder / "again").string();
        REQUIRE(evaluate({(fs::path(run) / file).string(), "--k", "20", "--no-baselines", "--no-linear", "--augmented", "0", "--device", "cpu", "--out", out}).status == 0);
        CHECK(json_of(folder / "again" / "evaluation.json")["scores"]["knn"]["top1"].get<double>() == end);
    }
    // Where the images of the run have moved, a line says what to do.
    auto config = json_of(fs::path(run) / "config.json");
    config["data"]["data"] = "moved/photos";
    std::ofstream(fs::path(run) / "config.json") << config;
    CHECK(mentions(evaluate({run}).err, {"moved/photos", "are not there", "--data"}));
}

TEST_CASE("wrong arguments of evaluate are one line, before anything is computed") {
    const TemporaryFolder folder;
    put_encoder(folder / "net.safetensors");
    const auto file = (folder / "net.safetensors").string();
    const auto wrong = [](std::vector<std::string> words, std::initializer_list<std::string_view> parts) {
        const auto done = evaluate(std::move(words));
        CHECK(done.status == 2);
        CHECK(mentions(done.err, parts));
        CHECK(std::count(done.err.begin(), done.err.end(), '\n') == 1);
    };
    wrong({}, {"expected a run folder, a checkpoint or a file of weights"});
    wrong({(folder / "none").string()}, {"no such file or folder"});
    wrong({file}, {"--data is missing"});
    wrong({file, "--data", "embedded", "--k", "5,x"}, {"--k", "5,x"});
    wrong({file, "--data", "embedded", "--feature", "patches"}, {"--feature patches", "embed"});
    wrong({file, "--data", "embedded", "--labels", "2"}, {"--labels"});
    {
        const auto many = evaluate({file, "--data", "embedded", "--images", "40", "--k", "500"});
        CHECK(many.status == 2);
        CHECK(mentions(many.err, {"--k 500", "40 images to compare with"}));
    }
    std::ofstream(folder / "text.safetensors") << "no tensors";
    wrong({(folder / "text.safetensors").string(), "--data", "embedded"}, {"text.safetensors"});
}
