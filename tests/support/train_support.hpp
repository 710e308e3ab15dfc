// SPDX-License-Identifier: Apache-2.0
// What tests of training share: a preset of a tiny network, images, options that run in a second, states compared.
#pragma once

#include <doppel/data/embedded.hpp>
#include <doppel/heads/mlp.hpp>
#include <doppel/losses/nt_xent.hpp>
#include <doppel/methods/preset.hpp>
#include <doppel/recipe/recipe.hpp>
#include <doppel/targets/ema.hpp>
#include <doppel/train/trainer.hpp>
#include <doppel/views/simclr.hpp>

#include "support/torch_support.hpp"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace doppel::test {

inline data::Dataset images(std::int64_t count = 40) { return data::Embedded({.size = 16, .count = count}); }

template <class Loss = losses::NtXent>
auto tiny_recipe(Loss loss = {.temperature = 0.2}) {
    return Recipe{.encoder = tiny(), .projector = heads::Mlp{.hidden = {16}, .out = 8}, .loss = std::move(loss)};
}

/// 4 epochs of 5 steps with images().
template <class R>
Preset<R> preset_of(R recipe) {
    return {.name = "tiny",
            .recipe = std::move(recipe),
            .views = views::simclr_small(12),
            .optimizer = optim::Sgd{.weight_decay = 5e-4},
            .lr = [](std::int64_t count) {
                return schedules::WarmupCosine{.peak = 0.4 * static_cast<double>(count) / 256, .warmup_fraction = 0.05};
            },
            .epochs = 4,
            .batch_size = 8,
            .options = {{"temperature", 0.2}, {"epochs", 4}}};
}
inline auto preset() { return preset_of(tiny_recipe()); }

inline train::TrainOptions quick(const std::filesystem::path& out = {}) {
    return {.seed = 7,
            .device = "cpu",
            .out = out,
            .checkpoint_every = 1,
            .keep = 100,
            .log_every = 1,
            .progress = train::ProgressMode::off};
}

inline std::map<std::string, Tensor> tensors_of(const AnyMethod& method) {
    std::map<std::string, Tensor> all;
    for (const auto& item : method.module().named_parameters()) all[item.key()] = item.value().detach().clone();
    for (const auto& item : method.module().named_buffers()) all[item.key()] = item.value().clone();
    return all;
}

inline void check_equal(const std::map<std::string, Tensor>& left, const std::map<std::string, Tensor>& right) {
    REQUIRE(left.size() == right.size());
    for (const auto& [name, value] : left) {
        INFO(name);
        CHECK(bit_equal(value, right.at(name)));
    }
}
inline void check_equal(const AnyMethod& a, const AnyMethod& b) { check_equal(tensors_of(a), tensors_of(b)); }

/// Steps to the end.
inline void finish(train::Trainer& trainer) {
    while (!trainer.finished()) trainer.step();
}

/// NT-Xent that gives NaN at the steps in `bad`, or a gradient that is none.
struct Stumbling {
    std::vector<std::int64_t> bad;
    bool only_gradient = false;
    losses::NtXent good{.temperature = 0.2};
    using Pairing = pairings::OneSided;
    Tensor operator()(const Outputs& out) const {
        const Tensor loss = good(out.online[0], out.online[1]);
        if (std::find(bad.begin(), bad.end(), out.at.step) == bad.end()) return loss;
        if (only_gradient) return loss + (out.online[0] * 0).abs().sqrt().sum();  // 0, with the derivative 0 · inf
        return loss * std::numeric_limits<double>::quiet_NaN();
    }
};

inline auto stumbling(std::vector<std::int64_t> bad, bool only_gradient = false) {
    return preset_of(tiny_recipe(Stumbling{std::move(bad), only_gradient}));
}

/// Images that fail to be read from the n-th on, as files that vanish.
struct Failing {
    data::Dataset whole;
    std::shared_ptr<std::atomic<std::int64_t>> left;
    std::int64_t size() const { return whole.size(); }
    Image image(std::int64_t i) const {
        if (--*left < 0) fail("image ", i, ": No such file or directory");
        return whole.image(i);
    }
    std::int64_t label(std::int64_t i) const { return whole.label(i); }
    std::vector<std::string> classes() const { return whole.classes(); }
};

}  // namespace doppel::test
