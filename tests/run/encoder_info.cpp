// SPDX-License-Identifier: Apache-2.0
#include <doppel/run/encoder_info.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("an encoder's architecture in words and as metadata") {
    const auto vit = run::encoder_info(encoders::from_name("vit_ti4", 32));
    CHECK(vit.metadata.at("patch") == "4");
    CHECK(run::encoder_info(encoders::ResNet{.depth = 50}).text == "resnet50, imagenet stem");
    CHECK(run::EncoderInfo{}.metadata.at("arch") == "custom");
}

TEST_CASE("a recipe's encoder tells its architecture where it is a shipped one") {
    const run::EncoderInfo mine{.text = "mine"};
    struct Named {
        encoders::ResNet encoder{.depth = 18, .stem = Stem::cifar};
    };
    struct Custom {
        int encoder = 0;
    };
    CHECK(run::encoder_info_of(Named{}, mine).text == "resnet18, cifar stem");
    CHECK(run::encoder_info_of(Custom{}, mine).text == "mine");
}
