// SPDX-License-Identifier: Apache-2.0
// What tests of whole training steps share: weights by formula, a step of SGD, fixtures of three steps.
#pragma once

#include <doppel/heads/mlp.hpp>
#include <doppel/recipe/any_method.hpp>
#include <doppel/schedules/constant.hpp>
#include <doppel/targets/ema.hpp>
#include <doppel/targets/stop_gradient.hpp>

#include "support/networks.hpp"
#include "support/state.hpp"
#include "support/torch_support.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <numbers>
#include <set>
#include <sstream>

namespace doppel::test {

/// All parameters by formula over their order and shape: online and target network differ.
inline void fill(AnyMethod method) {
    const at::NoGradGuard no_grad;
    double i = 0;
    for (auto& item : method.module().named_parameters()) {
        Tensor& p = item.value();
        const Tensor noise = chirp(p.sizes(), 0.13 + 0.01 * i, 0.7 + 0.1 * i);
        if (p.dim() > 1)
            p.copy_(noise * std::sqrt(3.0 / static_cast<double>(p.numel() / p.size(0))));
        else
            p.copy_(item.key().ends_with("weight") ? 1 + 0.1 * noise : 0.1 * noise);
        ++i;
    }
    for (auto& item : method.module().named_buffers())
        if (item.key() == "queue.rows") item.value().copy_(unit(chirp(item.value().sizes(), 0.17, 0.2)));
}

inline torch::optim::SGD sgd(AnyMethod method, double lr = 0.05, double momentum = 0.9) {
    std::vector<Tensor> parameters;
    for (auto& [name, value] : method.trainable()) parameters.push_back(value);
    return torch::optim::SGD(parameters, torch::optim::SGDOptions(lr).momentum(momentum));
}

/// A step without its commit(); gives the loss.
inline double half_step(AnyMethod method, torch::optim::Optimizer& optimizer, const Batch& batch) {
    const Tensor loss = method.forward(batch);
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    return loss.item<double>();
}

inline double step(AnyMethod method, torch::optim::Optimizer& optimizer, const Batch& batch) {
    const double loss = half_step(method, optimizer, batch);
    method.commit();
    return loss;
}

/// Sum, sum of squares, sum of products with a wave, first four values.
inline std::vector<double> statistics(const Tensor& value) {
    const Tensor flat = value.detach().to(at::kDouble).flatten();
    std::vector<double> all{flat.sum().item<double>(), flat.square().sum().item<double>(),
                            (flat * wave({flat.numel()}, 1.1, 0.5)).sum().item<double>()};
    for (std::int64_t i = 0; i < std::min<std::int64_t>(4, flat.numel()); ++i) all.push_back(flat[i].item<double>());
    return all;
}

/// How three steps are taken.
struct Steps {
    double tight = 1e-10;  ///< tolerance in float64, relative to max(1, value)
    double loose = 2e-5;   ///< in float32
    double lr = 0.05, momentum = 0.9;
    std::int64_t samples = 1000;  ///< images of the data set
    std::function<Batch(std::int64_t)> batch = [](std::int64_t s) { return batch_of(6, static_cast<double>(s)); };
    std::vector<std::string> float32{"queue.rows"};  ///< state that stays float32
    std::vector<std::string> leave_out{"queue.filled"};  ///< state that the fixture does not hold
    std::function<void(AnyMethod)> after_fill = [](AnyMethod) {};  ///< what the formulas' weights still need
};

/// Three steps from the formulas' start equal the fixture's: losses and, after the third, every tensor of the state.
template <class R>
void steps_as(const std::string& file, const std::string& name, const R& recipe, const Steps& how) {
    const Fixture expected = fixture(file, name);
    const auto listed = [](const std::vector<std::string>& list, const std::string& key) {
        return std::find(list.begin(), list.end(), key) != list.end();
    };
    REQUIRE(expected.count("loss") == 1);
    for (const auto type : {at::kDouble, at::kFloat}) {
        const double tolerance = type == at::kDouble ? how.tight : how.loose;
        AnyMethod method = Method{recipe, {.seed = 1}};
        for (auto& item : method.module().named_parameters()) item.value().set_data(item.value().to(type));
        for (auto& item : method.module().named_buffers())  // not by to(), which makes integers floating-point, too
            if (item.value().is_floating_point() && !listed(how.float32, item.key()))
                item.value().set_data(item.value().to(type));
        fill(method);
        how.after_fill(method);
        CHECK(method.begin({.samples = how.samples, .steps = 3, .steps_per_epoch = 1}).empty());
        auto optimizer = sgd(method, how.lr, how.momentum);
        for (std::int64_t s = 0; s < 3; ++s) {
            INFO(name << ", step " << s << ' ' << type);
            Batch batch = how.batch(s);
            for (Tensor& view : batch.views) view = view.to(type);
            CHECK(step(method, optimizer, batch) ==
                  Approx(expected.at("loss").at(static_cast<std::size_t>(s))).margin(tolerance).epsilon(tolerance));
        }
        std::set<std::string> names{"loss"};
        for (const auto& [key, value] : state_of(method)) {
            if (listed(how.leave_out, key)) continue;
            INFO(name << ' ' << key << ' ' << type);
            names.insert(key);
            REQUIRE(expected.count(key) == 1);
            const auto now = statistics(value), then = expected.at(key);
            REQUIRE(now.size() == then.size());
            for (std::size_t i = 0; i < now.size(); ++i) {
                INFO("statistic " << i);
                CHECK(now[i] == Approx(then[i]).margin(tolerance).epsilon(tolerance));
            }
        }
        for (const auto& [key, values] : expected) CHECK(names.count(key) == 1);
    }
}

/// A head as a line: its layers with their widths, and whether there are bias, scale and offset.
inline std::string layers(const torch::nn::Module& head) {
    std::ostringstream text;
    const auto say = [&](const torch::nn::Module& module) {
        if (const auto* linear = module.as<torch::nn::Linear>()) {
            text << "Linear " << linear->options.in_features() << ' ' << linear->options.out_features();
            if (linear->bias.defined()) text << (linear->bias.requires_grad() ? " bias" : " frozen bias");
        } else if (const auto* norm = module.as<torch::nn::BatchNorm1d>()) {
            text << "BatchNorm " << norm->options.num_features() << (norm->weight.defined() ? "" : " plain");
        } else {
            text << (module.as<torch::nn::ReLU>() ? "ReLU" : module.name());
        }
    };
    const auto children = head.children();
    if (children.empty()) say(head);
    for (std::size_t i = 0; i < children.size(); ++i) {
        if (i > 0) text << " | ";
        say(*children[i]);
    }
    return text.str();
}

/// A moment of a run of 1000 steps.
inline TrainingStep at_share(double share) { return {.step = std::llround(share * 1000), .of = {.samples = 1000, .steps = 1000}}; }

/// A preset's learning rate with its own batch size, at a share of its own epochs of ten steps.
template <class P>
double rate(const P& preset, double share) {
    const Horizon run{.samples = 1000, .steps = 10 * preset.epochs, .steps_per_epoch = 10};
    return preset.lr.at(preset.batch_size)({.step = std::llround(share * static_cast<double>(run.steps)), .of = run});
}

/// The epoch in which a preset's learning rate is highest.
template <class P>
double peak_epoch(const P& preset) {
    double highest = 0, epoch = 0;
    for (std::int64_t step = 0; step < 10 * preset.epochs; ++step)
        if (const double now = rate(preset, static_cast<double>(step) / static_cast<double>(10 * preset.epochs)); now > highest) {
            highest = now;
            epoch = static_cast<double>(step) / 10;
        }
    return epoch;
}

/// Two steps with finite losses that differ; a gradient in all that is trained and in nothing else.
template <class P>
void trains(const P& preset, const std::function<Batch(std::int64_t)>& batch) {
    INFO(preset.name);
    AnyMethod method = Method{preset.recipe, {.seed = 1}};
    CHECK(method.begin({.samples = 1000, .steps = 2, .steps_per_epoch = 1}).empty());
    auto optimizer = sgd(method, 0.01);
    const double first = step(method, optimizer, batch(0)), second = step(method, optimizer, batch(1));
    CHECK(std::isfinite(first));
    CHECK(std::isfinite(second));
    CHECK(first != second);
    double largest = 0;
    for (const auto& [name, value] : method.trainable()) {
        INFO(name);
        REQUIRE(value.grad().defined());
        CHECK(at::isfinite(value.grad()).all().template item<bool>());
        largest = std::max(largest, value.grad().abs().max().template item<double>());
        CHECK(!name.starts_with("target."));
    }
    CHECK(largest > 1e-4);
    for (const auto& item : method.module().named_parameters())
        if (item.key().starts_with("target.")) CHECK(!item.value().grad().defined());
    for (const auto& item : method.module().named_buffers())
        if (item.key().starts_with("queue.")) CHECK(!item.value().requires_grad());
}

/// One step: each target parameter becomes m·itself + (1 − m)·its namesake, of before the update or of after it.
template <class R>
void follows(const R& recipe, targets::EmaTiming when) {
    for (const double m : {0.0, 0.7, 1.0}) {
        AnyMethod method =
            Method{recipe.with_target(targets::Ema{.schedule = schedules::Constant{m}, .timing = when}), {.seed = 1}};
        fill(method);
        method.begin({.samples = 1000, .steps = 3});
        const auto start = copy_of(method);
        auto optimizer = sgd(method);
        half_step(method, optimizer, batch_of(6));
        const auto updated = copy_of(method);
        const at::NoGradGuard no_grad;
        for (auto& [name, value] : state_of(method))
            if (name.rfind("target.", 0) != 0 && name.find("running_") != std::string::npos) value.fill_(1000);
        method.commit();
        int compared = 0, moved = 0;
        for (const auto& item : method.module().named_parameters()) {
            if (item.key().rfind("target.", 0) != 0) continue;
            INFO(item.key() << ", m = " << m);
            const auto namesake = item.key().substr(7);
            const Tensor& before = start.at(item.key());
            const Tensor& online = when == targets::EmaTiming::after_step ? updated.at(namesake) : start.at(namesake);
            CHECK(largest_difference(item.value(), before * m + online * (1 - m)) < 5e-7);
            if (m == 0) CHECK(bit_equal(item.value().detach(), online));
            if (m == 1) CHECK(bit_equal(item.value().detach(), before));
            moved += largest_difference(updated.at(namesake), start.at(namesake)) > 1e-5;
            ++compared;
        }
        CHECK(compared >= 8);
        CHECK(moved >= 4);  // the update is large enough to tell before from after
        for (const auto& [name, value] : state_of(method))
            if (name.rfind("target.", 0) == 0 && name.find("running_") != std::string::npos) {
                INFO(name);
                CHECK(largest_difference(value, at::zeros_like(value)) < 100);  // buffers are not averaged
            }
    }
}

/// Nothing flows back into the target, and predictions are made by the online branch alone.
template <class R>
void gives_its_target_no_gradient(const R& recipe) {
    bool target_has_gradient = true;
    auto watched = recipe.with_loss([&, loss = recipe.loss](const Tensor& p, const Tensor& z) {
        target_has_gradient = z.requires_grad();
        return loss(p, z);
    });
    Method method{watched.with_pairing(typename decltype(recipe.loss)::Pairing{}), {.seed = 1}};
    method->begin({.samples = 1000, .steps = 3});
    method->forward(batch_of(6)).backward();
    CHECK(!target_has_gradient);
    for (const auto& item : method->named_parameters()) {
        INFO(item.key());
        if (item.key().rfind("target.", 0) == 0) {
            CHECK(!item.value().requires_grad());
            CHECK(!item.value().grad().defined());
        } else if (item.value().requires_grad()) {
            CHECK(item.value().grad().defined());
        }
        CHECK(item.key().find("target.predictor") == std::string::npos);
    }
    const auto& out = method->last()[0];
    for (std::size_t view = 0; view < 2; ++view) {  // the target starts as a copy: what it gives is the projection
        CHECK(largest_difference(out.target[view], out.projected[view]) < 1e-5);
        CHECK(largest_difference(out.online[view], out.projected[view]) > 1e-2);
    }
}

/// A momentum that rises step by step from `start` to exactly 1 along half a cosine.
template <class Schedule>
void rises_to_one(const Schedule& schedule, double start) {
    const auto at = [&](std::int64_t step) { return schedule(TrainingStep{.step = step, .of = {.samples = 1000, .steps = 77}}); };
    CHECK(at(0) == start);
    CHECK(at(77) == 1);
    CHECK(at(38) + at(39) == Approx(1 + start));
    for (std::int64_t s = 0; s < 77; ++s) CHECK(at(s) < at(s + 1));
    CHECK(at(20) == Approx(1 - (1 - start) * (1 + std::cos(std::numbers::pi * 20 / 77)) / 2).epsilon(1e-14));
}

// ---- Barlow Twins and VICReg, which are trained alike ---------------------------------------------------------

/// Each parameter's learning rate at the peak: `plain` for biases and normalization, `weights` for the others.
template <class P>
void has_rates(const P& preset, double weights, double plain) {
    AnyMethod method = Method{preset.recipe, {.seed = 1}};
    std::size_t count = 0;
    auto optimizer = preset.optimizer.build(method.trainable());
    for (const auto& group : optimizer.groups())
        for (const auto& [name, value] : group.parameters) {
            INFO(name);
            CHECK(group.adapt == (value.dim() > 1));
            CHECK((group.weight_decay > 0) == (value.dim() > 1));
            const bool is_plain = name.ends_with("bias") || name == "encoder.bn.weight" || name == "projector.1.weight" ||
                                  name == "projector.4.weight";
            CHECK(group.lr_scale * rate(preset, 0.1) == Approx(is_plain ? plain : weights));
            ++count;
        }
    CHECK(count == method.trainable().size());
}

/// LARS from 0 up to `peak` and down to a thousandth of it.
template <class P>
void is_trained_by_lars(const P& preset, const std::string& name) {
    INFO(name);
    CHECK(preset.name == name);
    CHECK(preset.views.name == name);
    CHECK(preset.views.pipelines.size() == 2);
    CHECK(preset.views.globals == 2);
    CHECK(rate(preset, 0) == 0);
    CHECK(rate(preset, 0.1) == Approx(0.2));
    CHECK(rate(preset, 1) == Approx(0.2 / 1000));
    CHECK(preset.epochs == 100);
    CHECK(preset.batch_size == 256);
    CHECK(preset.optimizer.describe().find("LARS") == 0);
    CHECK(preset.optimizer.check_learning_rate(0.2).empty());
}
template <class P>
void is_small(const P& preset) {
    CHECK(preset.optimizer.describe().find("LARS") == 0);
    CHECK(preset.batch_size == 64);
    CHECK(rate(preset, 0.05) == Approx(2));
    CHECK(preset.recipe.projector.out == 512);
    CHECK(preset.optimizer.check_learning_rate(2).empty());
}

// ---- SimCLR's variants ---------------------------------------------------------------------------------------

/// Options with heads small enough for a test.
template <class Options>
Options tiny_heads(Options o) {
    o.hidden = 16;
    o.out = 12;
    return o;
}

/// A preset of that name is trained as another one is: optimizer, learning rate, length, batch and views.
template <class P, class Q>
void is_trained_as(const P& preset, const Q& base, const std::string& name) {
    INFO(name);
    CHECK(preset.name == name);
    CHECK(preset.optimizer.describe() == base.optimizer.describe());
    for (const std::int64_t images : {32, 512}) CHECK(preset.lr.at(images).describe() == base.lr.at(images).describe());
    CHECK(preset.epochs == base.epochs);
    CHECK(preset.batch_size == base.batch_size);
    REQUIRE(preset.views.pipelines.size() == base.views.pipelines.size());
    for (std::size_t v = 0; v < base.views.pipelines.size(); ++v)
        CHECK(preset.views.pipelines[v].describe() == base.views.pipelines[v].describe());
}

inline Batch two_views(std::int64_t step) { return batch_of(6, static_cast<double>(step)); }

/// Views whose images differ enough for statistics of their features.
inline Batch noisy_views(std::int64_t step, int count, std::int64_t images = 12) {
    const auto shift = static_cast<double>(step);
    const Tensor shared = chirp({images, 3, 12, 12}, 0.00037, 0.61 + shift);
    Batch batch;
    for (int v = 0; v < count; ++v)
        batch.views.push_back((shared + 0.6 * chirp(shared.sizes(), 0.00023 + 0.0001 * v, 0.5 + shift)).to(at::kFloat));
    batch.globals = count;
    batch.index = at::arange(images, at::kLong);
    batch.label = at::arange(images, at::kLong).remainder(3);
    return batch;
}

/// Six images in so many views.
inline Batch views_of(int count, double shift = 0) {
    Batch all;
    for (int v = 0; v < count; ++v) all.views.push_back(wave({6, 3, 12, 12}, 0.37 + 0.011 * v, shift, at::kFloat));
    all.globals = count;
    all.index = at::arange(6, at::kLong);
    return all;
}

}  // namespace doppel::test
