// SPDX-License-Identifier: Apache-2.0
// eval::fit_logistic against scikit-learn (fixture: reference/make_logistic_fixtures.py), the choice of the strength, odd
// features and classes, and errors.
#include <doppel/data/idx.hpp>
#include <doppel/eval/few_labels.hpp>
#include <doppel/eval/logistic.hpp>

#include <limits>

#include "support/noise.hpp"
#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

struct Points {
    Tensor rows, labels;
};

/// The fixture's rows: classes of unequal size, one constant feature, one copy of another.
Points by_formula(std::int64_t count, std::int64_t stream) {
    const Tensor labels = at::tensor({0, 0, 0, 1, 1, 2, 3}, at::kLong).index({at::arange(count, at::kLong).remainder(7)});
    Tensor rows = noise({count, 12}, stream) + 0.4 * noise({4, 12}, 100).index_select(0, labels);
    const Tensor column = at::arange(12, at::kDouble);
    rows = rows * at::pow(3.0, column.remainder(3) - 1) + column;
    rows.select(1, 4).fill_(2.5);
    rows.select(1, 7).copy_(rows.select(1, 2));
    return {rows, labels};
}

double top1(const eval::LogisticProbe& probe, const Points& test) {
    return probe.scores(test.rows).argmax(1).eq(test.labels).to(at::kDouble).mean().item<double>();
}

/// The first images of Fashion-MNIST: pixels from 0 to 1, means of 2 x 2.
Points pixels(const std::filesystem::path& folder, data::Split split, std::int64_t count) {
    const data::Idx images = data::idx_folder(folder, split);
    Points points{at::empty({count, 784}), at::empty({count}, at::kLong)};
    for (std::int64_t i = 0; i < count; ++i) {
        const Image image = images.image(i);
        for (std::size_t p = 0; p < 784; ++p)
            points.rows.data_ptr<float>()[static_cast<std::size_t>(i) * 784 + p] =
                static_cast<float>(image.pixels[p * static_cast<std::size_t>(image.channels)]) / 255;
        points.labels.data_ptr<std::int64_t>()[i] = images.label(i);
    }
    points.rows = points.rows.view({count, 14, 2, 14, 2}).mean({2, 4}).flatten(1);
    return points;
}

}  // namespace

TEST_CASE("fit_logistic has scikit-learn's probabilities and loss, in float64 and in float32") {
    const Points train = by_formula(300, 1), test = by_formula(200, 2);
    const auto lines = fixture_lines("logistic.txt");
    int compared = 0;
    for (const auto& all : lines) {
        if (all.at(0) != "formula" || all.at(3) != "all") continue;
        for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
            const double strength = std::stod(all[2]);
            INFO("standardized " << all[1] << ", strength " << all[2] << ", " << c10::toString(type));
            const auto probe = eval::fit_logistic(
                train.rows.to(type), train.labels, 4,
                {.strengths = {strength}, .standardize = all[1] == "1", .tolerance = type == at::kDouble ? 1e-9 : 1e-5});
            CHECK(probe.converged);
            CHECK(probe.rows == 300);
            CHECK(probe.strength == strength);
            CHECK(probe.path.empty());
            CHECK(probe.weight.scalar_type() == type);
            const double tolerance = type == at::kDouble ? 1e-6 : 1e-3;
            CHECK(probe.loss == Approx(std::stod(all[5])).epsilon(type == at::kDouble ? 1e-8 : 1e-5));
            CHECK(top1(probe, test) == Approx(std::stod(all[4])).margin(type == at::kDouble ? 1e-9 : 0.005));
            const Tensor p = probe.scores(test.rows).softmax(1);
            for (const auto& line : lines) {
                if (line[0] != "formula" || line[1] != all[1] || line[2] != all[2] || line[3] == "all") continue;
                const auto expected = values_of(line, 4);
                for (std::size_t i = 0; i < expected.size(); ++i)
                    CHECK(p[static_cast<std::int64_t>(i)][std::stoll(line[3])].item<double>() ==
                          Approx(expected[i]).margin(tolerance));
                ++compared;
            }
            // Constant features have no weight; of two equal ones each has the same.
            CHECK(probe.weight.select(1, 4).abs().max().item<double>() == 0);
            CHECK(largest_difference(probe.weight.select(1, 2), probe.weight.select(1, 7)) < 1e-4);
        }
    }
    CHECK(compared == 2 * 6 * 4);
}

