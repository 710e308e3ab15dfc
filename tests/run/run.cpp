// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/image_folder.hpp>
#include <doppel/data/memory.hpp>
#include <doppel/image/write_png.hpp>
#include <doppel/losses/supcon.hpp>
#include <doppel/run/run.hpp>
#include <doppel/run/runs.hpp>
#include <doppel/weights/open.hpp>

#include "support/run_support.hpp"

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

nlohmann::ordered_json last_line(const fs::path& folder) { return io::read_json_lines(folder / "metrics.jsonl").back(); }

}  // namespace

TEST_CASE("one call does a whole run for any data and method") {
    TemporaryFolder folder;
    const auto out = folder / "run";
    auto options = options_of(out);
    options.knn_every = 2;
    std::int64_t steps = 0;
    const auto result = run::run(preset(), data_of(), options, [&](train::Trainer&, const train::StepReport&) { ++steps; });
    CHECK(result.failures.empty());
    CHECK(result.status() == 0);
    CHECK(steps == 20);
    CHECK(result.training.steps == 20);
    for (auto* name : {"config.json", "metrics.jsonl", "tensorboard", "checkpoints", "encoder.safetensors", "report.html"}) {
        INFO(name);
        CHECK(fs::exists(out / name));
    }
    CHECK_FALSE(fs::exists(out / "skipped.jsonl"));
    for (auto* name : {"knn_top1", "knn_top1_random", "knn_top1_pixels", "feature_std", "effective_rank"})
        CHECK(last_line(out)[name] == result.metrics.at(name));
    CHECK(lines_of(out, "baselines") == 1);
    const auto config = nlohmann::ordered_json::parse(read_text(out / "config.json"));
    CHECK(config["method"] == "tiny");
    CHECK(config["options"]["temperature"] == 0.2);
    CHECK(config["run"]["accumulate"] == 1);
    CHECK(config["run"]["give_up_after"] == 5);
    CHECK(config["run"]["keep"] == 100);
    CHECK(config["training"]["batch_size"] == 8);
    const auto report = read_text(out / "report.html");
    CHECK(mentions(report, {"tiny on drawn images", "was trained without labels", "self-supervised", "Nearest neighbors", "What the network saw: view",
                            "Images of each class", "Options of the method", "evaluation view", "95\u00a0% confidence"}));
    int knn = 0;
    for (const auto& line : io::read_json_lines(out / "metrics.jsonl")) knn += line.contains("knn_top1");
    CHECK(knn == 2);  // after epoch 2 and at the end
    // The end's time is that of all evaluations: baselines, after epoch 2, at the end.
    CHECK(last_line(out)["evaluation_seconds"] > run::evaluation_seconds_in(out / "metrics.jsonl"));
    CHECK(run::evaluation_seconds_in(out / "metrics.jsonl") > 0);

    // Again on the finished run: one last line, with the times of the first process.
    options.train.resume = "auto";
    const auto again = run::run(preset(), data_of(), options);
    CHECK(lines_of(out, "end") == 1);
    CHECK(lines_of(out, "baselines") == 1);
    CHECK(again.metrics == result.metrics);
    CHECK(again.training.seconds > 0);
    CHECK(again.training.images_per_second > 0);
}

