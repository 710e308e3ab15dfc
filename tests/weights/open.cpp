// SPDX-License-Identifier: Apache-2.0
#include <doppel/weights/encoder_file.hpp>
#include <doppel/weights/encoder_info.hpp>
#include <doppel/weights/open.hpp>

#include "support/python.hpp"
#include "support/torch_support.hpp"
#include "support/weights.hpp"

#include <map>
#include <sstream>

using namespace doppel;
using namespace doppel::test;

namespace {

Tensor features_of(encoders::Module& module, std::int64_t channels, std::int64_t size) {
    const at::NoGradGuard no_grad;
    module.eval();
    return module.forward(wave({2, channels, size, size}, 0.7, 0.1, at::kFloat));
}

}  // namespace

TEST_CASE("what a run saves opens again, with its architecture and its evaluation view") {
    const TemporaryFolder folder;
    const std::vector<encoders::ByName> all{encoders::ResNet{.depth = 18, .stem = Stem::strided, .width = 0.125, .channels = 1},
                                            encoders::ResNet{.depth = 50, .width = 0.125},
                                            encoders::Vit{.kind = VitKind::s, .patch = 8, .image_size = 32, .depth = 1, .heads = 12, .mask_token = true}};
    for (const auto& spec : all) {
        const auto net = spec.build();
        tensors_of(*net);
        const int channels = spec.is_vit() || std::get<encoders::ResNet>(spec.spec).channels == 3 ? 3 : 1;
        const auto pipeline = views::eval_pipeline({.size = 32, .filter = image::Filter::bicubic, .channels = channels});
        auto metadata = weights::encoder_info(spec).metadata;
        metadata["method"] = "simclr";
        metadata["step"] = "640";
        weights::save_encoder(folder / "encoder.safetensors", *net, pipeline, metadata);
        const Tensor generator = at::detail::getDefaultCPUGenerator().get_state();
        for (const auto& path : {folder / "encoder.safetensors", folder.path()}) {
            const auto opened = weights::open_encoder(path);
            CHECK(opened.origin == "doppel run simclr, step 640");
            CHECK(opened.spec.name() == spec.name());
            CHECK(opened.pipeline.describe() == pipeline.describe());
            CHECK(opened.notes.empty());
            CHECK(opened.left_aside.empty());
            CHECK_FALSE(opened.module->is_training());
            CHECK(opened.metadata.at("method") == "simclr");
            CHECK(at::equal(features_of(*opened.module, channels, 32), features_of(*net, channels, 32)));
        }
        CHECK(at::equal(at::detail::getDefaultCPUGenerator().get_state(), generator));
    }
    const auto larger = weights::open_encoder(folder / "encoder.safetensors", {.size = 64});
    CHECK(larger.pipeline.size() == 64);
    CHECK(mentions(larger.notes.at(0), {"interpolated from 4 x 4 to 8 x 8"}));
    CHECK(mentions(message_of([&] { weights::open_encoder(folder / "encoder.safetensors", {.size = 36}); }), {"36 px", "patch, 8 px"}));
}

