// SPDX-License-Identifier: Apache-2.0
// Streams, events and copies of the simulated device: copies are made as late as CUDA allows, and what lacks an event is a
// race.
#include <doppel/core/module.hpp>
#include <doppel/device/graph.hpp>

#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "simulated_device/device/device.hpp"
#include "simulated_device/device/graph.hpp"
#include "support/support.hpp"

#include <sys/wait.h>
#include <unistd.h>

using namespace doppel;
using namespace doppel::test;
using simulated::What;

namespace {

const at::Device gpu(at::kCUDA, 0);

Tensor page_locked(at::IntArrayRef shape, double value = 1) { return at::full(shape, value, at::TensorOptions().pinned_memory(true)); }

/// Sends tensors on a stream of its own.
class Sender {
public:
    Sender() : impl_(at::kCUDA), stream_(impl_.getStreamFromGlobalPool(gpu)), sent_(at::kCUDA) {}
    Tensor send(const Tensor& host) {
        const c10::StreamGuard on(stream_);
        const Tensor there = host.to(gpu, true);
        sent_.record(stream_);
        return there;
    }
    /// The current stream waits, and the allocator for it.
    void take(const Tensor& there) {
        const c10::Stream here = impl_.getStream(gpu);
        sent_.block(here);
        there.record_stream(here);
    }
    c10::Event& sent() { return sent_; }
    const c10::Stream& stream() const { return stream_; }

private:
    c10::impl::VirtualGuardImpl impl_;
    c10::Stream stream_;
    c10::Event sent_;
};

std::string races() { return simulated::take().text(What::race); }

}  // namespace

TEST_CASE("a batch sent on a stream of its own needs an event, and then neither side waits") {
    simulated::install();
    const Tensor host = page_locked({8}, 3);
    for (const bool event_forgotten : {false, true}) {
        Sender sender;
        const simulated::Use use({.faults = {.events_ignored = event_forgotten}});
        simulated::take();
        const Tensor there = sender.send(host);
        sender.take(there);
        const Tensor twice = there * 2;
        const auto trace = simulated::take();
        CHECK(trace.count(What::wait) == 0);
        CHECK(trace.count(What::copy) == 1);
        CHECK(trace.count(What::pageable) == 0);
        CHECK(trace.bytes_sent() == 32);
        CHECK(trace.text(What::race).find("mul.Tensor (reads memory that another stream may still write)") ==
              (event_forgotten ? 0 : std::string::npos));
        CHECK(twice.sum().item<double>() == 48);
        simulated::take();
    }
}

TEST_CASE("a stream that writes what another one reads needs an event too") {
    simulated::install();
    const Tensor a = at::ones({4}, gpu);
    c10::impl::VirtualGuardImpl impl(at::kCUDA);
    impl.synchronizeDevice(0);
    simulated::take();
    const Tensor sum = a.sum();
    const c10::Stream stream = impl.getStreamFromGlobalPool(gpu);
    {
        const c10::StreamGuard on(stream);
        a.zero_();
    }
    CHECK(races().starts_with("zero_ (writes memory that another stream may still read)"));
    const Tensor again = at::ones({4}, gpu);
    c10::Event made(at::kCUDA);
    made.record(impl.getStream(gpu));
    made.block(stream);
    {
        const c10::StreamGuard on(stream);
        again.zero_();
    }
    for (const Tensor& t : {a, again}) t.record_stream(stream);
    CHECK(races() == "");
}

