// SPDX-License-Identifier: Apache-2.0
// Mistakes that a developer may make in code for a device, made on purpose in a loss that the trainer runs: each is rejected,
// or noted by its operator.
#include <doppel/train/primitives.hpp>
#include <doppel/train/trainer.hpp>

#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "simulated_device/device/device.hpp"
#include "support/train_support.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <functional>

using namespace doppel;
using namespace doppel::test;
using simulated::What;

namespace {

using Mistake = std::function<Tensor(const Tensor&)>;

/// NT-Xent plus what the mistake makes of the first view's embeddings.
struct Mistaken {
    Mistake mistake;
    losses::NtXent loss{.temperature = 0.2};
    using Pairing = pairings::OneSided;
    Tensor operator()(const Tensor& a, const Tensor& b) const { return loss(a, b) + mistake(a); }
};

train::TrainOptions on_device() {
    return {.seed = 7, .device = "cuda", .precision = "fp32", .workers = 0, .log_every = 1000, .progress = train::ProgressMode::off};
}

struct Found {
    std::string error{};          ///< of the first step
    simulated::Trace step{};      ///< the third
    std::map<std::string, int> against_capture{};  ///< of the second step
    bool waits_for(const std::string& what) const {
        for (const auto& [note, times] : step.of(What::wait))
            if (note.starts_with(what)) return true;
        return false;
    }
    bool has(const std::string& start) const {
        for (const auto& [reason, times] : against_capture)
            if (reason.starts_with(start)) return true;
        return false;
    }
};
Found found(const Mistake& mistake) {
    simulated::install();
    const simulated::Use use({.details = true});
    train::Trainer trainer(preset_of(tiny_recipe(Mistaken{mistake})), images(), on_device());
    Found result;
    try {
        trainer.step();
        simulated::take();
        trainer.step();
        const auto second = simulated::take();
        trainer.step();
        result.step = simulated::take();
        result.against_capture = against_capture(second, result.step);
    } catch (const c10::Error& error) {
        result.error = error.what_without_backtrace();
    }
    return result;
}
Tensor none(const Tensor& a) { return a.new_zeros({}); }

}  // namespace

TEST_CASE("without a mistake nothing is found beside what the trainer does itself") {
    const auto right = found(none);
    CHECK(right.error == "");
    CHECK(right.step.text(What::race) == "");
    CHECK(!right.has("length"));
    CHECK(!right.has("shape"));
    CHECK(!right.has("launch"));
}

TEST_CASE("mistake: a mask made on the CPU") {
    CHECK(found([](const Tensor& a) { return a.mm(a.t()).masked_fill(at::eye(a.size(0), at::kBool), 0).mean(); }).error.find(
              "cuda:0 and cpu! (when checking argument for argument mask in method aten::masked_fill_.Scalar)") != std::string::npos);
}

TEST_CASE("mistake: an index made on the CPU") {
    CHECK(found([](const Tensor& a) { return a.index_select(0, at::arange(4)).mean(); }).error.find("argument index in method aten::index_select") !=
          std::string::npos);
    CHECK(found([](const Tensor& a) { return a.index({at::arange(4)}).mean(); }).waits_for("index.Tensor (indices on the CPU are copied)"));
}

TEST_CASE("mistake: a tensor of another device") {
    CHECK(found([](const Tensor& a) { return (a * at::ones_like(a, at::Device(at::kCUDA, 1))).mean(); }).error.find("cuda:0 and cuda:1") !=
          std::string::npos);
}

TEST_CASE("mistake: the CPU's generator") {
    CHECK(found([](const Tensor& a) { return (a * at::empty_like(a).normal_(0, 1, at::detail::getDefaultCPUGenerator())).mean(); }).error ==
          "Expected a 'cuda' device type for generator but found 'cpu' (aten::normal_)");
}

TEST_CASE("mistake: an operator without a CUDA kernel") {
    CHECK(found([](const Tensor& a) { return a.mean() * std::get<0>(at::histogram(a.detach().flatten(), 4)).mean(); }).error.starts_with(
        "Could not run 'aten::histogram.bin_ct' with arguments from the 'CUDA' backend"));
}

TEST_CASE("mistake: the loss reads a value") {
    const auto result = found([](const Tensor& a) { return a.mean() * a.detach().norm().item<double>(); });
    CHECK(result.waits_for("item (reads a value back)"));
    CHECK(result.step.count(What::wait) == found(none).step.count(What::wait) + 1);
    CHECK(result.has("number: mul.Tensor other="));
    CHECK(found([](const Tensor& a) { return a.mean() * a.detach().cpu().mean().item<double>(); }).waits_for("copy from the device (blocking)"));
}

TEST_CASE("mistake: a branch on a tensor") {
    int calls = 0;
    const auto result = found([&](const Tensor& a) {  // as if the data decided: the third step goes the other way
        return at::is_nonzero(a.detach().isfinite().all()) && ++calls != 3 ? a.mean() : -a.mean();
    });
    CHECK(result.waits_for("item (reads a value back)"));
    CHECK(result.has("length: "));
    CHECK(result.has("launch "));
}

TEST_CASE("mistake: shapes that depend on data") {
    const auto selected = found([](const Tensor& a) { return a.masked_select(a > 0).mean(); });
    CHECK(selected.waits_for("masked_select (the result's shape depends on data)"));
    CHECK(selected.has("shape: "));
    CHECK(found([](const Tensor& a) { return a.index({a.sum(1) > -100}).mean(); }).waits_for("index.Tensor (a mask as index: the shape depends on data)"));
}

