// SPDX-License-Identifier: Apache-2.0
// The lessons of examples/, each run as a program with tiny arguments in a folder of its own. They are compiled as one:
// what they include stands here, so that their includes add nothing inside their namespaces.
#include <doppel/cli/program.hpp>
#include <doppel/core/device.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/encoders/custom.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/encoders/torch_script.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/eval/knn.hpp>
#include <doppel/image/decode.hpp>
#include <doppel/image/sheet.hpp>
#include <doppel/image/write_png.hpp>
#include <doppel/io/json_lines.hpp>
#include <doppel/methods/moco_v2.hpp>
#include <doppel/methods/simclr.hpp>
#include <doppel/methods/simsiam.hpp>
#include <doppel/run/run.hpp>
#include <doppel/train/callbacks/evaluate_every.hpp>
#include <doppel/train/primitives.hpp>
#include <doppel/train/train.hpp>
#include <doppel/train/trainer.hpp>
#include <doppel/views/multi_crop.hpp>
#include <doppel/weights/encoder_file.hpp>
#include <doppel/weights/load.hpp>

#include <torch/nn/modules/pooling.h>

#include "support/torch_support.hpp"

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#define LESSON_TEXT(path) #path
#define LESSON(name) LESSON_TEXT(../../examples/name.cpp)
#define main lesson
namespace lesson_01 {
#include LESSON(01_first_run)
}
namespace lesson_02 {
#include LESSON(02_custom_loss)
}
namespace lesson_03 {
#include LESSON(03_custom_encoder)
}
namespace lesson_04 {
#include LESSON(04_custom_augmentation)
}
namespace lesson_05 {
#include LESSON(05_custom_data)
}
namespace lesson_06 {
#include LESSON(06_own_loop)
}
namespace lesson_07 {
#include LESSON(07_callbacks)
}
namespace lesson_08 {
#include LESSON(08_change_a_slot)
}
namespace lesson_09 {
#include LESSON(09_multi_crop)
}
namespace lesson_10 {
#include LESSON(10_use_the_features)
}
namespace lesson_11 {
#include LESSON(11_fastsiam)
}
#undef main

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

using Main = int (*)(int, char**);

/// A lesson in a folder of its own, its standard output and what it leaves.
class Run {
public:
    explicit Run(Main lesson, std::vector<std::string> arguments = {"1"}) {
        arguments.insert(arguments.begin(), "lesson");
        std::vector<char*> argv;
        for (auto& argument : arguments) argv.push_back(argument.data());
        fs::current_path(folder_.path());
        auto* before = std::cout.rdbuf(printed_.rdbuf());
        try {
            status = lesson(static_cast<int>(argv.size()), argv.data());
        } catch (...) {
            std::cout.rdbuf(before);
            fs::current_path(home_);
            throw;
        }
        std::cout.rdbuf(before);
        fs::current_path(home_);
    }

    int status = -1;
    std::string printed() const { return printed_.str(); }
    bool printed(const std::string& text) const { return printed().find(text) != std::string::npos; }
    fs::path operator/(const std::string& name) const { return folder_ / name; }

    /// The run folder of a preset: runs/NAME-DATE-TIME.
    fs::path of(const std::string& name) const {
        for (const auto& entry : fs::directory_iterator(folder_ / "runs"))
            if (entry.path().filename().string().starts_with(name + "-")) return entry.path();
        FAIL("no run folder of " << name);
        return {};
    }

private:
    TemporaryFolder folder_;
    fs::path home_ = fs::current_path();
    std::ostringstream printed_;
};

nlohmann::ordered_json json_of(const fs::path& file) {
    const auto bytes = read_bytes(file);
    return nlohmann::ordered_json::parse(bytes.begin(), bytes.end());
}

void check_whole_run(const fs::path& folder) {
    for (auto* name : {"config.json", "metrics.jsonl", "checkpoints", "encoder.safetensors", "report.html"}) {
        INFO(name);
        CHECK(fs::exists(folder / name));
    }
    const auto lines = io::read_json_lines(folder / "metrics.jsonl");
    CHECK(lines.back()["event"] == "end");
    CHECK(lines.back().contains("knn_top1"));
    CHECK_FALSE(lines.back().contains("failed"));
}

}  // namespace

TEST_CASE("lesson 1, first run: the whole command line of one method") {
    const Run run(lesson_01::lesson, {"--images", "200", "--epochs", "1", "--batch-size", "50", "--arch", "resnet18x0.25", "--stem",
                                      "strided", "--temperature", "0.3", "--out", "mine", "--progress", "off"});
    CHECK(run.status == 0);
    check_whole_run(run / "mine");
    CHECK(json_of(run / "mine/config.json")["options"]["temperature"] == 0.3);
    CHECK(Run(lesson_01::lesson, {"--temperatur", "0.3"}).status == 2);
}

TEST_CASE("lesson 2, custom loss: its figures are in the log") {
    const Run run(lesson_02::lesson);
    CHECK(run.status == 0);
    check_whole_run(run.of("align_uniform"));
    const auto first = io::read_json_lines(run.of("align_uniform") / "metrics.jsonl").at(1);
    CHECK(first["alignment"] > 0);
    CHECK(first["uniformity"] < 0);
    CHECK(first["uniformity"] > -4);
}

