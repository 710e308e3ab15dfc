// SPDX-License-Identifier: Apache-2.0
// The online probe: it learns, leaves no trace in the method, and continues exactly after a resume.
#include <doppel/data/memory.hpp>
#include <doppel/eval/accuracy.hpp>
#include <doppel/eval/features.hpp>
#include <doppel/train/callbacks/online_probe.hpp>
#include <doppel/train/train.hpp>

#include "support/train_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

/// Images in one of two colors.
data::Dataset colors(std::int64_t count) {
    std::vector<Image> images;
    std::vector<std::int64_t> labels;
    for (std::int64_t i = 0; i < count; ++i) {
        Image image(16, 16, 3);
        for (std::size_t p = 0; p < image.pixels.size(); ++p)
            image.pixels[p] =
                static_cast<std::uint8_t>((p % 3 == 2 * static_cast<std::size_t>(i % 2) ? 170 : 60) + 5 * (i % 7));
        images.push_back(std::move(image));
        labels.push_back(i % 2);
    }
    return data::Memory(std::move(images), std::move(labels), {"red", "blue"});
}

auto without_color_changes() {
    auto described = preset();
    described.views.remove<augment::ColorJitter>().remove<augment::Grayscale>();
    return described;
}

/// What callbacks were given by publish().
struct Published {
    std::vector<double> shares{};
    void evaluation(train::Trainer&, const train::Metrics& metrics) {
        if (metrics.contains("online_top1_train")) shares.push_back(metrics.at("online_top1_train"));
    }
};

}  // namespace

TEST_CASE("an online probe learns from each step's features, and classifies others") {
    auto described = without_color_changes();
    described.epochs = 10;
    train::Trainer trainer(described, colors(40), quick());
    train::OnlineProbe probe;
    Published published;
    train::run(trainer, probe, published);
    REQUIRE(published.shares.size() == 10);
    CHECK(published.shares.front() < published.shares.back());
    CHECK(published.shares.back() > 0.9);
    const auto rows = eval::features(trainer.method(), colors(30), described.views.eval);
    CHECK(eval::accuracy_of(probe.scores(rows.rows), rows.labels).top1 > 0.9);
}

TEST_CASE("weights, statistics and every draw are bit by bit those of a run without a probe") {
    train::Trainer plain(preset(), images(), quick()), probed(preset(), images(), quick());
    train::run(plain);
    train::OnlineProbe probe;
    train::run(probed, probe);
    check_equal(plain.method(), probed.method());
    auto with = probed.snapshot().tensors;
    std::erase_if(with, [](const auto& item) { return item.first.starts_with("callback."); });
    check_equal(with, plain.snapshot().tensors);  // optimizer and generators too
    for (const auto& parameter : probed.method().module().parameters()) CHECK(!parameter.grad().defined());
}

TEST_CASE("a resumed run has the probe of an undisturbed one, also in the middle of an epoch") {
    TemporaryFolder folder;
    train::Trainer whole(preset(), images(), quick());
    train::OnlineProbe undisturbed;
    Published all, later;
    train::run(whole, undisturbed, all);

    train::Trainer first(preset(), images(), quick());
    train::OnlineProbe before, after;
    train::run(first, before, [](train::Trainer& t, const train::StepReport& r) {
        if (r.step == 7) t.stop("here");
    });
    io::save_safetensors(folder / "a.safetensors", first.snapshot(), io::Checksum::crc32);
    train::Trainer second(preset(), images(), quick());
    second.restore(folder / "a.safetensors");
    train::run(second, after, later);
    CHECK(second.warnings() == whole.warnings());
    check_equal(second.snapshot().tensors, whole.snapshot().tensors);
    CHECK(second.snapshot().tensors.contains("callback.online_probe.weight"));
    CHECK(later.shares == std::vector(all.shares.begin() + 1, all.shares.end()));
    const Tensor rows = chirp({5, 8}, 0.1, 0.2, at::kFloat);
    CHECK(bit_equal(after.scores(rows), undisturbed.scores(rows)));

    // In the same process, a probe that has begun gets the state in place; a run without a probe carries it on.
    second.restore(folder / "a.safetensors");
    CHECK(bit_equal(after.scores(rows), before.scores(rows)));
    train::Trainer third(preset(), images(), quick());
    third.restore(folder / "a.safetensors");
    finish(third);
    CHECK(bit_equal(third.snapshot().tensors.at("callback.online_probe.weight"),
                    first.snapshot().tensors.at("callback.online_probe.weight")));
}

TEST_CASE("a checkpoint without a probe starts one, with a warning; one of other classes is rejected") {
    TemporaryFolder folder;
    train::Trainer first(preset(), images(), quick());
    while (first.step_count() < 6) first.step();
    io::save_safetensors(folder / "a.safetensors", first.snapshot(), io::Checksum::crc32);
    train::Trainer second(preset(), images(), quick());
    second.restore(folder / "a.safetensors");
    train::OnlineProbe probe;
    train::run(second, probe);
    REQUIRE(!second.warnings().empty());
    CHECK(mentions(second.warnings().back(), {"online probe starts at step 6", "has none"}));

    train::Trainer third(preset(), images(), quick());
    third.carried()["online_probe.weight"] = at::zeros({1, 3, 8});
    CHECK(mentions(message_of([&] { train::run(third, probe); }),
                   {"online probe", "'weight'", "[1, 3, 8]", "[1, 10, 8]"}));
}

TEST_CASE("a step without finite features leaves no trace in the probe") {
    train::Trainer trainer(preset(), images(), quick());
    train::OnlineProbe probe;
    probe.begin(trainer);
    auto report = trainer.step();
    probe.step(trainer, report);
    const Tensor rows = chirp({5, 8}, 0.1, 0.2, at::kFloat), scores = probe.scores(rows);
    CHECK(scores.abs().max().item<double>() > 0);
    report.outputs.features[1] = report.outputs.features[1] * std::numeric_limits<double>::quiet_NaN();
    probe.step(trainer, report);
    CHECK(bit_equal(probe.scores(rows), scores));
}

TEST_CASE("images without labels and a probe that has not begun are rejected") {
    train::Trainer trainer(preset(), data::Memory(std::vector<Image>(20, Image(16, 16, 3))), quick());
    train::OnlineProbe probe;
    CHECK(mentions(message_of([&] { train::run(trainer, probe); }), {"online probe", "two classes"}));
    CHECK(mentions(message_of([] { train::OnlineProbe().scores(at::zeros({2, 8})); }), {"has not begun"}));
    CHECK(mentions(message_of([] { train::OnlineProbe({.rate = 0}); }), {"rate", "got 0"}));
}
