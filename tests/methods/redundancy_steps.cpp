// SPDX-License-Identifier: Apache-2.0
// The presets of the redundancy-reduction family: three whole steps against other people's code, their heads, learning
// rates and views.
#include <doppel/encoders/resnet.hpp>
#include <doppel/methods/barlow_twins.hpp>
#include <doppel/methods/vicreg.hpp>

#include "support/method_support.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

using namespace doppel;
using namespace doppel::test;
using losses::Vicreg;
using methods::BarlowTwinsOptions;
using methods::VicregOptions;

namespace {

const Progress at_the_end{.step = 100, .of = {.steps = 100}};
Progress at_share(double share) { return {.step = std::llround(share * 100), .of = {.steps = 100}}; }

}  // namespace

TEST_CASE("three steps of Barlow Twins equal lightly's loss on the authors' layers") {
    steps_as("redundancy.txt", "steps_barlow_twins", methods::barlow_twins(tiny(), {.hidden = 16, .out = 12}).recipe, {.tight = 1e-10, .loose = 5e-3, .lr = 0.01});
}

TEST_CASE("three steps of VICReg equal lightly's loss on the authors' layers, and the paper's sum of variances") {
    steps_as("redundancy.txt", "steps_vicreg", methods::vicreg(tiny(), {.hidden = 16, .out = 12}).recipe, {.tight = 1e-10, .loose = 5e-3, .lr = 0.01});
    steps_as("redundancy.txt", "steps_vicreg_paper", methods::vicreg(tiny(), {.sum_variance = true, .hidden = 16, .out = 12}).recipe, {.tight = 1e-10, .loose = 5e-3, .lr = 0.01});
}

TEST_CASE("the heads of Barlow Twins and VICReg are the authors'") {
    CHECK(layers(*methods::barlow_twins(tiny(), {.hidden = 16, .out = 12}).recipe.projector.build(8).module) ==
          "Linear 8 16 | BatchNorm 16 | ReLU | Linear 16 16 | BatchNorm 16 | ReLU | Linear 16 12");
    CHECK(layers(*methods::vicreg(tiny(), {.hidden = 16, .out = 12}).recipe.projector.build(8).module) ==
          "Linear 8 16 bias | BatchNorm 16 | ReLU | Linear 16 16 bias | BatchNorm 16 | ReLU | Linear 16 12");
    const auto barlow = methods::barlow_twins(encoders::ResNet{.depth = 50}).recipe;
    const auto vicreg = methods::vicreg(encoders::ResNet{.depth = 50}).recipe;
    const std::vector<std::int64_t> wide{8192, 8192};
    CHECK(barlow.projector.hidden == wide);
    CHECK(vicreg.projector.hidden == wide);
    CHECK(barlow.projector.out == 8192);
    CHECK(vicreg.projector.out == 8192);
    CHECK(barlow.encoder.zero_init_residual);
    CHECK(vicreg.encoder.zero_init_residual);
    CHECK(!methods::barlow_twins(encoders::ResNet{}, methods::barlow_twins_small).recipe.encoder.zero_init_residual);
    CHECK(!methods::vicreg(encoders::ResNet{}, methods::vicreg_small).recipe.encoder.zero_init_residual);
    CHECK(barlow.loss.lambda == 0.0051);
    CHECK(barlow.loss.scale == 1);
    CHECK(vicreg.loss.invariance == 25);
    CHECK(vicreg.loss.variance == 25);
    CHECK(vicreg.loss.covariance == 1);
    CHECK(vicreg.loss.convention == Vicreg::Convention::code);  // pitfall 31
    CHECK(methods::vicreg(tiny(), {.sum_variance = true}).recipe.loss.convention == Vicreg::Convention::paper);
    CHECK(!barlow.layout.join_views);  // the authors pass the views one after the other
    CHECK(!vicreg.layout.join_views);
}

TEST_CASE("Barlow Twins trains biases and normalization with a learning rate of their own") {
    const auto rates = [](const auto& preset) {
        AnyMethod method = Method{preset.recipe, {.seed = 1}};
        std::map<std::string, double> all;
        auto optimizer = preset.optimizer.build(method.trainable());
        for (const auto& group : optimizer.groups())
            for (const auto& [name, value] : group.parameters) {
                INFO(name);
                CHECK(group.adapt == (value.dim() > 1));
                CHECK((group.weight_decay > 0) == (value.dim() > 1));
                CHECK(!group.fixed_lr);
                all[name] = group.lr_scale * preset.lr(at_share(0.1));
            }
        CHECK(all.size() == method.trainable().size());
        return all;
    };
    const auto barlow = methods::barlow_twins(tiny(), {.batch_size = 2048, .hidden = 16, .out = 12});
    for (const auto& [name, rate] : rates(barlow)) {
        INFO(name);
        const bool plain = name.ends_with("bias") || name == "encoder.bn.weight" || name == "projector.1.weight" ||
                           name == "projector.4.weight";
        CHECK(rate == Approx((plain ? 0.0048 : 0.2) * 2048 / 256));
    }
    for (const auto& [name, rate] : rates(methods::vicreg(tiny(), {.batch_size = 2048, .hidden = 16, .out = 12}))) {
        INFO(name);
        CHECK(rate == Approx(0.2 * 2048 / 256));
    }
    CHECK(barlow.optimizer.describe().find("LARS") != std::string::npos);
    CHECK(barlow.optimizer.describe().find("0.024") != std::string::npos);
}

TEST_CASE("the schedules, optimizers and views of Barlow Twins and VICReg are their papers'") {
    const auto check = [](const auto& preset, const std::string& name) {
        INFO(name);
        CHECK(preset.name == name);
        CHECK(preset.views.name == name);
        CHECK(preset.views.pipelines.size() == 2);
        CHECK(preset.views.globals == 2);
        CHECK(preset.lr(at_share(0)) == 0);
        CHECK(preset.lr(at_share(0.1)) == Approx(0.2));
        CHECK(preset.lr(at_the_end) == Approx(0.2 / 1000));
        CHECK(preset.epochs == 100);
        CHECK(preset.batch_size == 256);
        CHECK(preset.optimizer.describe().find("LARS") == 0);
        CHECK(preset.optimizer.check_learning_rate(0.2).empty());
    };
    check(methods::barlow_twins(tiny()), "barlow_twins");
    check(methods::vicreg(tiny()), "vicreg");
    const auto small = [](const auto& preset) {
        CHECK(preset.optimizer.describe().find("LARS") == 0);
        CHECK(preset.batch_size == 64);
        CHECK(preset.lr(at_share(0.05)) == Approx(2));
        CHECK(preset.recipe.projector.out == 512);
        CHECK(preset.optimizer.check_learning_rate(2).empty());
    };
    small(methods::barlow_twins(tiny(), methods::barlow_twins_small));
    small(methods::vicreg(tiny(), methods::vicreg_small));
    CHECK(methods::barlow_twins(tiny(), {.lr = 0.7}).lr(at_share(0.1)) == Approx(0.7));
    CHECK(methods::vicreg(tiny(), {.lr = 0.7}).lr(at_share(0.1)) == Approx(0.7));

    BarlowTwinsOptions barlow;
    VicregOptions vicreg;
    CHECK(fields_of(barlow).at("bias-lr") == &barlow.bias_lr);
    CHECK(fields_of(barlow).at("loss-scale") == &barlow.scale);
    CHECK(fields_of(vicreg).at("sum-variance") == &vicreg.sum_variance);
}
