// SPDX-License-Identifier: Apache-2.0
// What tests of whole training steps share: weights by formula, a step of SGD, fixtures of three steps.
#pragma once

#include <doppel/heads/mlp.hpp>
#include <doppel/recipe/any_method.hpp>
#include <doppel/targets/ema.hpp>
#include <doppel/targets/stop_gradient.hpp>

#include "support/torch_support.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <sstream>

namespace doppel::test {

inline std::map<std::string, Tensor> state_of(AnyMethod method) {
    std::map<std::string, Tensor> all;
    for (const auto& item : method.module().named_parameters()) all[item.key()] = item.value().detach();
    for (const auto& item : method.module().named_buffers()) all[item.key()] = item.value();
    return all;
}

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

/// The lines of a file of tests/reference that begin with `name`.
inline std::map<std::string, std::vector<double>> fixture(const std::string& file, const std::string& name) {
    std::map<std::string, std::vector<double>> all;
    std::ifstream in(reference_folder() / file);
    for (std::string line; std::getline(in, line);) {
        std::istringstream words(line);
        std::string which, key;
        words >> which >> key;
        if (which != name) continue;
        for (double value = 0; words >> value;) all[key].push_back(value);
    }
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
    const auto expected = fixture(file, name);
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

/// The names and addresses that describe() gives.
template <class Options>
std::map<std::string, const void*> fields_of(Options& options) {
    std::map<std::string, const void*> fields;
    std::size_t count = 0;
    describe(options, [&](const char* name, auto& field, const char*, const auto&...) {
        fields[name] = &field;
        ++count;
    });
    std::set<const void*> places;
    for (const auto& [name, place] : fields) places.insert(place);
    CHECK(fields.size() == count);
    CHECK(places.size() == count);
    return fields;
}

}  // namespace doppel::test
