// SPDX-License-Identifier: Apache-2.0
#include <doppel/options/groups.hpp>

#include "support/options.hpp"

using namespace doppel;
using namespace doppel::test;
using namespace doppel::options;

static_assert(described<Training<Defaults>> && described<Crops<Defaults>> && described<LocalCrops<Defaults>>);

TEST_CASE("an initializer of a group keeps the method's other defaults") {
    const Example o{.train = {.epochs = 7}};
    CHECK(o.train.epochs == 7);
    CHECK(o.train.base_lr == 0.4);
    CHECK(o.train.weight_decay == 1e-6);
    CHECK(o.train.peak_lr(512) == 0.8);
    CHECK(o.train.peak_lr(128) == 0.2);
    CHECK(Example{.train = {.lr = 0.3}}.train.peak_lr(512) == 0.3);
}

TEST_CASE("the group of crops is what a pipeline asks for") {
    const CropOptions crops = Crops<Values>{.size = 63, .channels = 1, .min_scale = 0.5, .pillow_blur = true};
    CHECK(crops.size == 63);
    CHECK(crops.channels == 1);
    CHECK(crops.min_scale == 0.5);
    CHECK(crops.pillow_blur);
    CHECK(crops.small());
    CHECK(!Crops<Values>{.size = 64}.small());
}