TEST_CASE("the host must not write page-locked memory that a copy may still read") {
    simulated::install();
    const std::string race = "copy_ (the host writes page-locked memory that a copy may still read)";
    const Tensor slot = page_locked({8}, 1);
    for (const bool used : {false, true}) {
        slot.fill_(1);
        Sender sender;
        simulated::take();
        const Tensor there = sender.send(slot);
        sender.take(there);
        if (used) (void)there.sum();  // a kernel behind the copy: the host still does not know that the copy is made
        slot.fill_(2);
        CHECK(races() == race + "\n");
        sender.sent().synchronize();
    }
    // After the event, the slot is free.
    slot.fill_(1);
    Sender sender;
    const Tensor there = sender.send(slot);
    sender.sent().synchronize();
    slot.fill_(2);
    CHECK(races() == "");
    sender.take(there);
    CHECK(there.sum().item<double>() == 8);
    // query() alone tells it too, but not at once.
    slot.fill_(4);
    const Tensor next = sender.send(slot);
    CHECK(!sender.sent().query());
    while (!sender.sent().query()) {}
    slot.fill_(5);
    CHECK(races() == "");
    sender.take(next);
    CHECK(next.sum().item<double>() == 32);
}

TEST_CASE("what the device sends back is there after an event, and NaN before") {
    simulated::install();
    const Tensor verdict = at::ones({}, gpu), slot = page_locked({}, 7);
    const c10::impl::VirtualGuardImpl impl(at::kCUDA);
    c10::Event done(at::kCUDA);
    simulated::take();
    slot.copy_(verdict, true);
    done.record(impl.getStream(gpu));
    verdict.fill_(5);  // later on the stream
    CHECK(std::isnan(slot.item<float>()));
    CHECK(simulated::take().count(What::wait) == 0);
    done.synchronize();
    CHECK(slot.item<float>() == 1);
    const auto late = simulated::take();
    CHECK(late.count(What::wait) == 0);
    CHECK(late.count(What::late_wait) == 1);  // the device goes on with that later work
    slot.copy_(verdict, true);
    done.record(impl.getStream(gpu));
    done.synchronize();
    CHECK(slot.item<float>() == 5);
    CHECK(simulated::take().count(What::wait) == 1);
    done.synchronize();  // known already
    CHECK(simulated::take().count(What::wait) == 0);
}

TEST_CASE("only page-locked memory of the same type and layout is sent without the driver's own copy") {
    simulated::install();
    const auto kind_of = [](const Tensor& from, const at::TensorOptions& to) {
        simulated::take();
        (void)from.to(to, true);
        const auto trace = simulated::take();
        return std::pair(trace.count(What::copy), trace.count(What::pageable));
    };
    using Kind = std::pair<std::int64_t, std::int64_t>;
    CHECK(kind_of(page_locked({4, 2}), gpu) == Kind{1, 0});
    CHECK(kind_of(at::ones({4}), gpu) == Kind{0, 1});
    CHECK(kind_of(page_locked({4}), at::TensorOptions(gpu).dtype(at::kHalf)) == Kind{0, 1});
    CHECK(kind_of(page_locked({4, 2}).narrow(1, 0, 1), gpu) == Kind{0, 1});
    const simulated::Use use({.faults = {.nothing_page_locked = true}});
    CHECK(kind_of(page_locked({4}), gpu) == Kind{0, 1});
}

TEST_CASE("memory that another stream uses needs record_stream before its own stream gets it again") {
    simulated::install();
    for (const bool forgotten : {false, true}) {
        const simulated::Use use({.faults = {.streams_not_recorded = forgotten}});
        Sender sender;
        const Tensor host = page_locked({12345});
        Tensor there = sender.send(host);
        sender.take(there);
        const Tensor sum = there.sum();
        there.reset();
        simulated::take();
        there = sender.send(host);  // gets the same memory
        CHECK(races() == (forgotten ? "allocate (memory is reused while another stream may still use it: record_stream() is missing)\n" : ""));
    }
}

