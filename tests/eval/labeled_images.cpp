// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/memory.hpp>
#include <doppel/eval/labeled_images.hpp>
#include <doppel/views/simclr.hpp>

#include "support/support.hpp"

#include <algorithm>
#include <numeric>

using namespace doppel;
using namespace doppel::test;

namespace {

data::Dataset with_labels(std::vector<std::int64_t> labels, std::vector<std::string> classes = {"a", "b", "c"}) {
    std::vector<Image> images(labels.size(), Image(8, 8, 3));
    return data::Memory(std::move(images), std::move(labels), std::move(classes));
}

}  // namespace

TEST_CASE("images without labels, of one class, or of other classes are rejected, with their number") {
    const auto says = [](const data::Dataset& images, std::int64_t classes) {
        return message_of([&] { eval::require_labeled("probe", "validation", images, classes); });
    };
    CHECK(says(with_labels({0, 1, 2, 0}), 3) == "");
    CHECK(
        mentions(says(with_labels({0, -1, 2, -1}), 3), {"probe", "2 of 4 validation images have no label", "image 1"}));
    CHECK(mentions(says(with_labels({0, 1, 2}), 2), {"image 2 has label 2", "2 classes"}));
    CHECK(mentions(says(with_labels({0, 0}, {"a"}), 1), {"at least two classes", "got 1 class"}));
    CHECK(mentions(says({}, 3), {"no validation images"}));
}

TEST_CASE("each class holds out its share, but never its last image") {
    std::vector<std::int64_t> labels(60, 0);
    std::fill(labels.begin() + 40, labels.begin() + 58, 1);
    labels[58] = labels[59] = 2;
    const auto images = with_labels(labels);
    const auto held = eval::held_out(images, 0.1, 1);
    CHECK(std::is_sorted(held.begin(), held.end()));
    std::vector<int> count(3);
    for (const auto i : held) ++count[static_cast<std::size_t>(images.label(i))];
    CHECK(count == std::vector<int>{4, 2, 1});
    CHECK(eval::held_out(images, 0.1, 1) == held);
    CHECK(eval::held_out(images, 0.1, 2) != held);
    CHECK(eval::held_out(with_labels({0, 1, 2}), 0.1, 1).empty());  // each class has one image
    CHECK(mentions(message_of([&] { eval::held_out(images, 1, 1); }), {"share", "got 1"}));
}

TEST_CASE("the training view has the evaluation view's size, channels, normalization and kernel") {
    const auto small = eval::training_view(views::simclr_small(32).eval);
    CHECK(small.size() == 32);
    CHECK(mentions(small.describe(), {"random_resized_crop(size=32, scale=[0.08, 1]", "filter=bilinear",
                                      "horizontal_flip(p=0.5)", "normalize"}));
    const augment::Pipeline eval(
        {.size = 48,
         .operations = {augment::Resize{.size = 55, .filter = image::Filter::bicubic}, augment::CenterCrop{.size = 48}},
         .normalize = augment::cifar10_normalize,
         .channels = 1});
    const auto view = eval::training_view(eval, 0.3);
    CHECK(view.channels() == 1);
    CHECK(mentions(view.describe(), {"size=48, scale=[0.3, 1]", "filter=bicubic", eval.normalize().describe()}));
    CHECK(mentions(message_of([] { eval::training_view({}); }), {"evaluation pipeline is empty"}));
}