TEST_CASE("without metadata, the authors' preprocessing is assumed, and said") {
    const TemporaryFolder folder;
    const auto save = [&](const Tensors& tensors) { io::save_safetensors(folder / "a.safetensors", {.tensors = tensors}); };
    save(tensors_of(*encoders::ResNet{.depth = 18, .width = 0.125}.build()));
    auto opened = weights::open_encoder(folder / "a.safetensors");
    CHECK(opened.pipeline.describe() == views::eval_pipeline({.size = 224}).describe());
    CHECK(mentions(opened.notes.at(0), {"assumed", "resize(size=256, filter=bilinear)"}));
    CHECK(weights::open_encoder(folder / "a.safetensors", {.size = 112}).pipeline.describe() == views::eval_pipeline({.size = 112}).describe());
    save(tensors_of(*encoders::ResNet{.depth = 18, .stem = Stem::cifar, .width = 0.125}.build()));
    opened = weights::open_encoder(folder / "a.safetensors");
    CHECK(opened.pipeline.describe() == views::eval_pipeline({.size = 32, .normalize = augment::cifar10_normalize}).describe());
    CHECK(std::get<encoders::ResNet>(weights::open_encoder(folder / "a.safetensors", {.stem = Stem::strided}).spec.spec).stem == Stem::strided);
    auto tensors = tensors_of(*encoders::Vit{.kind = VitKind::s, .patch = 8, .image_size = 96, .depth = 1}.build());
    save(behind("module.base_encoder.", tensors));
    opened = weights::open_encoder(folder / "a.safetensors");
    CHECK(mentions(opened.pipeline.describe(), {"size=96", "bicubic"}));
    CHECK(std::get<encoders::Vit>(opened.spec.spec).heads == 12);
    CHECK(std::get<encoders::Vit>(weights::open_encoder(folder / "a.safetensors", {.arch = "vit_s8h6d1"}).spec.spec).heads == 6);
    CHECK(mentions(message_of([&] { weights::open_encoder(folder / "a.safetensors", {.arch = "vit_s8h6d2"}); }), {"missing: blocks.1."}));
    CHECK(mentions(message_of([&] { weights::open_encoder(folder / "a.safetensors", {.arch = "resnet18"}); }), {"missing: bn1.bias", "without a place in the encoder: blocks.0."}));
    // DINOv2: scales are folded into the weights, the mask token is kept.
    const Tensor gamma = at::linspace(0.5, 2, 384);
    auto scaled = tensors;
    scaled["mask_token"] = at::zeros({1, 384});
    for (const auto& [layer, scale] : {std::pair("blocks.0.attn.proj.", "blocks.0.ls1.gamma"), {"blocks.0.mlp.fc2.", "blocks.0.ls2.gamma"}}) {
        scaled[std::string(layer) + "weight"] = scaled[std::string(layer) + "weight"] / gamma.unsqueeze(1);
        scaled[std::string(layer) + "bias"] = scaled[std::string(layer) + "bias"] / gamma;
        scaled[scale] = gamma;
    }
    save(scaled);
    opened = weights::open_encoder(folder / "a.safetensors", {.size = 96});
    CHECK(opened.origin == "DINOv2 (authors)");
    CHECK(mentions(opened.notes.at(0), {"LayerScale"}));
    save(tensors);
    CHECK(largest_difference(features_of(*opened.module, 3, 96), features_of(*weights::open_encoder(folder / "a.safetensors").module, 3, 96)) < 1e-5);
    // What our Vision Transformer does not have is told by name.
    tensors["reg_token"] = at::zeros({1, 4, 384});
    save(tensors);
    CHECK(mentions(message_of([&] { weights::open_encoder(folder / "a.safetensors"); }), {"a.safetensors (timm's names) does not fit the encoder: without a place in the encoder: reg_token"}));
}

