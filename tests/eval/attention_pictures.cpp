// SPDX-License-Identifier: Apache-2.0
#include <doppel/eval/attention_pictures.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("pictures glow where the attention is, and a sheet holds them in rows") {
    Image image(8, 8, 3);
    Tensor map = at::zeros({2, 2});
    map[0][1] = 0.2;
    const Image picture = eval::attention_picture(image, map);
    CHECK(picture.at(7, 0)[0] > 130);
    CHECK(picture.at(7, 0)[2] > 130);
    CHECK(picture.at(0, 7)[0] == 0);
    const Image all = eval::sheet({{image, picture}, {picture}}, 2);
    CHECK(all.width == 18);
    CHECK(all.height == 18);
    CHECK(all.at(17, 0)[0] == picture.at(7, 0)[0]);
    CHECK(all.at(8, 0)[0] == 255);    // the gap
    CHECK(all.at(12, 12)[0] == 255);  // no picture there
    CHECK(mentions(message_of([&] { eval::sheet({{image, Image(4, 8, 3)}}); }), {"8 x 8", "4 x 8"}));
}