TEST_CASE("mistake: a decomposition that looks at an error flag") {
    CHECK(found([](const Tensor& a) { return at::linalg_svdvals(a).sum(); }).waits_for("_linalg_svd (looks at an error flag on the host)"));
}

TEST_CASE("mistake: work on another stream without an event") {
    const auto result = found([](const Tensor& a) {
        const c10::impl::VirtualGuardImpl impl(at::kCUDA);
        const c10::StreamGuard other(impl.getStreamFromGlobalPool(a.device()));
        return a.mean();
    });
    CHECK(result.step.text(What::race).find("mean.dim (reads memory that another stream may still write) in doppel::") != std::string::npos);
}

TEST_CASE("mistake: a copy from pageable memory") {
    const auto right = found(none).step;
    CHECK(found([](const Tensor& a) { return (a * at::ones({1}).to(a.device(), true)).mean(); }).step.count(What::pageable) == right.count(What::pageable) + 1);
    const simulated::Use use({.faults = {.nothing_page_locked = true}});
    train::Trainer trainer(preset_of(tiny_recipe(Mistaken{none})), images(), on_device());
    simulated::take();
    trainer.step();
    const auto step = simulated::take();
    CHECK(step.count(What::pageable) > right.count(What::pageable) + 1);
    CHECK(step.count(What::copy) == 0);
}

TEST_CASE("mistake: the trainer's streams do not wait for each other, or the allocator not for them") {
    simulated::install();
    const auto races = [](const simulated::Faults& faults) {
        const simulated::Use use({.faults = faults});
        train::Trainer trainer(preset_of(tiny_recipe(Mistaken{none})), images(), on_device());
        simulated::take();
        for (int step = 0; step < 3; ++step) trainer.step();
        return simulated::take().text(What::race);
    };
    CHECK(races({}) == "");
    CHECK(races({.events_ignored = true}).find("reads memory that another stream may still write") != std::string::npos);
    CHECK(races({.streams_not_recorded = true}).find("record_stream() is missing") != std::string::npos);
}

TEST_CASE("mistake: the host reads a raw pointer") {
    CHECK(found([](const Tensor& a) { return a.mean() * a.detach().contiguous().data_ptr<float>()[0]; }).has("number: mul.Tensor other="));
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const ::pid_t child = ::fork();
    if (child == 0) {
        ::dup2(ends[1], STDERR_FILENO);
        const simulated::Use use({.closed_to_host = true});
        train::Trainer trainer(preset_of(tiny_recipe(Mistaken{[](const Tensor& a) { return a.mean() * a.detach().contiguous().data_ptr<float>()[0]; }})), images(),
                               on_device());
        trainer.step();
        ::_exit(0);
    }
    ::close(ends[1]);
    std::string text;
    char part[4096];
    for (::ssize_t n; (n = ::read(ends[0], part, sizeof part)) > 0;) text.append(part, static_cast<std::size_t>(n));
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 139);
    CHECK(text.starts_with("simulated device: code outside a kernel touches the device's memory"));
}

TEST_CASE("mistake: a commit although the step is not finite") {
    simulated::install();
    const auto changed = [](bool by_verdict) {
        AnyMethod method = erase(stumbling({1})).recipe.build({.seed = 1});
        method.module().to(at::kCUDA);
        method.begin({.samples = 40, .steps = 4, .steps_per_epoch = 4});
        auto optimizer = optim::AnyOptimizerSpec(optim::Sgd{.lr = 0.1}).build(method.trainable());
        std::map<std::string, Tensor> before;
        bool same = true;
        for (int step = 0; step < 2; ++step) {
            before = tensors_of(method);
            const Tensor loss = method.forward(train::to_device(batch_of(8, 0.1 * step), at::kCUDA));
            loss.backward();
            if (!by_verdict || train::all_finite(loss, optimizer.groups())) {
                optimizer.step(0.1);
                method.commit();
            } else {
                method.skip();
            }
            optimizer.zero_grad();
        }
        for (const auto& [name, value] : tensors_of(method)) same = same && at::equal(value.cpu(), before.at(name).cpu());
        return !same;
    };
    CHECK(!changed(true));
    CHECK(changed(false));
}

TEST_CASE("the trainer's step that is not finite leaves no trace on the device, unless the verdict is lost") {
    simulated::install();
    const auto trace = [](bool only_gradient, const simulated::Faults& faults) {
        const simulated::Use use({.faults = faults});
        train::Trainer trainer(stumbling({1}, only_gradient), images(), on_device());
        trainer.step();
        trainer.settle();
        std::map<std::string, Tensor> before;
        for (const auto& [name, value] : tensors_of(trainer.method())) before[name] = value.cpu();
        trainer.step();
        trainer.settle();
        CHECK(trainer.skipped() == 1);
        bool same = true;
        for (const auto& [name, value] : tensors_of(trainer.method())) same = same && at::equal(value.cpu(), before.at(name));
        trainer.step();
        CHECK(!at::equal(tensors_of(trainer.method()).at("encoder.conv.weight").cpu(), before.at("encoder.conv.weight")));
        return !same;
    };
    for (const bool only_gradient : {false, true}) {
        CHECK(!trace(only_gradient, {}));
        CHECK(trace(only_gradient, {.found_inf_ignored = true}));
    }
}