TEST_CASE("fit_logistic is within 0.2 points of scikit-learn on Fashion-MNIST, with its own strength no worse", "[data]") {
    const auto real = real_images("fashion-mnist");
    if (!real) SKIP("no fashion-mnist in DOPPEL_TEST_DATA");
    const Points train = pixels(*real, data::Split::train, 2000), test = pixels(*real, data::Split::test, 5000);
    int compared = 0;
    for (const auto& line : fixture_lines("logistic.txt")) {
        if (line.at(0) != "real") continue;
        const bool chosen = line[2] == "chosen";
        if (line[1] == "0" ? line[2] != "0.001" : line[2] == "0.001") continue;  // a few of them, for time
        INFO("standardized " << line[1] << ", strength " << line[2]);
        eval::LogisticOptions options{.standardize = line[1] == "1"};
        if (!chosen) options.strengths = {std::stod(line[2])};
        const auto probe = eval::fit_logistic(train.rows, train.labels, 10, options);
        CHECK(probe.converged);
        const double gain = top1(probe, test) - std::stod(line[4]);
        CHECK(gain >= -0.002);
        if (!chosen) CHECK(gain <= 0.002);
        if (!chosen) CHECK(probe.loss == Approx(std::stod(line[5])).epsilon(1e-4));
        ++compared;
    }
    CHECK(compared == 3);
}

TEST_CASE("the L2 strength is chosen on held-out training rows, and all rows are fitted") {
    const Points train = by_formula(300, 1), test = by_formula(200, 2);
    const auto probe = eval::fit_logistic(train.rows, train.labels, 4, {.seed = 1});
    CHECK(probe.rows == 300);
    CHECK(probe.held_out == 13 + 9 + 4 + 4);  // of 129, 86, 43 and 42
    REQUIRE(probe.path.size() >= 4);
    for (std::size_t i = 0; i < probe.path.size(); ++i) {
        const auto& tried = probe.path[i];
        CHECK((tried.top1 >= 0 && tried.top1 <= 1));
        CHECK((tried.strength == probe.strength) == (i + 3 == probe.path.size()));  // two more are tried
        if (i + 3 != probe.path.size()) CHECK(tried.loss >= probe.path[probe.path.size() - 3].loss);
    }
    CHECK(probe.path.front().strength == 1);
    CHECK_FALSE(probe.at_end);
    CHECK(top1(probe, test) > 0.6);
    CHECK(mentions(probe.protocol(), {"logistic regression on 300 labeled training images", "chosen on 30 of them"}));

    // The same fit as with this strength alone, and the same choice with the same seed.
    const auto alone = eval::fit_logistic(train.rows, train.labels, 4, {.strengths = {probe.strength}});
    CHECK(largest_difference(alone.weight, probe.weight) < 1e-3);
    const auto again = eval::fit_logistic(train.rows, train.labels, 4, {.seed = 1});
    CHECK(bit_equal(again.weight, probe.weight));

    // Labels that say nothing about the rows need the largest strength, at the end of the path.
    const Tensor shuffled = at::arange(300, at::kLong).mul(7919).remainder(300).remainder(4);
    const auto nothing = eval::fit_logistic(noise({300, 40}, 9), shuffled, 4, {.strengths = {10, 1e-5, 1e-6}});
    CHECK(nothing.strength == 10);
    CHECK(nothing.at_end);
    CHECK(eval::fit_logistic(train.rows, train.labels, 4, {.strengths = {10, 5}}).at_end);
}

TEST_CASE("hold_out_rows holds out a share of each class, but never a class's last row") {
    const Tensor labels = at::tensor({0, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2}, at::kLong);
    const auto parts = eval::detail::hold_out_rows(labels, 4, 0.1, 1);
    const Tensor held = labels.index_select(0, parts.held);
    CHECK(bit_equal(held, at::tensor({1, 2, 2}, at::kLong)));
    CHECK(bit_equal(std::get<0>(at::cat({parts.fit, parts.held}).sort()), at::arange(23, at::kLong)));
    CHECK_FALSE(at::equal(parts.held, eval::detail::hold_out_rows(labels, 4, 0.1, 2).held));
}

