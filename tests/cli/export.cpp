// SPDX-License-Identifier: Apache-2.0
#include <doppel/cli/export.hpp>
#include <doppel/encoders/torch_script.hpp>
#include <doppel/views/views.hpp>

#include "support/torch_support.hpp"
#include "support/weights.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

int exported(std::vector<std::string> words) {
    words.insert(words.begin(), "export");
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    return cli::export_weights(static_cast<int>(argv.size()), argv.data());
}

}  // namespace

TEST_CASE("an encoder of anyone is exported as safetensors and as TorchScript, with what the file said") {
    const TemporaryFolder folder;
    const encoders::ByName spec = encoders::ResNet{.depth = 18, .width = 0.125};
    const auto online = spec.build(), target = spec.build();
    const auto before = tensors_of(*online);
    io::TensorFile both{.tensors = behind("module.encoder_q.", before)};
    both.tensors.merge(behind("module.encoder_k.", tensors_of(*target)));
    const auto from = (folder / "moco.safetensors").string();
    io::save_safetensors(from, both);
    const auto out = (folder / "out.safetensors").string(), script = (folder / "out.pt").string();
    CHECK(exported({from, out}) == 0);
    const auto opened = weights::open_encoder(out);
    CHECK(same_tensors(before, io::load_safetensors(out).tensors));
    CHECK(opened.metadata.at("origin") == "MoCo (authors), module.encoder_q");
    CHECK(opened.metadata.at("arch") == "resnet18");
    CHECK(opened.metadata.at("feature_dim") == "64");
    CHECK(opened.pipeline.describe() == views::eval_pipeline({.size = 224}).describe());
    CHECK(exported({from, script, "--network", "target", "--size", "112"}) == 0);
    const auto net = encoders::TorchScript{.path = script}.build();
    net->eval();
    target->eval();
    const at::NoGradGuard no_grad;
    const Tensor images = wave({2, 3, 64, 64}, 0.7, 0.1, at::kFloat);
    CHECK(largest_difference(net->forward(images), target->forward(images)) < 1e-5);
    CHECK(exported({from, (folder / "b.onnx").string()}) == 0);
    CHECK(std::filesystem::exists(folder / "b.safetensors"));
}

TEST_CASE("wrong exports end with status 2") {
    const TemporaryFolder folder;
    CHECK(exported({"--help"}) == 0);
    CHECK(exported({(folder / "none").string(), (folder / "a.pt").string()}) == 2);
    CHECK(exported({(folder / "none").string()}) == 2);
    CHECK(exported({folder.path().string(), (folder / "a.h5").string()}) == 2);
    CHECK_FALSE(std::filesystem::exists(folder / "a.pt"));
}
