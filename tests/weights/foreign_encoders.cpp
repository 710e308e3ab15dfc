// SPDX-License-Identifier: Apache-2.0
// Files as other libraries name them, made by Python from their own networks and converted by examples/convert.py: open_encoder()
// gives these networks' features. Counts as a test with data of its own: it is skipped without the packages.
#include <doppel/weights/open.hpp>

#include "support/python.hpp"
#include "support/torch_support.hpp"

#include <sstream>

using namespace doppel;
using namespace doppel::test;

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