TEST_CASE("fit_logistic takes more features than rows, classes of one row or none, unlabeled rows and constant features") {
    const Points few = by_formula(14, 3);
    Tensor wide = at::cat({few.rows, noise({14, 100}, 4)}, 1).to(at::kFloat);
    const auto fitted = eval::fit_logistic(wide, few.labels, 6, {.strengths = {1e-3}});  // no rows of classes 4 and 5
    CHECK(fitted.converged);
    CHECK(fitted.weight.sizes() == at::IntArrayRef({6, 112}));
    CHECK(bit_equal(fitted.scores(wide).argmax(1), few.labels));
    CHECK(fitted.scores(wide).softmax(1).slice(1, 4).max().item<double>() < 1e-4);

    // A class of one row among others: the row stays in the fit, and a strength is chosen on the others.
    Points lonely = by_formula(40, 5);
    lonely.labels[0].fill_(4);
    const auto chosen = eval::fit_logistic(lonely.rows, lonely.labels, 5);
    CHECK(chosen.weight.size(0) == 5);
    CHECK(chosen.held_out == 2 + 1 + 1 + 1);

    // Unlabeled rows change nothing.
    const Points train = by_formula(140, 1);
    Tensor labels = train.labels.clone();
    labels.slice(0, 70).fill_(data::unlabeled);
    const auto left_out = eval::fit_logistic(train.rows, labels, 4, {.strengths = {0.01}});
    const auto half = eval::fit_logistic(train.rows.slice(0, 0, 70), labels.slice(0, 0, 70), 4, {.strengths = {0.01}});
    CHECK(left_out.rows == 70);
    CHECK(bit_equal(left_out.weight, half.weight));

    // Features of a collapsed encoder: the most frequent class.
    const auto collapsed = eval::fit_logistic(at::full({140, 8}, 0.1f), train.labels, 4);
    CHECK(collapsed.converged);
    CHECK(collapsed.weight.abs().max().item<double>() == 0);
    CHECK(bit_equal(collapsed.scores(at::zeros({2, 8})).argmax(1), at::zeros({2}, at::kLong)));

    // Separable rows, low precision, huge and tiny features.
    for (const double scale : {1e-4, 1.0, 1e4}) {
        const auto scaled = eval::fit_logistic((train.rows * scale).to(at::kFloat), train.labels, 4, {.strengths = {1e-3}});
        CHECK(scaled.converged);
        CHECK(scaled.loss == Approx(eval::fit_logistic(train.rows, train.labels, 4, {.strengths = {1e-3}}).loss).epsilon(1e-4));
    }
    CHECK(eval::fit_logistic(train.rows.to(at::kBFloat16), train.labels, 4).weight.scalar_type() == at::kFloat);
}

TEST_CASE("a fit that is stopped early says so") {
    const Points train = by_formula(300, 1);
    const auto stopped = eval::fit_logistic(train.rows, train.labels, 4, {.strengths = {1e-4}, .max_iterations = 2});
    CHECK_FALSE(stopped.converged);
    CHECK(stopped.iterations == 2);
    CHECK(mentions(stopped.protocol(), {"not converged in 2 iterations"}));
}

