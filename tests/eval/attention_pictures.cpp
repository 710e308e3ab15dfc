// SPDX-License-Identifier: Apache-2.0
#include <doppel/eval/attention_pictures.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("pictures glow where the attention is") {
    Image image(8, 8, 3);
    Tensor map = at::zeros({2, 2});
    map[0][1] = 0.2;
    const Image picture = eval::attention_picture(image, map);
    CHECK(picture.at(7, 0)[0] > 130);
    CHECK(picture.at(7, 0)[2] > 130);
    CHECK(picture.at(0, 7)[0] == 0);
}
