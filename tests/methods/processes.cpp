// SPDX-License-Identifier: Apache-2.0
// Every shipped method on two and three processes ends five steps as one process with the whole batch does.
#include <doppel/methods/registry.hpp>

#include <doppel/data/embedded.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/encoders/vit.hpp>
#include <doppel/data/loader.hpp>
#include <doppel/train/primitives.hpp>

#include "support/processes.hpp"
#include "support/support.hpp"
#include "support/torch_support.hpp"

#include <ATen/ops/allclose.h>

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <utility>

using namespace doppel;
using namespace doppel::test;

namespace {

const data::Dataset& images() {
    static const data::Dataset all = data::Embedded({.size = 16, .count = 30});
    return all;
}

/// Of the registry, on 16-px views with narrow heads and encoders.
AnyPreset tiny_preset(const methods::MethodEntry& entry, std::int64_t batch, std::int64_t groups) {
    const bool transformer = entry.about.arch.starts_with("vit");
    auto values = entry.values(methods::Scale::small, transformer);
    const std::map<std::string, std::string> tiny{
        {"epochs", "2"},     {"batch-size", std::to_string(batch)}, {"size", "16"}, {"local-size", "8"}, {"hidden", "16"},
        {"out-dim", "4"},    {"queue", "32"},                       {"predictor", "16"}, {"bottleneck", "8"}, {"prototypes", "8"},
        {"dims", "8"},       {"w-size", "0"}, {"bn-groups", std::to_string(groups)}, {"directions", "8"}, {"queue-from", "0"}};
    for (const auto& row : values.rows)
        if (const auto found = tiny.find(row.name); found != tiny.end()) REQUIRE(row.set(found->second));
    const encoders::ByName encoder = transformer ? encoders::ByName(encoders::Vit{.kind = VitKind::ti, .patch = 4, .image_size = 16, .depth = 1})
                                                 : encoders::ByName(encoders::ResNet{.depth = 18, .stem = Stem::cifar, .width = 0.125});
    return entry.preset(encoder, values, {.images = images().size()});
}

struct End {
    std::map<std::string, Tensor> begin{}, end{};
};

/// In float64, so that what one process and several differ by is rounding, which stays small.
struct How {
    bool sync = true;
    at::ScalarType type = at::kDouble;
    double lr = 0.05;
};

/// Five steps by hand.
End five_steps(const AnyPreset& preset, const Group& group, const How& how = {}) {
    AnyMethod method = preset.recipe.build({.seed = 3});
    if (how.type != at::kFloat) {
        for (auto& item : method.module().named_parameters()) item.value().set_data(item.value().to(how.type));
        for (auto& item : method.module().named_buffers())  // what queues and losses keep is float32 by contract
            if (item.value().is_floating_point() && !item.key().starts_with("queue.") && !item.key().starts_with("loss."))
                item.value().set_data(item.value().to(how.type));
    }
    method.module().train();
    const data::Loader loader(images(), preset.views.pipelines,
                              {.batch_size = preset.batch_size, .seed = 3, .workers = 0, .rank = group.rank(), .ranks = group.size(), .globals = preset.views.globals});
    const Horizon horizon{.samples = images().size(), .steps = 8, .steps_per_epoch = loader.batches()};
    method.begin(horizon);
    method.join(group, how.sync);
    auto optimizer = preset.build_optimizer(method.trainable(), preset.lr.at(preset.batch_size), horizon);
    std::unique_ptr<GradientAverage> average;
    if (!group.alone()) average = group.collectives().gradient_average(method.trainable(), {});
    const auto state = [&] {
        std::map<std::string, Tensor> all;
        for (const auto& item : method.module().named_parameters()) all[item.key()] = item.value().detach().clone();
        for (const auto& item : method.module().named_buffers()) all[item.key()] = item.value().clone();
        return all;
    };
    End result{.begin = state()};
    auto pass = loader.pass(0, 5);
    for (int step = 0; step < 5; ++step) {
        Batch batch = train::to_device(*pass->next(), at::kCPU);
        for (Tensor& view : batch.views) view = view.to(how.type);
        const Tensor loss = method.forward(batch);
        if (average) average->before_backward(loss, true);
        loss.backward();
        if (average) average->after_backward(true);
        preset.clip(optimizer.groups());
        optimizer.step(how.lr, {});
        optimizer.zero_grad();
        method.commit();
    }
    result.end = state();
    return result;
}

/// How far the ends are apart, as a part of the way that the values went; the worst tensor.
std::pair<double, std::string> distance(const End& one, const End& other) {
    REQUIRE(one.end.size() == other.end.size());
    double worst = 0;
    std::string which;
    double way = 0;
    for (const auto& [name, value] : one.end) way = std::max(way, (value.to(at::kDouble) - one.begin.at(name).to(at::kDouble)).abs().max().item<double>());
    for (const auto& [name, value] : one.end) {
        if (value.numel() == 0) continue;
        const Tensor before = one.begin.at(name).to(at::kDouble), after = value.to(at::kDouble);
        const double moved = std::max((after - before).norm().item<double>(), 1e-3 * way);
        const double apart = (after - other.end.at(name).to(at::kDouble)).norm().item<double>() / moved;
        if (!(apart <= worst)) {
            worst = apart;
            which = name;
        }
    }
    return {worst, which};
}

/// The same of all weights together: float32 rounds gradients that are zero by theory, such as those of a bias before BatchNorm, and
/// Adam and LARS follow them as any other.
double whole_distance(const End& one, const End& other) {
    double apart = 0, way = 0;
    for (const auto& [name, value] : one.end) {
        if (name.find("running_") != std::string::npos || !value.is_floating_point()) continue;  // they go further than the weights
        const Tensor after = value.to(at::kDouble);
        apart += (after - other.end.at(name).to(at::kDouble)).square().sum().item<double>();
        way += (after - one.begin.at(name).to(at::kDouble)).square().sum().item<double>();
    }
    return std::sqrt(apart / way);
}

void compare(const methods::MethodEntry& entry, std::int64_t batch, int size, std::int64_t groups, double tolerance, const How& how = {},
             std::int64_t own_groups = 0) {
    if (entry.about.name == "lejepa") return;  // draws its directions in another way on several processes: below
    INFO(entry.about.name << " on " << size << " processes, batch " << batch << ", groups " << groups);
    const End one = five_steps(tiny_preset(entry, batch, groups), Group{}, {.type = how.type, .lr = how.lr});
    const AnyPreset preset = tiny_preset(entry, batch, own_groups > 0 ? own_groups : groups);
    as_processes(size, [&](const Group& group) {
        const End part = five_steps(preset, group, how);
        for (const auto& [name, value] : part.end) {  // the same bits in all processes
            const bool same = at::equal(gathered(value.reshape({1, -1}), group)[(group.rank() + 1) % group.size()], value.reshape({-1}));
            INFO(name);
            CHECK(same);
        }
        if (group.first()) {
            const auto [apart, which] = how.type == at::kDouble ? distance(one, part) : std::pair{whole_distance(one, part), std::string("all")};
            INFO(which << " is " << apart << " of its way apart");
            CHECK(apart < tolerance);
        }
    });
}

}  // namespace

