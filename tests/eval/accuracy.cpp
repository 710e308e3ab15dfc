// SPDX-License-Identifier: Apache-2.0
// eval::accuracy_of against loops, wilson() against the equation that defines its ends, and their errors.
#include <doppel/eval/accuracy.hpp>

#include <ATen/ops/randint.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <torch/utils.h>

#include <cmath>
#include <limits>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;
using eval::accuracy_of;
using eval::wilson;

TEST_CASE("the ends of wilson's interval are the shares from which the seen one is 1.96 standard deviations away") {
    for (const auto& [right, of] : {std::pair{1, 10}, {8, 10}, {71, 100}, {5000, 10000}, {9999, 10000}}) {
        const auto interval = wilson(right, of);
        const double seen = static_cast<double>(right) / of;
        CHECK(interval.low < seen);
        CHECK(interval.high > seen);
        for (const double end : {interval.low, interval.high})
            CHECK(std::abs(seen - end) / std::sqrt(end * (1 - end) / of) == Approx(1.959963984540054).epsilon(1e-9));
    }
    // statsmodels 0.14, proportion_confint(71, 100, method="wilson")
    CHECK(wilson(71, 100).low == Approx(0.6146).margin(5e-5));
    CHECK(wilson(71, 100).high == Approx(0.7899).margin(5e-5));
}

TEST_CASE("wilson's interval of none, of all and of no cases") {
    CHECK(wilson(0, 20).low == 0);
    CHECK(wilson(0, 20).high == Approx(3.8414588 / 23.8414588).epsilon(1e-6));
    CHECK(wilson(20, 20).high == 1);
    CHECK(wilson(20, 20).low == Approx(20 / 23.8414588).epsilon(1e-6));
    CHECK(wilson(0, 0).low == 0);
    CHECK(wilson(0, 0).high == 1);
    says([] { wilson(3, 2); }, {"wilson", "3 of 2"});
    says([] { wilson(-1, 2); }, {"wilson", "-1 of 2"});
}

TEST_CASE("accuracy equals loops over images and classes, with equal scores and a class without images") {
    torch::manual_seed(1);
    const std::int64_t count = 200, classes = 9;
    const Tensor scores = at::randint(0, 12, {count, classes}, at::kDouble);  // many equal scores
    Tensor labels = at::randint(0, classes - 1, {count}, at::kLong);          // none of the last class
    for (const auto type : {at::kDouble, at::kFloat, at::kBFloat16}) {
        const auto found = accuracy_of(scores.to(type), labels);
        std::vector<std::int64_t> confusion(static_cast<std::size_t>(classes * classes)), images(static_cast<std::size_t>(classes));
        std::int64_t right = 0, in_five = 0;
        for (std::int64_t i = 0; i < count; ++i) {
            const double* row = scores.const_data_ptr<double>() + i * classes;
            const auto label = labels.const_data_ptr<std::int64_t>()[i];
            std::int64_t best = 0, ahead = 0;
            for (std::int64_t c = 0; c < classes; ++c) {
                if (row[c] > row[best]) best = c;
                ahead += row[c] > row[label] || (row[c] == row[label] && c < label);
            }
            right += best == label;
            in_five += ahead < 5;
            ++images[static_cast<std::size_t>(label)];
            ++confusion[static_cast<std::size_t>(label * classes + best)];
        }
        CHECK(found.count == count);
        CHECK(found.top1 == static_cast<double>(right) / count);
        CHECK(found.top5 == static_cast<double>(in_five) / count);
        CHECK(found.interval.low == wilson(right, count).low);
        CHECK(found.interval.high == wilson(right, count).high);
        REQUIRE(found.confusion.sizes() == at::IntArrayRef({classes, classes}));
        CHECK(at::equal(found.confusion.flatten(), at::tensor(confusion)));
        REQUIRE(found.per_class.size() == static_cast<std::size_t>(classes));
        double mean = 0;
        for (std::size_t c = 0; c + 1 < found.per_class.size(); ++c) {
            const auto own = confusion[c * static_cast<std::size_t>(classes) + c];
            CHECK(found.per_class[c] == static_cast<double>(own) / static_cast<double>(images[c]));
            mean += found.per_class[c] / (classes - 1);
        }
        CHECK(std::isnan(found.per_class.back()));
        CHECK(found.mean_per_class == Approx(mean).epsilon(1e-12));
    }
}

TEST_CASE("accuracy of a classifier that is right for one class alone") {
    const Tensor scores = at::tensor({1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0}).view({4, 2});
    const auto found = accuracy_of(scores, at::tensor({0, 0, 0, 1}, at::kLong));
    CHECK(found.top1 == 0.75);
    CHECK(found.top5 == 1);
    CHECK(found.mean_per_class == 0.5);
    CHECK(found.per_class == std::vector<double>{1, 0});
    CHECK(at::equal(found.confusion, at::tensor({3, 0, 1, 0}, at::kLong).view({2, 2})));
}

TEST_CASE("infinite scores are scores") {
    const double infinity = std::numeric_limits<double>::infinity();
    const Tensor scores = at::tensor({-infinity, 0.0, infinity, 5.0}).view({2, 2});
    CHECK(accuracy_of(scores, at::tensor({1, 0}, at::kLong)).top1 == 1);
}

TEST_CASE("accuracy says what is wrong in one line") {
    const Tensor scores = at::zeros({3, 2}), labels = at::zeros({3}, at::kLong);
    says([&] { accuracy_of(at::zeros({3}), labels); }, {"accuracy: scores", "[images, classes]", "got [3]"});
    says([&] { accuracy_of(at::zeros({0, 2}), labels); }, {"accuracy: scores", "not empty", "got [0, 2]"});
    says([&] { accuracy_of(scores.to(at::kLong), labels); }, {"accuracy: scores", "floating", "Long"});
    says([&] { accuracy_of(scores, labels.narrow(0, 0, 2)); }, {"accuracy: labels must be [3]", "got [2]"});
    says([&] { accuracy_of(scores, labels.to(at::kInt)); }, {"accuracy: labels", "int64", "Int"});
    says([&] { accuracy_of(scores, labels + 2); }, {"accuracy: labels must be from 0 to 1", "got 2"});
    says([&] { accuracy_of(scores, labels - 1); }, {"accuracy: labels", "got -1", "without a label", "leave"});
    Tensor strange = scores.clone();
    strange[1][1] = std::nan("");
    says([&] { accuracy_of(strange, labels); }, {"accuracy: scores", "NaN in row 1", "first of 1"});
    const eval::Predictions predictions{labels, labels == 0};
    says([&] { accuracy_of(predictions, at::zeros({0}, at::kLong), 2); }, {"accuracy", "at least one label"});
    says([&] { accuracy_of(predictions, labels, 0); }, {"classes", "got 0"});
    says([&] { accuracy_of(eval::Predictions{labels + 3, labels == 0}, labels, 2); }, {"predictions", "got 3"});
    says([&] { accuracy_of(eval::Predictions{labels, labels}, labels, 2); }, {"in_top5", "[3] bool"});
}
