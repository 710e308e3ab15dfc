// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/by_name.hpp>
#include <doppel/weights/names.hpp>

#include "support/torch_support.hpp"
#include "support/weights.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("encoders stand behind any prefix; heads, queues and other networks are left aside") {
    const auto net = encoders::ResNet{.depth = 18, .width = 0.125}.build();
    const auto tensors = tensors_of(*net);
    struct Case {
        std::string prefix, other, origin;
        Network network;
    };
    for (const auto& [prefix, other, origin, network] : std::vector<Case>{
             {"", "fc.weight", "torchvision's names", Network::online},
             {"module.encoder_q.", "module.queue", "MoCo (authors), module.encoder_q", Network::online},
             {"module.encoder_k.", "module.encoder_k.fc.weight", "MoCo (authors), module.encoder_k", Network::target},
             {"module.momentum_encoder.", "module.predictor.0.weight", "MoCo v3 (authors), module.momentum_encoder", Network::target},
             {"module.encoder.", "module.predictor.0.weight", "SimSiam (authors), module.encoder", Network::online},
             {"module.", "module.prototypes.weight", "SwAV (authors), module", Network::online},
             {"module.backbone.", "module.projector.0.weight", "VICReg (authors), module.backbone", Network::online},
             {"student_backbone.", "teacher_backbone.fc.weight", "lightly, student_backbone", Network::online},
             {"backbone_momentum.", "projection_head.layers.0.weight", "lightly, backbone_momentum", Network::target},
             {"online_network.", "optimizer.0", "torchvision's names, online_network", Network::online},
             {"target_network.", "optimizer.0", "torchvision's names, target_network", Network::target},
             {"teacher.backbone.", "teacher.head.mlp.0.weight", "DINO (authors), teacher.backbone", Network::target}}) {
        INFO(prefix);
        io::TensorFile file{.tensors = behind(prefix, tensors)};
        file.tensors[other] = at::ones({1});
        const auto found = weights::named_encoder(file, "x");
        CHECK(found.origin == origin);
        CHECK(found.network == network);
        CHECK(found.left_aside == std::vector{other});
        CHECK(same_tensors(found.tensors, tensors));
    }
    io::TensorFile barlow{.tensors = behind("module.backbone.", tensors)};
    barlow.tensors["module.projector.0.weight"] = barlow.tensors["module.bn.running_mean"] = at::ones({1});
    CHECK(weights::named_encoder(barlow, "x").origin == "Barlow Twins (authors), module.backbone");
}

TEST_CASE("of two networks the wanted one is taken, else a teacher, else the online one") {
    const auto one = tensors_of(*encoders::ResNet{.depth = 18, .width = 0.125}.build());
    const auto two = tensors_of(*encoders::ResNet{.depth = 18, .width = 0.125}.build());
    const auto both = [&](const std::string& online, const std::string& target) {
        io::TensorFile file{.tensors = behind(online, one)};
        file.tensors.merge(behind(target, two));
        return file;
    };
    const auto moco = both("module.encoder_q.", "module.encoder_k."), dino = both("student.module.backbone.", "teacher.backbone.");
    CHECK(same_tensors(weights::named_encoder(moco, "x").tensors, one));
    CHECK(same_tensors(weights::named_encoder(moco, "x", Network::target).tensors, two));
    CHECK(same_tensors(weights::named_encoder(dino, "x").tensors, two));
    CHECK(same_tensors(weights::named_encoder(dino, "x", Network::online).tensors, one));
    CHECK(weights::named_encoder(dino, "x").notes ==
          std::vector<std::string>{"networks in the file: student.module.backbone., teacher.backbone.; taken: teacher.backbone."});
    const io::TensorFile single{.tensors = behind("encoder_q.", one)};
    CHECK(message_of([&] { weights::named_encoder(single, "weights: a", Network::target); }) == "weights: a: has no target network; its networks: encoder_q.");
    auto checkpoint = both("encoder.", "target.encoder.");
    checkpoint.metadata = {{"format", "doppel checkpoint 3"}, {"run.method", "byol"}, {"counter.step", "12"}};
    CHECK(weights::named_encoder(checkpoint, "x").origin == "doppel checkpoint, byol, step 12, encoder");
    checkpoint.metadata["encoder.network"] = "target";
    CHECK(same_tensors(weights::named_encoder(checkpoint, "x").tensors, two));
}

TEST_CASE("a Sequential of a network's children is read by their numbers") {
    const auto tensors = tensors_of(*encoders::ResNet{.depth = 18, .width = 0.125}.build());
    for (const auto& numbers : {std::vector<std::string>{"0", "1", "4", "5", "6", "7"}, {"0", "1", "2", "3", "4", "5"}, {"0", "1", "8", "9", "10", "11"}}) {
        io::TensorFile file;
        for (const auto& [name, tensor] : tensors) {
            std::size_t part = 0;
            for (const char* own : {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}) {
                if (name.starts_with(own)) file.tensors["backbone." + numbers[part] + name.substr(std::string(own).size())] = tensor;
                ++part;
            }
        }
        REQUIRE(file.tensors.size() == tensors.size());
        if (numbers[2] == "2") {
            CHECK(mentions(message_of([&] { weights::named_encoder(file, "x"); }), {"backbone. is a Sequential", "no ReLU"}));
            continue;
        }
        const auto found = weights::named_encoder(file, "x");
        CHECK(found.origin == "lightly, backbone");
        CHECK(same_tensors(found.tensors, tensors));
    }
}

TEST_CASE("a file without encoders is rejected with what it holds") {
    const io::TensorFile file{.tensors = {{"a.weight", at::zeros({2, 3})}, {"b", at::zeros({1})}}};
    CHECK(mentions(message_of([&] { weights::named_encoder(file, "weights: a"); }), {"weights: a: has no ResNet and no Vision Transformer", "2 tensors", "a.weight [2, 3], b [1]"}));
    CHECK(mentions(message_of([&] { weights::named_encoder({}, "weights: a"); }), {"0 tensors begin with nothing"}));
}
