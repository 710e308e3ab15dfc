// SPDX-License-Identifier: Apache-2.0
#include <doppel/augment/center_crop.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/eval/labeled_images.hpp>
#include <doppel/eval/view_features.hpp>
#include <doppel/image/resize.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

const encoders::ResNet small{.depth = 18, .stem = Stem::strided, .width = 0.125};
augment::Pipeline plain() { return augment::Pipeline({.size = 16, .operations = {augment::Resize{.size = 16, .filter = image::Filter::bicubic}}}); }

}  // namespace

TEST_CASE("every image has its own draws, whatever the batch and the threads are") {
    const data::Dataset images = data::Embedded({.count = 5});
    const auto view = eval::training_view(plain());
    auto net = small.build();
    const Tensor rows = eval::view_features(net, images, view, 3, {.batch_size = 256}, 7);
    REQUIRE(rows.sizes() == at::IntArrayRef({5, 3, 64}));
    CHECK(largest_difference(rows, eval::view_features(net, images, view, 3, {.batch_size = 4, .workers = 2}, 7)) < 1e-5);
    CHECK(largest_difference(rows, eval::view_features(net, images, view, 3, {}, 8)) > 1e-3);  // another seed, other crops
    CHECK(largest_difference(rows.select(1, 0), rows.select(1, 1)) > 1e-3);
    CHECK(net->is_training());

    // By hand: view 2 of image 3.
    const at::NoGradGuard no_grad;
    Tensor one = at::empty({1, 3, 16, 16});
    view(images.image(3), random::Stream({.seed = 7, .index = 3, .view = 2}), std::span<float>(one.data_ptr<float>(), 3 * 16 * 16));
    net->eval();
    CHECK(largest_difference(net->forward(one)[0], rows[3][2]) < 1e-4);
}
