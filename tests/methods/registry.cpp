// SPDX-License-Identifier: Apache-2.0
// What every shipped method must do, as loops over the registry: build, step, resume bit for bit whatever the number of
// workers, and export its encoder.
#include <doppel/methods/registry.hpp>

#include <doppel/cli/options_document.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/data/memory.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/encoders/vit.hpp>
#include <doppel/io/safetensors.hpp>
#include <doppel/train/checkpoint.hpp>
#include <doppel/train/primitives.hpp>
#include <doppel/train/trainer.hpp>
#include <doppel/train/verdict.hpp>
#include <doppel/weights/encoder_file.hpp>

#include "support/batched.hpp"
#include "support/files.hpp"
#include "support/fixtures.hpp"
#include "support/support.hpp"
#include "support/torch_support.hpp"

#include <limits>
#include <optional>
#include <set>

using namespace doppel;
using namespace doppel::test;

namespace {

const data::Dataset& images() {
    static const data::Dataset all = data::Embedded({.size = 16, .count = 24});
    return all;
}

/// The smallest encoder that a method takes.
encoders::ByName encoder_for(const methods::MethodEntry& entry) {
    if (entry.about.arch.starts_with("vit"))
        return encoders::Vit{.kind = VitKind::ti, .patch = 4, .image_size = 16, .depth = 1};
    return encoders::ResNet{.depth = 18, .stem = Stem::cifar, .width = 0.125};
}

/// The method on 16-px views with narrow heads, four steps an epoch.
AnyPreset tiny_preset(const methods::MethodEntry& entry) {
    auto values = entry.values(methods::Scale::small, entry.about.arch.starts_with("vit"));
    const std::map<std::string, std::string> tiny{{"epochs", "1"},     {"batch-size", "6"}, {"size", "16"},   {"local-size", "8"},
                                                  {"hidden", "16"},    {"out-dim", "4"},    {"queue", "32"},  {"predictor", "16"},
                                                  {"bottleneck", "8"}, {"prototypes", "8"}, {"dims", "8"},    {"w-size", "0"},
                                                  {"bn-groups", "1"},  {"directions", "8"}, {"queue-from", "0"}};
    for (const auto& row : values.rows)
        if (const auto found = tiny.find(row.name); found != tiny.end()) REQUIRE(row.set(found->second));
    return entry.preset(encoder_for(entry), values, {.images = images().size()});
}

train::TrainOptions options(int workers) {
    return {.seed = 3, .device = "cpu", .workers = workers, .progress = train::ProgressMode::off};
}

void require_equal(const io::TensorFile& a, const io::TensorFile& b) {
    REQUIRE(a.tensors.size() == b.tensors.size());
    for (const auto& [name, tensor] : a.tensors) {
        INFO(name);
        REQUIRE(at::equal(tensor, b.tensors.at(name)));
    }
}

/// Six steps of a method, the third of which gets a view that is not a number and must leave no trace. `late`: the verdict is
/// told by learn() during the next step, as on a device.
io::TensorFile six_steps(const AnyPreset& preset, bool late) {
    AnyMethod method = preset.recipe.build({.seed = 1});
    method.module().train();
    const data::Loader loader(images(), preset.views.pipelines,
                              {.batch_size = 6, .seed = 3, .workers = 0, .globals = preset.views.globals});
    const Horizon horizon{.samples = images().size(), .steps = 8 * loader.batches(), .steps_per_epoch = loader.batches()};
    method.begin(horizon);
    auto optimizer = preset.build_optimizer(method.trainable(), preset.lr.at(6), horizon);
    REQUIRE(optimizer.takes_verdict());
    train::Generators generators;
    generators.seed(5);
    auto pass = loader.pass(0, 6);
    std::optional<Tensor> verdict;
    for (std::int64_t step = 0; step < 6; ++step) {
        Batch batch = *pass->next();
        if (late) method.draw(batch, step, 0);
        batch = train::to_device(std::move(batch), at::kCPU);
        if (step == 2) batch.views.front().fill_(std::numeric_limits<float>::quiet_NaN());
        if (late) method.open();
        const Tensor loss = method.forward(batch);
        loss.backward();
        std::optional<double> decay;
        if (preset.weight_decay) decay = (*preset.weight_decay)({.step = step, .of = horizon});
        if (late) {
            const Tensor bad = train::not_finite(loss, optimizer.groups());
            if (verdict) method.learn(verdict->item<float>() != 0);
            optimizer.step(0.01, decay, bad);
            method.commit(bad);
            verdict = bad;
        } else if (train::all_finite(loss, optimizer.groups())) {
            REQUIRE(step != 2);
            optimizer.step(0.01, decay);
            method.commit();
        } else {
            REQUIRE(step == 2);
            method.skip();
        }
        optimizer.zero_grad();
    }
    if (late) method.learn(verdict->item<float>() != 0);
    CHECK(method.skipped() == 1);
    return train::snapshot(method, optimizer, {});
}

}  // namespace