TEST_CASE("a checkpoint opens as the network that its method exports, or the other one") {
    const TemporaryFolder folder;
    const encoders::ByName spec = encoders::ResNet{.depth = 18, .stem = Stem::strided, .width = 0.125};
    const auto online = spec.build(), target = spec.build();
    io::TensorFile file{.tensors = behind("encoder.", tensors_of(*online)), .metadata = {{"format", "doppel checkpoint 3"}, {"run.method", "dino"}, {"counter.step", "7"}}};
    file.tensors.merge(behind("target.encoder.", tensors_of(*target)));
    file.tensors.merge(behind("optimizer.momentum.encoder.", tensors_of(*spec.build())));
    for (const auto& [name, value] : weights::encoder_info(spec).metadata) file.metadata["encoder." + name] = value;
    const auto pipeline = views::eval_pipeline({.size = 48});
    for (const auto& [name, value] : weights::preprocessing_metadata(pipeline)) file.metadata["encoder." + name] = value;
    file.metadata["encoder.network"] = "target";
    const auto path = folder / "checkpoints" / "step-00000007.safetensors";
    std::filesystem::create_directories(path.parent_path());
    io::save_safetensors(path, file, io::Checksum::crc32);
    for (const auto& place : {path, folder.path()}) {
        const auto opened = weights::open_encoder(place);
        CHECK(opened.file == path);
        CHECK(opened.origin == "doppel checkpoint, dino, step 7, target.encoder");
        CHECK(opened.pipeline.describe() == pipeline.describe());
        CHECK(std::get<encoders::ResNet>(opened.spec.spec).stem == Stem::strided);
        CHECK(at::equal(features_of(*opened.module, 3, 48), features_of(*target, 3, 48)));
        CHECK(at::equal(features_of(*weights::open_encoder(place, {.network = Network::online}).module, 3, 48), features_of(*online, 3, 48)));
    }
    // A run folder's encoder.safetensors counts, unless a network is asked for.
    weights::save_encoder(folder / "encoder.safetensors", *online, pipeline, weights::encoder_info(spec).metadata);
    CHECK(weights::open_encoder(folder.path()).file == folder / "encoder.safetensors");
    CHECK(weights::open_encoder(folder.path(), {.network = Network::target}).file == path);
    io::save_safetensors(folder / "custom.safetensors", {.tensors = {{"x", at::zeros({1})}}, .metadata = {{"arch", "custom"}}});
    CHECK(mentions(message_of([&] { weights::open_encoder(folder / "custom.safetensors"); }), {"custom encoder", "load_into"}));
}

// Made by Python from the libraries' own networks, and converted by examples/convert.py.
TEST_CASE("files of other libraries open with their networks' features", "[data]") {
    const auto python = python_with({"torch", "torchvision", "timm", "safetensors"});
    if (!python) SKIP("needs a Python with torch, torchvision, timm and safetensors (./run test installs them where torch is pip's)");
    const TemporaryFolder folder;
    const auto script = source_folder() / "tests/weights/foreign_encoders.py", convert = source_folder() / "examples/convert.py";
    const auto [status, text] = run_python(*python, script.string() + " " + convert.string() + " " + folder.path().string());
    INFO(text);
    REQUIRE(status == 0);
    const std::map<std::string, std::string> origins{{"torchvision", "torchvision's names"},
                                                     {"torchvision_resnet50", "torchvision's names"},
                                                     {"moco", "MoCo (authors), module.encoder_q"},
                                                     {"simsiam", "SimSiam (authors), module.encoder"},
                                                     {"swav", "SwAV (authors), module"},
                                                     {"barlow_twins", "Barlow Twins (authors), module.backbone"},
                                                     {"vicreg", "VICReg (authors), module.backbone"},
                                                     {"lightly", "lightly, backbone"},
                                                     {"dino", "DINO (authors), teacher.backbone"},
                                                     {"timm_avg", "timm's names"},
                                                     {"dinov2", "DINOv2 (authors)"},
                                                     {"moco_v3", "MoCo v3 (authors), module.base_encoder"},
                                                     {"torchvision_vit", "torchvision"},
                                                     {"lightly_generated", "lightly, backbone"}};
    std::istringstream names(text);
    std::size_t count = 0;
    const at::NoGradGuard no_grad;
    for (std::string name; names >> name; ++count) {
        INFO(name);
        const auto io = io::load_safetensors(folder / (name + ".io.safetensors")).tensors;
        const auto opened = weights::open_encoder(folder / (name + ".safetensors"), {.size = static_cast<int>(io.at("images").size(2))});
        CHECK(opened.origin == origins.at(name));
        const Tensor features = opened.module->forward(io.at("images"));
        REQUIRE(features.sizes() == io.at("features").sizes());
        CHECK((largest_difference(features, io.at("features")) / io.at("features").abs().max().item<double>()) < 1e-5);
    }
    CHECK(count >= 13);
}
