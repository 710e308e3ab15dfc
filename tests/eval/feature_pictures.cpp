// SPDX-License-Identifier: Apache-2.0
#include <doppel/eval/feature_pictures.hpp>

#include "support/feature_rows.hpp"

using namespace doppel;
using namespace doppel::test;
using doppel::eval::feature_pictures;

namespace {

std::array<int, 3> color(const Image& image, int x, int y) {
    const auto* p = image.at(x, y);
    return {p[0], p[1], p[2]};
}

}  // namespace

TEST_CASE("patches that are alike have one color, in all pictures") {
    // Two images of 2 x 4 patches: the left half one kind, the right half another, two patches of a third
    const Tensor kinds = normal_rows({3, 12}, 1);
    const Tensor kind = at::tensor({0, 0, 1, 1, 0, 0, 1, 2, 0, 0, 1, 1, 0, 2, 1, 1}, at::kLong);
    const Tensor patches = kinds.index_select(0, kind).view({2, 2, 4, 12});
    const auto pictures = feature_pictures(patches, 20, 41);
    REQUIRE(pictures.images.size() == 2);
    CHECK(pictures.share == Approx(1).epsilon(1e-6));
    for (const auto& image : pictures.images) CHECK(image.shape() == Shape{41, 20, 3});
    const auto& [first, second] = std::pair{pictures.images[0], pictures.images[1]};
    const auto left = color(first, 0, 0), right = color(first, 40, 0), third = color(first, 40, 19);
    CHECK(left != right);
    CHECK(left != third);
    CHECK(right != third);
    CHECK(color(first, 20, 9) == left);  // column 20 of 41 is the second patch's, row 9 of 20 the first's
    CHECK(color(first, 21, 9) == right);
    CHECK(color(second, 0, 19) == left);
    CHECK(color(second, 15, 19) == third);
    CHECK(color(second, 40, 19) == right);
    // three kinds span two directions: blue, the third component, is medium
    CHECK(left[2] == 128);
    // the extremes of the first component
    CHECK(std::max({left[0], right[0], third[0]}) == 255);
    CHECK(std::min({left[0], right[0], third[0]}) == 0);
}

TEST_CASE("red, green and blue are the first three principal components, each from its 1st percentile to its 99th") {
    // 200 patches of one pixel each; directions of different length, far from the origin
    const Tensor rows = (normal_rows({200, 6}, 3) * at::tensor({1., 5., 2., 0.1, 0.2, 3.}) + 40).to(at::kDouble);
    const auto pictures = feature_pictures(rows.view({2, 5, 20, 6}), 5, 20);
    const auto [left, sizes, right] = at::linalg_svd(rows - rows.mean(0), false);
    CHECK(pictures.share == Approx((sizes.narrow(0, 0, 3).square().sum() / sizes.square().sum()).item<double>()).epsilon(1e-5));
    for (int channel = 0; channel < 3; ++channel) {
        const Tensor values = left.select(1, channel), sorted = std::get<0>(values.sort());
        const double low = sorted[2].item<double>(), high = sorted[197].item<double>();  // 0.01 · 199 and 0.99 · 199, rounded
        const Tensor expected = ((values - low) / (high - low)).clamp(0, 1) * 255;
        int same = 0, turned = 0;  // a component has no sign
        for (int i = 0; i < 200; ++i) {
            const int shown = pictures.images[static_cast<std::size_t>(i / 100)].at(i % 20, i % 100 / 20)[channel];
            same += std::abs(shown - expected[i].item<double>()) < 1.01;
            turned += std::abs(shown - (255 - expected[i].item<double>())) < 1.01;
        }
        INFO("channel " << channel);
        CHECK(std::max(same, turned) == 200);
    }
}

TEST_CASE("a single outlier does not take the colors from the rest") {
    Tensor patches = normal_rows({4, 10, 10, 8}, 2);
    patches[0][0][0] *= 1000;
    const auto picture = feature_pictures(patches, 10, 10).images[1];
    int low = 255, high = 0;
    for (int y = 0; y < 10; ++y)
        for (int x = 0; x < 10; ++x) low = std::min<int>(low, picture.at(x, y)[1]), high = std::max<int>(high, picture.at(x, y)[1]);
    CHECK(low < 40);
    CHECK(high > 215);
}

TEST_CASE("feature pictures reject what they cannot show") {
    CHECK(mentions(message_of([] { feature_pictures(at::ones({2, 3, 4}), 8, 8); }), {"feature_pictures", "[n, rows, columns, features]", "[2, 3, 4]"}));
    CHECK(mentions(message_of([] { feature_pictures(normal_rows({1, 4, 4, 5}, 1), 3, 8); }), {"feature_pictures", "pixel per patch", "4 x 4", "8 x 3"}));
    CHECK(mentions(message_of([] { feature_pictures(normal_rows({1, 4, 4, 2}, 1), 8, 8); }), {"feature_pictures", "at least 3"}));
    CHECK(mentions(message_of([] { feature_pictures(normal_rows({1, 4, 4, 5}, 1) / 0, 8, 8); }), {"NaN or infinity"}));
}
