// SPDX-License-Identifier: Apache-2.0
#include <doppel/eval/lidar.hpp>

#include "support/feature_rows.hpp"

using namespace doppel;
using namespace doppel::test;
using doppel::eval::lidar;

TEST_CASE("LiDAR is that of its definition, by scipy") {
    const auto expected = fixture("measures.txt", "lidar");
    CHECK(lidar(tall_features(), 4) == Approx(expected.at("4_0.0001")[0]).epsilon(1e-9));
    CHECK(lidar(tall_features(), 3, {.delta = 0.1}) == Approx(expected.at("3_0.1")[0]).epsilon(1e-9));
    CHECK(lidar(wide_features().narrow(0, 0, 8), 2, {.delta = 0.01}) == Approx(expected.at("wide")[0]).epsilon(1e-7));
    CHECK(lidar(tall_features().to(at::kFloat), 4) == Approx(expected.at("4_0.0001")[0]).epsilon(1e-4));
}

TEST_CASE("LiDAR counts the directions of images, and not those of their views") {
    // three directions in which images differ, five in which only views do, at ten times the spread
    const std::int64_t images = 1500, views = 4;
    const Tensor of_images = normal_rows({images, 1, 3}, 1).expand({images, views, 3}), of_views = 10 * normal_rows({images, views, 5}, 2);
    const Tensor rows = at::cat({of_images + 0.1 * normal_rows({images, views, 3}, 3), of_views}, 2).flatten(0, 1);  // [6000, 8]
    CHECK(lidar(rows, views) == Approx(3).epsilon(0.05));
    CHECK(lidar(rows.mm(rotation(8, 4).to(at::kFloat)), views) == Approx(lidar(rows, views)).epsilon(1e-3));
}

TEST_CASE("LiDAR of features that do not vary is 1") {
    CHECK(lidar(at::ones({12, 4}), 3) == 1);
    CHECK(lidar(normal_rows({1, 4}, 1).expand({12, 4}), 3) == Approx(1).epsilon(1e-6));
}

TEST_CASE("LiDAR rejects what it cannot measure") {
    CHECK(mentions(message_of([] { lidar(at::ones({10, 3}), 3); }), {"lidar", "3 rows per image", "got 10 rows"}));
    CHECK(mentions(message_of([] { lidar(at::ones({10, 3}), 1); }), {"lidar", "at least 2 views"}));
    CHECK(mentions(message_of([] { lidar(at::ones({2, 3}), 2); }), {"lidar", "at least 4"}));
    CHECK(mentions(message_of([] { lidar(at::ones({4, 3}), 2, {.delta = 0}); }), {"lidar", "delta"}));
    CHECK(mentions(message_of([] { lidar(damaged_features(), 2); }), {"lidar", "NaN"}));
}