TEST_CASE("names in the registry are different stems, and every text is there") {
    std::set<std::string> names, titles;
    for (const auto& entry : methods::all()) {
        INFO(entry.about.name);
        CHECK(names.insert(entry.about.name).second);
        CHECK(titles.insert(entry.about.title).second);
        CHECK(entry.about.text.ends_with("."));
        CHECK(entry.about.paper.starts_with("arXiv:"));
        CHECK(std::filesystem::exists(source_folder() / "include/doppel/methods" / (entry.about.name + ".hpp")));
        CHECK(&methods::find(entry.about.name) == &entry);
    }
    CHECK(names.size() == 24);
    CHECK(mentions(message_of([] { methods::find("simclrr"); }), {"no method 'simclrr'", "did you mean simclr?", "lejepa"}));
}

TEST_CASE("every method's options are valid for both scales, describe themselves, and reach the preset") {
    for (const auto& entry : methods::all())
        for (const auto scale : {methods::Scale::imagenet, methods::Scale::small})
            for (const bool transformer : {false, true}) {
                INFO(entry.about.name);
                auto values = entry.values(scale, transformer);
                options::validate(entry.about.name, values.rows);
                std::set<std::string> names;
                std::set<const void*> places;
                for (const auto& row : values.rows) {
                    INFO(row.name);
                    CHECK(names.insert(row.name).second);
                    CHECK(!row.meaning.empty());
                    // No member is described twice, for then another one is not described at all.
                    std::visit([&](const auto& value) {
                        if constexpr (std::is_pointer_v<std::decay_t<decltype(value)>>) CHECK(places.insert(value).second);
                    }, row.value);
                }
                for (const char* shared : {"epochs", "batch-size", "lr", "weight-decay", "size", "channels", "min-scale"})
                    CHECK(names.contains(shared));
                CHECK(methods::scale_of(std::stoi([&] {
                          for (const auto& row : values.rows)
                              if (row.name == "size") return row.text();
                          return std::string("0");
                      }())) == scale);
            }
}

TEST_CASE("where the authors' code blurs with Pillow, so do the views of photographs, and nowhere else") {
    const std::set<std::string> pillow{"moco_v2", "moco_v3", "simsiam", "swav",  "dino",         "ibot",
                                       "barlow_twins", "vicreg", "mmcr",   "mmcr_momentum", "ressl"};
    for (const auto& entry : methods::all()) {
        INFO(entry.about.name);
        const auto preset = entry.preset(encoder_for(entry), entry.values(methods::Scale::imagenet), {.images = 8});
        for (const auto& pipeline : preset.views.pipelines)
            CHECK((pipeline.describe().find("kind=boxes") != std::string::npos) ==
                  (pillow.contains(entry.about.name) && pipeline.describe().find("blur") != std::string::npos));
    }
}