TEST_CASE("lesson 3, custom encoder: a Sequential, and a TorchScript file") {
    const Run run(lesson_03::lesson);
    CHECK(run.status == 0);
    check_whole_run(run.of("simclr"));
    CHECK(io::load_safetensors(run.of("simclr") / "encoder.safetensors").metadata.at("feature_dim") == "256");

    const TemporaryFolder folder;
    torch::jit::Module net("Net");
    net.register_parameter("kernel", at::ones({6, 3, 3, 3}).mul(0.1).requires_grad_(), false);
    net.define("def forward(self, x):\n    return torch.relu(torch.conv2d(x, self.kernel, None, [4, 4])).mean([2, 3])\n");
    net.save((folder / "net.pt").string());
    const Run script(lesson_03::lesson, {"1", (folder / "net.pt").string()});
    CHECK(script.status == 0);
    CHECK(io::load_safetensors(script.of("simclr") / "encoder.safetensors").metadata.at("feature_dim") == "6");
}

TEST_CASE("lesson 4, custom augmentation: in the pipeline after the jitter, and a picture of views") {
    const Run run(lesson_04::lesson);
    CHECK(run.status == 0);
    const auto jitter = run.printed().find("color_jitter"), cutout = run.printed().find("cutout(side=10"),
               gray = run.printed().find("grayscale");
    CHECK(jitter < cutout);
    CHECK(cutout < gray);
    CHECK(run.printed("loss "));
    CHECK(image::decode(read_bytes(run / "views.png"), "views.png").width == 4 * 32 + 3 * 4);
}

TEST_CASE("lesson 5, custom data: the whole command line for images that the program draws") {
    const Run run(lesson_05::lesson, {"--epochs", "1", "--stem", "strided", "--fraction", "0.5", "--out", "mine", "--progress", "off"});
    CHECK(run.status == 0);
    check_whole_run(run / "mine");
    CHECK(json_of(run / "mine/config.json")["data"]["data"] == "discs");
    CHECK(json_of(run / "mine/config.json")["resolved"]["train_images"] == 500);
    const lesson_05::DiscsAndSquares images{.count = 10, .first = 4};
    CHECK(images.image(2) == images.image(2));
    CHECK(images.image(2) != images.image(3));
}

TEST_CASE("lesson 6, own loop: the parts and the Trainer do the same") {
    const Run run(lesson_06::lesson);
    CHECK(run.status == 0);
    double own = 0, trainer = 1;
    CHECK(std::sscanf(run.printed().c_str(), "own loop: loss %lf\nTrainer:  loss %lf", &own, &trainer) == 2);
    CHECK(own == Approx(trainer).epsilon(1e-5));
}

TEST_CASE("lesson 7, callbacks: k-NN after each epoch, and a stop when it no longer improves") {
    const Run run(lesson_07::lesson, {"3"});
    CHECK(run.status == 0);
    CHECK(run.printed("epoch 2: knn_top1 0."));
    CHECK(run.printed("best k-NN 0."));
    // The stop itself, without waiting for a plateau.
    lesson_07::EarlyStop early{.patience = 1};
    const Preset preset{.recipe = Recipe{.encoder = tiny(), .loss = losses::NtXent{}}, .views = views::simclr_small(12),
                        .lr = 0.1, .epochs = 9, .batch_size = 8};
    double figure = 0.5;
    const train::EvaluateEvery falling{.epochs = 1, .measure = [&](train::Trainer&) { return train::Metrics{{"knn_top1", figure /= 2}}; }};
    const auto result = train::train(preset, data::Embedded({.size = 16, .count = 16}), {.progress = train::ProgressMode::off}, falling, early);
    CHECK(result.stopped == "knn_top1 no longer improves");
    CHECK(result.steps == 4);
}

TEST_CASE("lesson 8, a slot changed: four runs of one preset") {
    const Run run(lesson_08::lesson);
    CHECK(run.status == 0);
    for (const std::string name : {"moco_v2", "fast_target", "short_queue", "hard_negatives"}) {
        CHECK(run.printed(name + ": k-NN 0."));
        check_whole_run(run.of(name));
        CHECK(json_of(run.of(name) / "config.json")["method"] == name);
    }
}

TEST_CASE("lesson 9, multi-crop: two global and four local views") {
    const Run run(lesson_09::lesson);
    CHECK(run.status == 0);
    check_whole_run(run.of("simclr"));
    CHECK(json_of(run.of("simclr") / "config.json")["views"].size() == 6);
}

TEST_CASE("lesson 10, features: an encoder is saved, loaded and searched") {
    const Run run(lesson_10::lesson);
    CHECK(run.status == 0);
    CHECK(run.printed("method simclr"));
    CHECK(run.printed("image 2 is most like image "));
}

TEST_CASE("lesson 11, FastSiam: the mean of the other views' projections is the target") {
    const Run run(lesson_11::lesson);
    CHECK(run.status == 0);
    check_whole_run(run.of("fastsiam"));
    CHECK(json_of(run.of("fastsiam") / "config.json")["views"].size() == 4);
    // The loss against its definition.
    Outputs out;
    for (int v = 0; v < 4; ++v) {
        out.online.push_back(wave({3, 5}, 0.7 + v, 0.1));
        out.target.push_back(wave({3, 5}, 1.3 + v, 0.2));
    }
    double expected = 0;
    for (std::size_t v = 0; v < 4; ++v) {
        Tensor mean = at::zeros({3, 5}, at::kDouble);
        for (std::size_t u = 0; u < 4; ++u)
            if (u != v) mean += out.target[u] / 3;
        expected -= at::cosine_similarity(out.online[v], mean).mean().item<double>() / 4;
    }
    CHECK(lesson_11::fastsiam_loss(out).item<double>() == Approx(expected).epsilon(1e-12));
}
