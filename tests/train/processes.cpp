// SPDX-License-Identifier: Apache-2.0
// A run on several processes: the same weights as one process has, steps and ends that they agree on.
#include <doppel/train/trainer.hpp>

#include <doppel/train/callbacks/save_checkpoints.hpp>
#include <doppel/train/fit_to_memory.hpp>

#include "support/files.hpp"
#include "support/processes.hpp"
#include "support/support.hpp"
#include "support/train_support.hpp"

#include <ATen/ops/allclose.h>

#include <cmath>
#include <limits>
#include <optional>

using namespace doppel;
using namespace doppel::test;

namespace {

struct PlainNetImpl : torch::nn::Module {
    torch::nn::Conv2d conv{nullptr};
    PlainNetImpl() { conv = register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 8, 3).stride(2))); }
    Tensor forward(const Tensor& x) { return at::relu(conv(x)).mean({2, 3}); }
    std::int64_t feature_dim() const { return 8; }
};
TORCH_MODULE(PlainNet);

/// Without BatchNorm, whose statistics are tested elsewhere.
template <class Loss = losses::NtXent>
auto plain_preset(Loss loss = {.temperature = 0.2}) {
    return preset_of(Recipe{.encoder = [] { return PlainNet(); }, .projector = heads::Mlp{.hidden = {16}, .out = 8, .norm = false}, .loss = std::move(loss)});
}

train::TrainOptions quick_in(const Group& group, const std::filesystem::path& out = {}) {
    auto options = quick(out);
    options.workers = 0;
    options.group = group;
    return options;
}

void check_close(const std::map<std::string, Tensor>& left, const std::map<std::string, Tensor>& right) {
    REQUIRE(left.size() == right.size());
    for (const auto& [name, value] : left) {
        INFO(name);
        CHECK(at::allclose(value.to(at::kDouble), right.at(name).to(at::kDouble), 1e-4, 1e-5));
    }
}

/// NT-Xent that gives NaN in one process at one step.
struct NanInOne {
    Group group{};
    losses::NtXent good{.temperature = 0.2};
    static constexpr bool per_image = true;
    void join(const Group& joined) { group = joined; }
    Tensor operator()(const Outputs& out) const {
        const Tensor loss = good(gathered(out.online[0], group), gathered(out.online[1], group));
        return out.at.step == 2 && group.rank() == 1 ? loss * std::numeric_limits<double>::quiet_NaN() : loss;
    }
};

}  // namespace

TEST_CASE("two and three processes take the steps of one, and end with its weights") {
    for (const std::int64_t accumulate : {1, 2}) {
        auto preset = plain_preset();
        preset.batch_size = 8;  // on three processes: 2, 3, 3
        std::vector<double> losses;
        auto alone = quick_in({});
        alone.accumulate = accumulate;
        train::Trainer one(preset, images(), alone);
        while (!one.finished()) losses.push_back(one.step().loss.item<double>());
        const auto wanted = tensors_of(one.method());
        for (const int size : {2, 3})
            as_processes(size, [&](const Group& group) {
                auto options = quick_in(group);
                options.accumulate = accumulate;
                train::Trainer trainer(preset, images(), options);
                trainer.rehearse();
                std::size_t step = 0;
                while (!trainer.finished()) {
                    const auto report = trainer.step();
                    CHECK(report.images == 8 * accumulate);
                    CHECK(report.loss.item<double>() == Approx(losses.at(step++)).epsilon(1e-4));
                }
                CHECK(step == losses.size());
                check_close(tensors_of(trainer.method()), wanted);
            });
    }
}

TEST_CASE("a step that is not finite in one process is skipped in all") {
    as_processes(2, [&](const Group& group) {
        train::Trainer trainer(plain_preset(NanInOne{}), images(), quick_in(group));
        for (int step = 0; step < 4; ++step) CHECK(trainer.step().taken == (step != 2));
        CHECK(trainer.skipped() == 1);
    });
}

TEST_CASE("one process that wants to stop stops all, after the same step") {
    as_processes(3, [&](const Group& group) {
        train::Trainer trainer(plain_preset(), images(), quick_in(group));
        for (int step = 0; !trainer.finished(); ++step) {
            trainer.step();
            if (step == 2 && group.rank() == 1) trainer.stop("enough");
        }
        CHECK(trainer.step_count() == 4);
        CHECK(trainer.stopped() == (group.rank() == 1 ? "enough" : "another process stopped"));
    });
}

TEST_CASE("a checkpoint goes on with another number of processes, and bit for bit with the same") {
    const TemporaryFolder folder;
    const auto run = [&](int size, std::optional<std::filesystem::path> from, int until) {
        std::map<std::string, Tensor> end;
        std::filesystem::path checkpoint;
        as_processes(size, [&](const Group& group) {
            train::Trainer trainer(plain_preset(), images(), quick_in(group, folder.path() / std::to_string(until)));
            if (from) trainer.restore(*from);
            while (trainer.step_count() < until) trainer.step();
            CHECK(train::save_checkpoint(trainer) == group.first());
            if (!group.first()) return;
            end = tensors_of(trainer.method());
            checkpoint = trainer.checkpoint();
        });
        return std::pair(end, checkpoint);
    };
    const auto whole = run(2, {}, 12);
    const auto half = run(2, {}, 6);
    check_equal(run(2, half.second, 12).first, whole.first);
    check_close(run(1, half.second, 12).first, whole.first);
    check_close(run(3, half.second, 12).first, whole.first);
}

TEST_CASE("processes that do not run the same are told what differs") {
    const auto message = [&](auto change) {
        return message_of([&] {
            as_processes(2, [&](const Group& group) {
                auto preset = plain_preset();
                auto options = quick_in(group);
                if (group.rank() == 1) change(preset, options);
                train::Trainer(preset, images(), options);
            });
        });
    };
    CHECK(mentions(message([](auto&, auto& options) { options.seed = 8; }), {"seed is 7 in process 0 and 8 in process 1"}));
    CHECK(mentions(message([](auto& preset, auto&) { preset.recipe.projector.out = 9; }), {"parameter projector.2.bias is 8 float", "9 float", "process 1"}));
    CHECK(mentions(message_of([&] {
                       as_processes(3, [&](const Group& group) {
                           auto preset = plain_preset();
                           preset.batch_size = 2;
                           train::Trainer(preset, images(), quick_in(group));
                       });
                   }),
                   {"2 images", "3 processes"}));
    CHECK(mentions(message_of([&] {
                       as_processes(2, [&](const Group& group) {
                           AnyPreset preset = erase(plain_preset());
                           auto options = quick_in(group);
                           train::fit_to_memory(preset, images(), options);
                       });
                   }),
                   {"--accumulate 0", "one process only"}));
}

TEST_CASE("weights that one process changes alone are found at the end of the epoch") {
    CHECK(mentions(message_of([&] {
                       as_processes(2, [&](const Group& group) {
                           train::Trainer trainer(plain_preset(), images(), quick_in(group));
                           trainer.step();
                           if (group.rank() == 1) {
                               const at::NoGradGuard no_grad;
                               trainer.method().module().named_parameters()["projector.0.weight"].add_(1e-3);
                           }
                           finish(trainer);
                       });
                   }),
                   {"process 1", "no longer those of process 0", "projector.0.weight"}));
}