TEST_CASE("a run ends with what was learned, as a result and in the last line; milestones decide about its status") {
    TemporaryFolder folder;
    const auto out = folder / "run";
    auto options = options_of(out);
    options.expect = "knn_top1=0@4,effective_rank>0@4,loss<100@2";
    const auto result = run::run(preset(), data_of(200), options);
    CHECK(result.status() == 0);
    CHECK(result.missed.empty());
    CHECK(mentions(result.outcome.sentence, {fmt::format("k-NN (k = 5) is right for {:.1f} % of 200 validation images", 100 * result.metrics.at("knn_top1"))}));
    CHECK(last_line(out)["outcome"] == run::to_json(result.outcome));
    CHECK(mentions(read_text(out / "report.html"), {result.outcome.sentence}));
    CHECK_FALSE(last_line(out).contains("missed"));

    // A milestone of the last epoch that the evaluation at the end misses.
    auto last = options_of(folder / "last");
    last.expect = "knn_top1=1@4";
    const auto missed = run::run(preset(), data_of(), last);
    CHECK(missed.training.steps == 20);
    CHECK(missed.status() == 3);
    CHECK(mentions(missed.missed.at(0), {"knn_top1 was to be at least 1 after epoch 4, got "}));
    CHECK(last_line(folder / "last")["missed"] == missed.missed);

    // One in the midst ends the run, which is evaluated and keeps everything; without it the run goes on.
    auto early = options_of(folder / "early");
    early.knn_every = 2;
    early.expect = "knn_top1=1@2";
    const auto ended = run::run(preset(), data_of(), early);
    CHECK(ended.training.steps == 10);
    CHECK(ended.status() == 3);
    CHECK(ended.missed.size() == 1);
    for (auto* name : {"checkpoints/step-00000010.safetensors", "encoder.safetensors", "report.html"}) CHECK(fs::exists(folder / "early" / name));
    early.expect.clear();
    early.train.resume = "auto";
    const auto on = run::run(preset(), data_of(), early);
    CHECK(on.training.steps == 20);
    CHECK(on.status() == 0);

    // What can never be measured is rejected before there is a folder.
    const auto refused = [&](const char* expect, run::Data data) {
        auto wrong = options_of(folder / "none");
        wrong.expect = expect;
        return message_of([&] { run::run(preset(), std::move(data), wrong); });
    };
    CHECK(mentions(refused("knn_top1=0.4@2", data_of()), {"measured at the end alone, after epoch 4", "--knn-every 2"}));
    CHECK(mentions(refused("loss<3@5", data_of()), {"4 epochs"}));
    CHECK(mentions(refused("knn=0.4@4", data_of()), {"knn>"}));
    CHECK(mentions(refused("knn_tpo1=0.4@4", data_of()), {"more or less of knn_tpo1"}));
    CHECK(mentions(refused("knn_tpo1>0.4@4", data_of()), {"no figure 'knn_tpo1'", "did you mean knn_top1?"}));
    auto blind = data_of();
    blind.validation = {};
    CHECK(mentions(refused("knn_top1=0.4@4", blind), {"not measured: there are no validation images"}));
    CHECK_FALSE(fs::exists(folder / "none"));
}

TEST_CASE("a run without labels has no verdict on what was learned, and a collapsed one is told") {
    TemporaryFolder folder;
    std::vector<Image> pictures;
    for (std::int64_t i = 0; i < 40; ++i) pictures.push_back(images().image(i));
    const run::Data unlabeled{.train = data::Memory(pictures), .validation = data::Memory({pictures[0], pictures[1]})};
    CHECK(run::run(preset(), unlabeled, options_of(folder / "unlabeled")).outcome.state == run::Outcome::State::unknown);

    auto collapsing = preset_of(tiny_recipe([](const Tensor& a, const Tensor& b) {
        return (a - b).pow(2).mean() + (a - a.detach().mean(0)).pow(2).mean();  // toward one point
    }));
    collapsing.epochs = 40;
    collapsing.lr = schedules::WarmupCosine{.peak = 0.2, .warmup_fraction = 0.05};
    const auto result = run::run(collapsing, unlabeled, options_of(folder / "collapsing"));
    CHECK(result.outcome.state == run::Outcome::State::collapsed);
    CHECK(mentions(result.outcome.sentence, {"Collapsed: since step "}));
}

TEST_CASE("an online probe is measured with each evaluation and goes on when the run does; without labels it is rejected at once") {
    TemporaryFolder folder;
    auto options = options_of(folder / "probed");
    options.online_probe = true;
    options.knn_every = 2;
    for (const auto network : {Network::online, Network::target}) {
        auto described = preset_of(Recipe{.encoder = tiny(), .projector = heads::Mlp{.hidden = {16}, .out = 8},
                                          .target = targets::Ema{.schedule = schedules::Constant{0.5}}, .loss = losses::NtXent{}});
        described.export_encoder = network;
        const auto out = folder / ("probed" + std::to_string(static_cast<int>(network)));
        options.train.out = out.string();
        const auto result = run::run(described, data_of(), options);
        CHECK(result.failures.empty());
        CHECK(last_line(out)["online_top1"] == result.metrics.at("online_top1"));
        int measured = 0, epochs = 0;
        for (const auto& line : io::read_json_lines(out / "metrics.jsonl")) {
            measured += line.contains("online_top1");
            epochs += line.contains("online_top1_train");
        }
        CHECK(measured == 2);  // after epoch 2 and at the end
        CHECK(epochs == 4);
    }
    auto plain = options_of(folder / "plain");
    plain.online_probe = false;
    run::run(preset(), data_of(), plain);
    CHECK_FALSE(last_line(folder / "plain").contains("online_top1"));

    auto unlabeled = data_of();
    unlabeled.train = data::Memory(std::vector<Image>(20, Image(16, 16, 3)));
    options.train.out = (folder / "none").string();
    CHECK(mentions(message_of([&] { run::run(preset(), unlabeled, options); }), {"--online-probe", "two classes"}));
    CHECK_FALSE(fs::exists(folder / "none"));
}