TEST_CASE("fit_logistic rejects wrong rows, labels and options") {
    const Points good = by_formula(30, 1);
    const auto fit = [&](const Tensor& rows, const Tensor& labels, std::int64_t classes, const eval::LogisticOptions& options = {}) {
        return [=] { eval::fit_logistic(rows, labels, classes, options); };
    };
    Tensor bad = good.rows.clone();
    bad[7][3].fill_(std::numeric_limits<double>::quiet_NaN());
    bad[9][0].fill_(std::numeric_limits<double>::infinity());
    says(fit(bad, good.labels, 4), {"logistic probe", "2 of 30 rows hold NaN or infinity", "row 7"});
    says(fit(good.rows[0], good.labels, 4), {"rows must be [rows, features]", "[12]"});
    says(fit({}, good.labels, 4), {"rows must be [rows, features]"});
    says(fit(at::empty({0, 12}), at::empty({0}, at::kLong), 4), {"not empty"});
    says(fit(good.rows.to(at::kLong), good.labels, 4), {"floating type"});
    says(fit(good.rows, good.labels.slice(0, 1), 4), {"labels must be [30] int64", "[29]"});
    says(fit(good.rows, good.labels.to(at::kFloat), 4), {"labels must be [30] int64"});
    says(fit(good.rows, good.labels, 3), {"labels must be from 0 to 2", "got 3"});
    says(fit(good.rows, good.labels - 2, 4), {"-1 for rows to leave out", "got -2"});
    says(fit(good.rows, at::full({30}, -1, at::kLong), 4), {"none of the 30 rows has a label"});
    says(fit(good.rows, at::full({30}, 2, at::kLong), 4), {"all 30 labeled rows have class 2", "at least two classes"});
    says(fit(good.rows, good.labels, 1), {"at least 2 classes, got 1"});
    says(fit(good.rows.slice(0, 2, 7, 2), at::arange(3, at::kLong), 4), {"no class has two rows", "single strength"});
    says(fit(good.rows, good.labels, 4, {.strengths = {}}), {"at least one L2 strength"});
    says(fit(good.rows, good.labels, 4, {.strengths = {0.1, 0}}), {"above 0", "got 0"});
    says(fit(good.rows, good.labels, 4, {.held_out = 1}), {"above 0 and below 1, got 1"});
    says(fit(good.rows, good.labels, 4, {.tolerance = 0}), {"tolerance", "got 0"});
    says(fit(good.rows, good.labels, 4, {.max_iterations = 0}), {"max_iterations", "got 0"});
    const auto probe = eval::fit_logistic(good.rows, good.labels, 4, {.strengths = {0.1}});
    says([&] { probe.scores(good.rows.slice(1, 1)); }, {"[rows, 12]", "[30, 11]"});
    says([&] { probe.scores(bad); }, {"must be finite"});
}

TEST_CASE("lbfgs finds minima of convex functions, also from afar") {
    // Quadratic of condition 1e6, and log cosh, whose curvature vanishes far away.
    Eigen::VectorXd scales = Eigen::VectorXd::LinSpaced(20, 0, 6).unaryExpr([](double e) { return std::pow(10.0, e); });
    const auto quadratic = [&](const Eigen::VectorXd& x, Eigen::VectorXd& g) {
        g = scales.cwiseProduct(x).array() - 1;
        return 0.5 * scales.dot(x.cwiseAbs2()) - x.sum();
    };
    Eigen::VectorXd x = Eigen::VectorXd::Constant(20, 3);
    const auto exact = eval::detail::lbfgs(quadratic, x, scales.cwiseInverse(), {.tolerance = 1e-9});
    CHECK(exact.converged);
    CHECK(exact.iterations <= 3);
    CHECK((x - scales.cwiseInverse()).cwiseAbs().maxCoeff() < 1e-8);

    const auto flat = [](const Eigen::VectorXd& v, Eigen::VectorXd& g) {
        g = v.array().tanh();
        return (v.array().abs() + (-2 * v.array().abs()).exp().log1p() - std::log(2.0)).sum();
    };
    Eigen::VectorXd y = Eigen::VectorXd::LinSpaced(7, -40, 60);
    CHECK(eval::detail::lbfgs(flat, y, Eigen::VectorXd::Ones(7), {.tolerance = 1e-8}).converged);
    CHECK(y.cwiseAbs().maxCoeff() < 1e-7);
    // A function that lies about its gradient ends without convergence.
    const auto wrong = [](const Eigen::VectorXd& v, Eigen::VectorXd& g) {
        g = -v;
        return v.squaredNorm();
    };
    x = Eigen::VectorXd::Ones(7);
    CHECK_FALSE(eval::detail::lbfgs(wrong, x, Eigen::VectorXd::Ones(7)).converged);
}
