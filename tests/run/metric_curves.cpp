// SPDX-License-Identifier: Apache-2.0
#include <doppel/run/metric_curves.hpp>

#include "support/support.hpp"

#include <cmath>
#include <limits>

using namespace doppel;
using Json = nlohmann::ordered_json;

namespace {

const eval::Curve* named(const std::vector<eval::Curve>& curves, const std::string& name) {
    for (const auto& curve : curves)
        if (curve.name == name) return &curve;
    return nullptr;
}

}  // namespace

TEST_CASE("The curves of a run are those of its lines, accuracies beside their baselines") {
    const std::vector<Json> lines{{{"step", 0}, {"epoch", 0}, {"knn_top1_pixels", 0.3}, {"knn_top1_random", 0.2}, {"event", "baselines"}},
                                  {{"step", 5}, {"epoch", 0.5}, {"loss", 5.0}, {"lr", 0.1}, {"images_per_second", 100}, {"grad_norm", 2.0}, {"feature_std", 0.05}, {"koleo", 1.5}, {"mine", 7}},
                                  {{"step", 10}, {"epoch", 1}, {"loss", nullptr}, {"lr", 0.2}, {"images_per_second", 110}, {"grad_norm", 3.0}, {"feature_std", 0.06}, {"koleo", 1.4}},
                                  {{"step", 10}, {"epoch", 1}, {"knn_top1", 0.4}, {"online_top1", 0.45}, {"evaluation_seconds", 3}},
                                  {{"step", 20}, {"epoch", 2}, {"loss", 4.0}, {"knn_top1", 0.5}, {"online_top1", 0.5}, {"event", "end"}, {"evaluation_seconds", 3}}};
    const auto curves = run::metric_curves(lines, 256);
    const auto* loss = named(curves.main, "Loss");
    REQUIRE(loss);
    CHECK(loss->series[0].points == run::detail::Points{{0.5, 5}, {2, 4}});
    const auto* accuracy = named(curves.main, "Accuracy on validation images");
    REQUIRE(accuracy);
    REQUIRE(accuracy->series.size() == 4);
    CHECK(accuracy->series[0].name == "k-NN");
    CHECK(accuracy->series[0].points == run::detail::Points{{1, 0.4}, {2, 0.5}});
    CHECK(accuracy->series[1].name == "online probe");
    CHECK(accuracy->series[2].reference);
    CHECK(accuracy->series[2].points == run::detail::Points{{0, 0.3}, {2, 0.3}});
    CHECK(accuracy->series[3].points[0].second == 0.2);
    const auto* spread = named(curves.main, "Spread of the outputs");
    REQUIRE(spread);
    CHECK(spread->series.back().points[0].second == 1 / 16.0);
    CHECK(named(curves.main, "Gradient norm")->log_y);
    CHECK(named(curves.more, "Speed"));
    CHECK(named(curves.more, "koleo"));
    for (const char* name : {"step", "epoch", "evaluation_seconds", "knn_top1_pixels", "mine"}) CHECK_FALSE(named(curves.more, name));
}

TEST_CASE("What was measured once, or not at all, has no curve, and a level alone has none") {
    const auto curves = run::metric_curves({{{"epoch", 0}, {"knn_top1_pixels", 0.3}}, {{"epoch", 1}, {"loss", 5.0}, {"knn_top1", 0.4}}}, 0);
    CHECK(curves.main.empty());
    CHECK(curves.more.empty());
    CHECK(run::metric_curves({}, 0).main.empty());
}

TEST_CASE("A line of an earlier end does not lead back") {
    const std::vector<Json> lines{{{"epoch", 1}, {"loss", 5.0}}, {{"epoch", 2}, {"loss", 4.0}}, {{"epoch", 1.5}, {"loss", 9.0}}, {{"epoch", 3}, {"loss", 3.0}}};
    CHECK(run::detail::points_of(lines, "loss") == run::detail::Points{{1, 5}, {2, 4}, {3, 3}});
}