TEST_CASE("the report of a method that uses labels says so") {
    TemporaryFolder folder;
    auto options = options_of(folder / "run");
    options.title = "Tiny & Co";
    run::run(preset().with_loss("tiny", losses::Supcon{}), data_of(), options);
    const auto report = read_text(folder / "run" / "report.html");
    CHECK(mentions(report, {"Tiny &amp; Co is a supervised method", "was trained with labels", "supervised: trained with labels", "Tiny &amp; Co on drawn images"}));
    CHECK(report.find("self-supervised<") == report.npos);
    CHECK(report.find("without labels") == report.npos);
}

TEST_CASE("an evaluation that cannot be made costs no weights: what failed is recorded, the rest is there") {
    TemporaryFolder folder;
    const auto complete = [&](const char* name, run::Data data) {
        const auto out = folder / name;
        const auto result = run::run(preset(), std::move(data), options_of(out));
        INFO(name);
        CHECK(fs::exists(out / "encoder.safetensors"));
        CHECK(fs::exists(out / "report.html"));
        CHECK(last_line(out)["event"] == "end");
        CHECK(result.status() == 0);
        return result;
    };
    auto one = complete("one validation image", data_of(1));
    CHECK(one.metrics.contains("knn_top1"));
    CHECK_FALSE(one.metrics.contains("effective_rank"));
    CHECK(one.failures.empty());

    auto none = data_of();
    none.validation = {};
    CHECK(complete("none", none).failures.empty());

    // Validation files that vanish after the baselines.
    const auto left = std::make_shared<std::atomic<std::int64_t>>(24);  // pixels and untrained encoder: 12 images each
    auto vanishing = data_of();
    vanishing.validation = Failing{vanishing.validation, left};
    const auto lost = complete("vanishing", vanishing);
    REQUIRE(!lost.failures.empty());
    CHECK(lost.failures.front().what == "features");
    CHECK(mentions(lost.failures.front().reason, {"No such file"}));
    CHECK(mentions(last_line(folder / "vanishing")["failed"]["features"].get<std::string>(), {"No such file"}));
    CHECK(lost.metrics.contains("knn_top1_random"));
    CHECK(mentions(read_text(folder / "vanishing" / "report.html"), {"not measured", "No such file"}));
}

TEST_CASE("k above the images to compare with is rejected if it was asked for, and reported if it is the default") {
    TemporaryFolder folder;
    auto data = data_of();
    data.bank = data::Embedded({.size = 16, .count = 9, .first = 500});
    auto options = options_of(folder / "run");
    options.k = 10;
    says([&] { run::run(preset(), data, options); }, {"--k 10", "images to compare with (9)", "at most 9"});
    CHECK_FALSE(fs::exists(folder / "run"));
    options.k = run::RunOptions{}.k;
    const auto result = run::run(preset(), data, options);
    CHECK(result.failures.empty());
    CHECK(result.metrics.contains("knn_top1"));
    CHECK(nlohmann::ordered_json::parse(read_text(folder / "run/config.json"))["run"]["k"] == 9);
}

TEST_CASE("without labels there is no k-NN and nothing fails") {
    TemporaryFolder folder;
    std::vector<Image> pictures;
    for (std::int64_t i = 0; i < 40; ++i) pictures.push_back(images().image(i));
    const auto result = run::run(preset(), {.train = data::Memory(pictures), .validation = data::Memory({pictures[0], pictures[1]})},
                                 options_of(folder / "run"));
    CHECK(result.failures.empty());
    CHECK_FALSE(result.metrics.contains("knn_top1"));
    CHECK(result.metrics.contains("feature_std"));
}