TEST_CASE("every method's views are made on the device, by the same draws, with the CPU's pixels") {
    std::set<std::string> seen;
    std::vector<Image> several;
    for (int i = 0; i < 4; ++i) several.push_back(image::crop(data::Embedded({.size = 130, .count = 4}).image(i), {0, i, 130 - 7 * i, 100}));
    const data::Dataset large = data::Memory(several), small = data::Embedded({.size = 32, .count = 16});
    for (const auto& entry : methods::all())
        for (const auto scale : {methods::Scale::small, methods::Scale::imagenet}) {
            auto values = entry.values(scale, entry.about.arch.starts_with("vit"));
            for (const auto& row : values.rows)
                if (scale == methods::Scale::imagenet && (row.name == "size" || row.name == "local-size")) REQUIRE(row.set(row.name == "size" ? "96" : "48"));
            const auto views = entry.preset(encoder_for(entry), values, {.images = 16}).views.pipelines;
            std::string all;
            for (const auto& view : views) all += view.describe();
            if (!seen.insert(all).second) continue;
            INFO(entry.about.name << ": " << all);
            const bool is_small = scale == methods::Scale::small;
            for (const bool resident : {true, false}) {
                if (resident && !is_small) continue;
                const auto found = apart(is_small ? small : large, views, resident, {.batch_size = is_small ? 8 : 2, .seed = 5}, 2);
                INFO(found.differ << " of " << found.of << " values differ");
                CHECK(found.levels <= 1);
                CHECK(found.share() <= 1e-5);
            }
        }
    CHECK(seen.size() >= 15);
}

TEST_CASE("every method's warm-up for photographs stays as many epochs when the run gets longer") {
    for (const auto& entry : methods::all())
        for (const bool transformer : {false, true}) {
            INFO(entry.about.name);
            std::set<std::int64_t> peaks;
            for (const char* epochs : {"60", "100", "400"}) {
                auto values = entry.values(methods::Scale::imagenet, transformer);
                for (const auto& row : values.rows)
                    if (row.name == "epochs") REQUIRE(row.set(epochs));
                const auto preset = entry.preset(encoder_for(entry), values, {.images = 8});
                const Horizon run{.samples = 1000, .steps = 10 * preset.epochs, .steps_per_epoch = 10};
                const auto lr = preset.lr.at(preset.batch_size);
                std::int64_t peak = 0;
                for (std::int64_t step = 0; step < run.steps; ++step)
                    if (lr({.step = step, .of = run}) > lr({.step = peak, .of = run})) peak = step;
                peaks.insert(peak);
            }
            CHECK(peaks.size() == 1);
        }
}

TEST_CASE("README and docs/options.md have every method, as the registry has it") {
    const auto readme = read_text(source_folder() / "README.md");
    for (const auto& entry : methods::all()) {
        INFO(entry.about.name);
        CHECK(readme.find("| `" + entry.about.name + "` | " + entry.about.title) != std::string::npos);
        CHECK(readme.find("[" + entry.about.paper.substr(6) + "]") != std::string::npos);
    }
    // To renew it: ./run train --options > docs/options.md
    CHECK(read_text(source_folder() / "docs/options.md") == cli::options_document(methods::all()));
}

TEST_CASE("an option out of its range is refused before anything is built") {
    const auto& entry = methods::find("byol");
    auto values = entry.values(methods::Scale::small);
    for (const auto& row : values.rows)
        if (row.name == "momentum") *std::get<double*>(row.value) = 1.5;
    CHECK(message_of([&] { entry.preset(encoder_for(entry), values, {.images = 8}); }) ==
          "byol: momentum must be a number from 0 to 1, got 1.5");
}

