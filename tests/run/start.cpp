// SPDX-License-Identifier: Apache-2.0
#include <doppel/run/run.hpp>
#include <doppel/run/start.hpp>
#include <doppel/weights/encoder_file.hpp>

#include "support/run_support.hpp"
#include "support/weights.hpp"

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

/// Keeps the encoders' tensors before the first step.
struct Watch {
    Tensors online{}, target{};
    void begin(train::Trainer& trainer) {
        for (auto [network, into] : {std::pair(Network::online, &online), {Network::target, &target}})
            for (const auto& item : trainer.method().encoder(network)->named_parameters()) (*into)[item.key()] = item.value().detach().clone();
    }
};

}  // namespace

TEST_CASE("a run with --init starts from a file's weights, in both networks, and says so everywhere") {
    TemporaryFolder folder;
    TinyNet start(8);
    tensors_of(*start);
    const auto file = folder / "start.safetensors";
    weights::save_encoder(file, *start, views::simclr_small(12).eval, {{"method", "tiny"}});
    auto options = options_of(folder / "run");
    options.init = file.string();
    auto with_target = preset_of(tiny_recipe().with_target(targets::Ema{.schedule = 0.9}));
    with_target.epochs = 1;
    Watch watch;
    const auto result = run::run(with_target, data_of(), options, watch);
    CHECK(result.failures.empty());
    for (const auto& networks : {watch.online, watch.target}) {
        REQUIRE(networks.size() == 4);
        for (const auto& item : start->named_parameters()) CHECK(at::equal(networks.at(item.key()), item.value()));
    }
    const auto config = nlohmann::ordered_json::parse(read_text(folder / "run" / "config.json"));
    CHECK(config["run"]["init"] == file.string());
    CHECK(config["resolved"]["started_from"] == file.string());
    CHECK(mentions(read_text(folder / "run" / "report.html"), {"started from", "start.safetensors"}));
    CHECK(io::load_safetensors(result.encoder).metadata.at("started_from") == file.string());
    CHECK(result.metrics.contains("knn_top1_init"));
    CHECK(result.metrics.contains("knn_top1_random"));

    const auto metadata = io::load_safetensors(result.training.checkpoint).metadata;
    CHECK(metadata.at("encoder.arch") == "custom");
    CHECK(metadata.at("encoder.network") == "online");
    CHECK(metadata.at("encoder.image_size") == "12");
    CHECK(metadata.at("run.weights it starts from").starts_with("start.safetensors "));

    // Going on needs the same start; other weights under the same name are another run.
    options.train.resume = "auto";
    CHECK(run::run(with_target, data_of(), options).metrics == result.metrics);
    auto without = options;
    without.init.clear();
    CHECK(mentions(message_of([&] { run::run(with_target, data_of(), without); }), {"weights it starts from is start.safetensors ", "and not set here"}));
    weights::save_encoder(file, *TinyNet(8), views::simclr_small(12).eval);
    CHECK(mentions(message_of([&] { run::run(with_target, data_of(), options); }), {"belongs to another run", "weights it starts from"}));
}

TEST_CASE("without --init a run starts from random weights; a file that does not fit leaves no run folder") {
    TemporaryFolder folder;
    auto options = options_of(folder / "random");
    auto brief = preset();
    brief.epochs = 1;
    const auto result = run::run(brief, data_of(), options);
    CHECK(nlohmann::ordered_json::parse(read_text(folder / "random" / "config.json"))["resolved"]["started_from"] == "random weights");
    CHECK_FALSE(result.metrics.contains("knn_top1_init"));

    weights::save_encoder(folder / "wide.safetensors", *TinyNet(16), views::simclr_small(12).eval);
    write_bytes(folder / "old.pth", "PK\3\4");
    options = options_of(folder / "run");
    for (const auto& [name, part] : {std::pair("wide.safetensors", "bn.bias is [16] in the file and [8] in the encoder"), {"none.safetensors", "No such file"}, {"old.pth", "./run convert"}}) {
        options.init = (folder / name).string();
        const auto message = message_of([&] { run::run(brief, data_of(), options); });
        INFO(message);
        CHECK(message.starts_with("--init: "));
        CHECK(message.find(part) != std::string::npos);
        CHECK_FALSE(fs::exists(folder / "run"));
    }
}