TEST_CASE("images without labels are compared with a labeled bank, whose damaged images are skipped and listed") {
    TemporaryFolder folder;
    std::vector<Image> pictures;
    for (std::int64_t i = 0; i < 40; ++i) pictures.push_back(images().image(i));
    auto data = data_of();
    data.train = data::Memory(pictures);
    data.bank = data::Embedded({.size = 16, .count = 30, .first = 2000});
    const auto result = run::run(preset(), data, options_of(folder / "run"));
    CHECK(result.failures.empty());
    for (auto* name : {"knn_top1", "knn_top1_random", "knn_top1_pixels"}) CHECK(result.metrics.contains(name));
    const auto config = nlohmann::ordered_json::parse(read_text(folder / "run" / "config.json"));
    CHECK(config["resolved"]["bank_images"] == 30);
    CHECK(config["resolved"]["classes"].size() == 10);
    CHECK(mentions(read_text(folder / "run" / "report.html"), {"30 to compare with"}));

    // The same weights without a bank: it only measures.
    data.bank = {};
    run::run(preset(), data, options_of(folder / "alone"));
    CHECK(same_bytes(folder / "run" / "encoder.safetensors", folder / "alone" / "encoder.safetensors"));
    CHECK_FALSE(last_line(folder / "alone").contains("knn_top1"));

    // A bank with a damaged image.
    fs::create_directories(folder / "bank/a");
    fs::create_directories(folder / "bank/b");
    for (int i = 0; i < 12; ++i) image::write_png(folder / "bank" / (i % 2 ? "a" : "b") / (std::to_string(i) + ".png"), pictures[static_cast<std::size_t>(i)]);
    write_bytes(folder / "bank/a/1.png", "damaged");
    data.bank = data::ImageFolder(folder / "bank");
    data.validation = data::Memory({pictures[0], pictures[1]}, {0, 1}, {"a", "b"});
    CHECK(run::run(preset(), data, options_of(folder / "damaged")).failures.empty());
    CHECK(mentions(read_text(folder / "damaged" / "skipped.jsonl"), {"\"split\":\"bank\"", "1.png"}));
}

TEST_CASE("a refused resume changes nothing in the folder") {
    TemporaryFolder folder;
    const auto out = folder / "run";
    run::run(preset(), data_of(), options_of(out));
    const auto config = read_text(out / "config.json"), metrics = read_text(out / "metrics.jsonl");
    auto other = preset();
    other.options["temperature"] = 0.7;
    auto options = options_of(out);
    options.train.resume = "auto";
    CHECK(mentions(message_of([&] { run::run(other, data_of(), options); }), {"temperature is 0.2 there and 0.7 here"}));
    CHECK(read_text(out / "config.json") == config);
    CHECK(read_text(out / "metrics.jsonl") == metrics);
    options.train.resume.clear();
    CHECK(mentions(message_of([&] { run::run(preset(), data_of(), options); }), {"already contains a run", "--resume auto"}));
    CHECK(read_text(out / "config.json") == config);
}

TEST_CASE("a start that fails leaves no folder behind that blocks the next one") {
    TemporaryFolder folder;
    auto wrong = preset();
    wrong.lr = {};
    CHECK(mentions(message_of([&] { run::run(wrong, data_of(), options_of(folder / "run")); }), {"no learning rate"}));
    CHECK_FALSE(fs::exists(folder / "run"));
    const auto stumbles = stumbling({0, 1, 2, 3, 4});
    CHECK(mentions(message_of([&] { run::run(stumbles, data_of(), options_of(folder / "run")); }), {"not finite"}));
    const auto failed = run::read_run(folder / "run");
    CHECK(failed.state == run::RunState::failed);
    CHECK(mentions(failed.note, {"not finite"}));
    CHECK(run::run(preset(), data_of(), options_of(folder / "run")).status() == 0);
    CHECK(run::read_run(folder / "run").state == run::RunState::finished);
}

TEST_CASE("the weights are the exported network's, and their metadata say how images are prepared") {
    TemporaryFolder folder;
    auto described = preset_of(Recipe{.encoder = encoders::ResNet{.depth = 18, .stem = Stem::cifar, .width = 0.0625},
                                      .projector = heads::Mlp{.hidden = {16}, .out = 8},
                                      .target = targets::Ema{.schedule = 0.5},
                                      .loss = losses::NtXent{.temperature = 0.2}});
    described.epochs = 1;
    described.export_encoder = Network::target;
    const auto result = run::run(described, data_of(), options_of(folder / "run"));
    const auto file = io::load_safetensors(result.encoder);
    const auto target = result.training.method.encoder(Network::target);
    for (const auto& item : target->named_parameters()) CHECK(bit_equal(item.value().detach().contiguous(), file.tensors.at(item.key())));
    const auto& metadata = file.metadata;
    CHECK(metadata.at("arch") == "resnet18");
    CHECK(metadata.at("stem") == "cifar");
    CHECK(metadata.at("width") == "0.0625");
    CHECK(metadata.at("network") == "target");
    CHECK(metadata.at("interpolation") == "bilinear");
    CHECK(metadata.at("image_size") == "12");
    CHECK(metadata.at("resize") == "12");
    CHECK(metadata.at("crop") == "12");
    CHECK(metadata.at("step") == "5");
    // A checkpoint says the same: it opens as the exported network.
    const auto opened = weights::open_encoder(result.training.checkpoint);
    CHECK(opened.pipeline.describe() == described.views.eval.describe());
    for (const auto& item : opened.module->named_parameters()) CHECK(at::equal(item.value(), file.tensors.at(item.key())));
}
