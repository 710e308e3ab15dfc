// SPDX-License-Identifier: Apache-2.0
// The evaluating program with what it trains: the probe by SGD, and fine-tuning.
#include <doppel/cli/evaluate.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/encoders/by_name.hpp>
#include <doppel/image/write_png.hpp>
#include <doppel/weights/encoder_file.hpp>

#include "support/ended.hpp"
#include "support/torch_support.hpp"

#include <fstream>

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

Ended evaluate(std::vector<std::string> arguments) { return ended(cli::evaluate, "evaluate", std::move(arguments)); }

void put_encoder(const fs::path& path, const encoders::ByName& encoder) {
    const SeedScope seed(3);
    weights::save_encoder(path, *encoder.build(),
                          augment::Pipeline({.size = 16, .operations = {augment::Resize{.size = 16}, augment::CenterCrop{.size = 16}}}));
}

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

TEST_CASE("evaluate trains the probe by SGD on the feature that is asked for, and fine-tunes on shares of the labels") {
    const TemporaryFolder folder;
    put_photos(folder / "photos");
    put_encoder(folder / "vit.safetensors", encoders::from_name("vit_ti8d2", 16));
    put_encoder(folder / "resnet.safetensors", encoders::from_name("resnet18x0.125", 16));
    const auto judged = [&](const std::string& name, std::vector<std::string> more) {
        const auto out = folder / ("of " + name);
        std::vector<std::string> words{(folder / (name + ".safetensors")).string(), "--data", (folder / "photos").string(), "--out", out.string(),
                                       "--no-baselines", "--augmented", "0", "--device", "cpu"};
        words.insert(words.end(), more.begin(), more.end());
        const auto done = evaluate(std::move(words));
        INFO(done.err);
        REQUIRE(done.status == 0);
        std::ifstream in(out / "evaluation.json");
        auto json = nlohmann::json::parse(in);
        CHECK(!json.contains("failed"));
        return json["scores"];
    };
    const auto vit = judged("vit", {"--feature", "cls2", "--sgd-probe", "--probe-epochs", "2", "--probe-rates", "0.1,1", "--probe-batch-size", "16"});
    CHECK(mentions(vit["linear_sgd"].dump(), {"linear probe by SGD: 2 epochs of 16 images", "class tokens of the last 2 blocks", "chosen of 2"}));
    CHECK(vit.contains("linear_sgd_best"));
    const auto resnet = judged("resnet", {"--labels", "1,0.5", "--fine-tune", "--fine-tune-epochs", "2"});
    CHECK(mentions(resnet["fine_tuned"].dump(), {"fine-tuning with 100 % of the labels", "2 epochs", "SGD"}));
    CHECK(mentions(resnet["fine_tuned_0.5"].dump(), {"fine-tuning with 50 % of the labels"}));

    const auto rejected = evaluate({(folder / "vit.safetensors").string(), "--data", (folder / "photos").string(), "--feature", "cls1", "--fine-tune"});
    CHECK(rejected.status == 2);
    CHECK(mentions(rejected.err, {"--fine-tune", "leave --feature out"}));
}