TEST_CASE("code outside kernels cannot touch closed memory") {
    simulated::install();
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const ::pid_t child = ::fork();
    if (child == 0) {
        ::dup2(ends[1], STDERR_FILENO);
        const simulated::Use use({.closed_to_host = true});
        const Tensor a = at::ones({4}, gpu) + 1;
        if (a.sum().item<double>() != 8) ::_exit(1);
        ::_exit(static_cast<int>(a.data_ptr<float>()[0]));
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
    CHECK(text.starts_with("simulated device: code outside a kernel touches the device's memory; the stack:\n"));
}

TEST_CASE("a kernel that is no operator is noted, and finds the copies that come before it") {
    simulated::install();
    const simulated::Use use({.closed_to_host = true});
    const Tensor host = page_locked({4}, 3);
    for (const bool event_forgotten : {false, true}) {
        Sender sender;
        const Tensor there = sender.send(host), result = at::zeros({4}, gpu);
        if (!event_forgotten) sender.take(there);
        simulated::take();
        simulated::launch("twice", [&] {
            for (int i = 0; i < 4; ++i) result.data_ptr<float>()[i] = 2 * there.const_data_ptr<float>()[i];
        });
        CHECK(simulated::take().of(What::launch) == std::map<std::string, int>{{"twice", 1}});
        CHECK((result == 6).all().item<bool>() == !event_forgotten);
        CHECK(result.isnan().all().item<bool>() == event_forgotten);
    }
}

TEST_CASE("a graph does nothing when it is captured, and the same on the same memory at each replay") {
    simulated::install();
    const c10::impl::VirtualGuardImpl impl(at::kCUDA);
    const Tensor x = at::ones({4}, gpu), sum = at::zeros({}, gpu), total = at::zeros({}, gpu), mean = at::zeros({4}, gpu);
    const simulated::UseGraphs use;
    const auto graph = device::graph_factory()();
    const c10::Stream stream = impl.getStreamFromGlobalPool(gpu);
    c10::Event made(at::kCUDA);
    made.record(impl.getStream(gpu));
    made.block(stream);
    const c10::StreamGuard on(stream);
    auto generator = at::globalContext().defaultGenerator(gpu);
    generator.set_current_seed(3);
    graph->begin();
    const Tensor result = x * 2 + 1;
    sum.copy_(result.sum());
    total.add_(sum);
    at::batch_norm(result.expand({3, 4}), {}, {}, mean, at::ones({4}, gpu), true, 0.5, 1e-5, false);
    const Tensor drawn = at::randn({4}, gpu);
    graph->end();
    CHECK(total.item<float>() == 0);
    CHECK(mean.sum().item<float>() == 0);
    for (const double value : {1.0, 5.0}) {
        x.fill_(value);
        simulated::take();
        graph->replay();
        CHECK(simulated::take().of(What::launch) == std::map<std::string, int>{{"graph", 1}});
        CHECK((result == 2 * value + 1).all().item<bool>());
        CHECK(sum.item<double>() == 4 * (2 * value + 1));
    }
    CHECK(total.item<double>() == 12 + 44);
    CHECK((mean == 0.25 * 3 + 0.5 * 11).all().item<bool>());
    generator.set_current_seed(3);
    CHECK(!at::equal(drawn, at::randn({4}, gpu)));
    CHECK(at::equal(drawn, at::randn({4}, gpu)));  // the second replay's
    for (const Tensor& t : {x, sum, total, mean}) t.record_stream(stream);
    CHECK(races() == "");
}

TEST_CASE("running statistics are written, although the operator does not declare it") {
    simulated::install();
    const c10::impl::VirtualGuardImpl impl(at::kCUDA);
    const Tensor x = at::randn({3, 4}, gpu), mean = at::zeros({4}, gpu), var = at::ones({4}, gpu);
    c10::Event made(at::kCUDA);
    made.record(impl.getStream(gpu));
    const c10::Stream stream = impl.getStreamFromGlobalPool(gpu);
    made.block(stream);
    {
        const c10::StreamGuard on(stream);
        at::batch_norm(x, {}, {}, mean, var, true, 0.5, 1e-5, false);
    }
    for (const Tensor& t : {x, mean, var}) t.record_stream(stream);
    simulated::take();
    (void)mean.sum();
    CHECK(races().find("reads memory that another stream may still write") != std::string::npos);
}
