// SPDX-License-Identifier: Apache-2.0
#include <doppel/weights/encoder_info.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("an encoder's architecture in words and as metadata") {
    const auto vit = weights::encoder_info(encoders::from_name("vit_ti4", 32));
    CHECK(vit.metadata.at("patch") == "4");
    CHECK(weights::encoder_info(encoders::ResNet{.depth = 50}).text == "resnet50, imagenet stem");
    CHECK(weights::EncoderInfo{}.metadata.at("arch") == "custom");
}

TEST_CASE("a recipe's encoder tells its architecture where it is a shipped one") {
    const weights::EncoderInfo mine{.text = "mine"};
    struct Named {
        encoders::ResNet encoder{.depth = 18, .stem = Stem::cifar};
    };
    struct Custom {
        int encoder = 0;
    };
    CHECK(weights::encoder_info_of(Named{}, mine).text == "resnet18, cifar stem");
    CHECK(weights::encoder_info_of(Custom{}, mine).text == "mine");
}