TEST_CASE("every method: two processes end as one with the whole batch") {
    for (const auto& entry : methods::all()) compare(entry, 6, 2, 1, 1e-3);
}

TEST_CASE("every method: three processes, of which one has an image more") {
    for (const auto& entry : methods::all()) compare(entry, 7, 3, 1, 1e-3);
}

TEST_CASE("every method in float32, with a rate at which rounding does not grow") {
    for (const auto& entry : methods::all()) compare(entry, 6, 2, 1, 5e-2, {.type = at::kFloat, .lr = 1e-5});
}

TEST_CASE("what a loss draws for the whole batch is the same in all processes, however many there are") {
    const AnyPreset preset = tiny_preset(methods::find("lejepa"), 6, 1);
    End two, three;
    const auto ends = [&](int size, End& end) {
        as_processes(size, [&](const Group& group) {
            End own = five_steps(preset, group);
            if (group.first()) end = std::move(own);
        });
    };
    ends(2, two);
    ends(3, three);
    const auto [apart, which] = distance(two, three);
    INFO(which << " is " << apart << " of its way apart");
    CHECK(apart < 1e-3);
}

TEST_CASE("SplitBN and ShuffleBN: groups of the whole batch are shared") {
    for (const char* name : {"moco_v1", "moco_v2"})
        for (const int size : {2, 3}) compare(methods::find(name), 12, size, 6, 1e-3);
}

TEST_CASE("BatchNorm of each process by itself is SplitBN with as many groups") {
    for (const char* name : {"moco_v1", "moco_v2"}) compare(methods::find(name), 12, 2, 2, 1e-3, {.sync = false}, /*own_groups=*/1);
}