TEST_CASE("every method steps, and resumes bit for bit with another number of workers") {
    TemporaryFolder folder;
    for (const auto& entry : methods::all()) {
        INFO(entry.about.name);
        const auto preset = tiny_preset(entry);
        CHECK(preset.name == entry.about.name);
        CHECK(preset.options.contains("epochs"));
        train::Trainer whole(preset, images(), options(1));
        REQUIRE(whole.total_steps() == 4);
        std::vector<double> losses;
        while (!whole.finished()) {
            const auto report = whole.step();
            REQUIRE(report.taken);
            losses.push_back(report.loss.item<double>());
        }
        for (const double loss : losses) CHECK(std::isfinite(loss));

        train::Trainer first(preset, images(), options(0));
        first.rehearse();  // leaves no trace
        for (int step = 0; step < 2; ++step) first.step();
        const auto path = folder / (entry.about.name + ".safetensors");
        io::save_safetensors(path, first.snapshot(), io::Checksum::crc32);
        train::Trainer second(preset, images(), options(3));
        second.restore(path);
        CHECK(second.step().loss.item<double>() == losses[2]);
        CHECK(second.step().loss.item<double>() == losses[3]);
        require_equal(whole.snapshot(), second.snapshot());
    }
}

TEST_CASE("every method's metadata name the filter that its views resize with, for small and for large images") {
    for (const auto& entry : methods::all())
        for (const int size : {32, 224}) {
            INFO(entry.about.name << " " << size);
            auto values = entry.values(methods::scale_of(size), entry.about.arch.starts_with("vit"));
            for (auto& row : values.rows)
                if (row.name == "size") REQUIRE(row.set(std::to_string(size)));
            const auto preset = entry.preset(encoders::from_name(entry.about.arch, size), values, {.images = 1000});
            const augment::RandomResizedCrop* crop = nullptr;  // W-MSE changes colors before it
            for (const auto& operation : preset.views.pipelines.front().operations())
                if (const auto* found = operation.as<augment::RandomResizedCrop>()) crop = found;
            REQUIRE(crop);
            const auto metadata = weights::preprocessing_metadata(preset.views.eval);
            CHECK(metadata.at("interpolation") == name_of(crop->filter));
            CHECK(metadata.at("crop") == std::to_string(size));
            CHECK(metadata.at("resize") == (size == 32 ? "32" : "256"));
            CHECK(metadata.at("preprocessing") == preset.views.eval.describe());
        }
}

TEST_CASE("every method exports the encoder that its preset names") {
    TemporaryFolder folder;
    for (const auto& entry : methods::all()) {
        INFO(entry.about.name);
        const auto preset = tiny_preset(entry);
        train::Trainer trainer(preset, images(), options(0));
        trainer.step();
        CHECK(trainer.without_gradient().empty());
        const auto encoder = trainer.method().encoder(preset.export_encoder);
        const auto path = folder / (entry.about.name + ".safetensors");
        weights::save_encoder(path, *encoder, preset.views.eval, {{"method", preset.name}});
        const auto file = io::load_safetensors(path);
        CHECK(file.tensors.size() == encoder->named_parameters().size() + encoder->named_buffers().size());
        CHECK(file.metadata.at("image_size") == "16");
        CHECK(file.metadata.at("method") == entry.about.name);
        for (const auto& item : encoder->named_parameters()) CHECK(at::equal(file.tensors.at(item.key()), item.value()));
    }
}

TEST_CASE("a verdict that the host learns a step late changes nothing, for any method") {
    for (const auto& entry : methods::all()) {
        if (entry.about.name == "wmse") continue;  // its decomposition refuses what is not a number before there is a verdict
        INFO(entry.about.name);
        const auto preset = tiny_preset(entry);
        const auto known = six_steps(preset, false), late = six_steps(preset, true);
        REQUIRE(known.tensors.size() == late.tensors.size());
        CHECK(known.metadata == late.metadata);
        for (const auto& [name, tensor] : known.tensors) {
            INFO(name);
            const Tensor& other = late.tensors.at(name);
            const bool equal = at::equal(tensor, other);
            CHECK(equal);
            const bool finite = !tensor.is_floating_point() || at::isfinite(tensor).all().item<bool>() || name == "loss.log_z";
            CHECK(finite);
        }
    }
}
