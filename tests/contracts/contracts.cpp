// SPDX-License-Identifier: Apache-2.0
// What each contract accepts, and what it refuses. The shipped parts assert theirs in their own headers.
#include <doppel/contracts/encoder.hpp>
#include <doppel/contracts/head.hpp>
#include <doppel/contracts/loss.hpp>
#include <doppel/contracts/pairing.hpp>
#include <doppel/contracts/queue.hpp>
#include <doppel/contracts/target.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::contracts;
using doppel::test::TinyNet;
using doppel::test::TinyNetImpl;

namespace {

struct Nothing {};

// ---- encoders -----------------------------------------------------------------------------------------
struct BuildsNet {
    TinyNet build() const { return TinyNet(8); }
};
struct BuildsWithWidth {
    TinyNet build(std::int64_t width) const { return TinyNet(width); }
};
constexpr auto makes_net = [] { return TinyNet(8); };
constexpr auto makes_pointer = [] { return std::make_shared<TinyNetImpl>(8); };
constexpr auto makes_linear = [] { return torch::nn::Linear(2, 2); };
constexpr auto makes_number = [] { return 3; };
static_assert(EncoderSpec<BuildsNet> && EncoderSpec<decltype(makes_net)> && EncoderSpec<decltype(makes_pointer)>);
static_assert(!EncoderSpec<Nothing> && !EncoderSpec<int> && !EncoderSpec<BuildsWithWidth>);
static_assert(!EncoderSpec<decltype(makes_linear)>, "no feature_dim()");
static_assert(!EncoderSpec<decltype(makes_number)>);
static_assert(BuiltModule<TinyNet> && BuiltModule<TinyNetImpl> && BuiltModule<std::shared_ptr<TinyNetImpl>>);
static_assert(BuiltModule<torch::nn::Sequential> && !EncoderSpec<TinyNet> && !EncoderSpec<torch::nn::Sequential>);
static_assert(!BuiltModule<BuildsNet> && !BuiltModule<decltype(makes_net)> && !PatchEncoder<TinyNet>);

// ---- heads --------------------------------------------------------------------------------------------
struct BuildsHead {
    Built<torch::nn::Linear> build(std::int64_t in) const { return {torch::nn::Linear(in, 3), 3}; }
};
struct BuildsBareModule {
    torch::nn::Linear build(std::int64_t in) const { return torch::nn::Linear(in, 3); }
};
constexpr auto makes_head = [](std::int64_t in) { return torch::nn::Linear(in, 3); };
static_assert(HeadSpec<None> && HeadSpec<BuildsHead> && HeadSpec<decltype(makes_head)>);
static_assert(!HeadSpec<Nothing> && !HeadSpec<BuildsBareModule> && !HeadSpec<BuildsNet> && !HeadSpec<torch::nn::Linear>);
static_assert(!HeadSpec<decltype(makes_linear)>, "takes no width");

// ---- queues -------------------------------------------------------------------------------------------
struct Rows {
    Tensor rows{};
    const Tensor& read() const { return rows; }
    void commit(const Outputs&) {}
    template <class Visitor>
    void state(Visitor&& visit) {
        visit("rows", rows);
    }
};
struct Forgetful {
    Tensor read() const { return {}; }
    void commit(const Outputs&) {}
};
template <class M>
struct BuildsMemory {
    M build(std::int64_t) const { return {}; }
};
static_assert(Memory<Rows> && !Memory<Forgetful> && !Memory<Nothing>);
static_assert(QueueSpec<None> && QueueSpec<BuildsMemory<Rows>> && !QueueSpec<BuildsMemory<Forgetful>> && !QueueSpec<Rows>);
static_assert(!QueueSpec<Nothing> && !QueueSpec<int>);

// ---- targets ------------------------------------------------------------------------------------------
struct SameNetwork {
    Tensor output(const Tensor& online) const { return online; }
};
struct OwnNetwork {
    void update(const std::vector<Tensor>&, const std::vector<Tensor>&, const TrainingStep&) {}
};
struct Timed : OwnNetwork {
    UpdateTiming timing = UpdateTiming::before_forward;
};
struct BothKinds : SameNetwork, OwnNetwork {};
struct ByNumber {
    void update(const std::vector<Tensor>&, const std::vector<Tensor>&, double) {}
};
static_assert(Target<SameNetwork> && OutputTarget<SameNetwork> && !NetworkTarget<SameNetwork>);
static_assert(Target<OwnNetwork> && NetworkTarget<OwnNetwork> && !TimedTarget<OwnNetwork> && TimedTarget<Timed>);
static_assert(!Target<BothKinds> && !Target<Nothing> && !Target<double> && !Target<ByNumber>);

// ---- pairings -----------------------------------------------------------------------------------------
struct NoReduce {
    std::vector<pairings::Pair> operator()(std::size_t, std::size_t) const { return {}; }
};
struct OneArgument {
    pairings::Reduce reduce{};
    std::vector<pairings::Pair> operator()(std::size_t) const { return {}; }
};
static_assert(PairingSlot<ByLoss> && PairingSlot<pairings::Symmetric> && !Pairing<ByLoss>);
static_assert(!Pairing<NoReduce> && !Pairing<OneArgument> && !PairingSlot<Nothing> && !PairingSlot<None>);

// ---- losses -------------------------------------------------------------------------------------------
constexpr auto on_pair = [](const Tensor& a, const Tensor&) { return a; };
constexpr auto on_memory = [](const Tensor& a, const Tensor&, const Tensor&) { return a; };
constexpr auto on_all = [](const Outputs& out) { return out.memory; };
constexpr auto on_one = [](const Tensor& a) { return a; };
constexpr auto a_number = [](const Tensor&, const Tensor&) { return std::string("loss"); };
static_assert(PairLoss<const decltype(on_pair)> && !MemoryLoss<const decltype(on_pair)> && !OutputsLoss<const decltype(on_pair)>);
static_assert(MemoryLoss<const decltype(on_memory)> && !PairLoss<const decltype(on_memory)>);
static_assert(OutputsLoss<const decltype(on_all)> && Loss<const decltype(on_all)>);
static_assert(!Loss<Nothing> && !Loss<const decltype(on_one)> && !Loss<const decltype(a_number)>);

struct Complete {
    using Pairing = pairings::Symmetric;
    Tensor center{};
    void build(std::int64_t) {}
    std::string begin(const Horizon&) const { return {}; }
    template <class Visitor>
    void state(Visitor&& visit) {
        visit("center", center);
    }
    void commit(const Outputs&) {}
    Metrics metrics() const { return {}; }
    Counters counters() { return {}; }
    std::vector<bool> mask(std::int64_t, std::int64_t, random::Stream) const { return {}; }
    Tensor operator()(const Outputs& out) const { return out.memory; }
};
static_assert(Builds<Complete> && Begins<Complete> && HasState<Complete> && Commits<Complete> && HasMetrics<Complete> &&
              HasCounters<Complete> && MaskingLoss<Complete> && NamesPairing<Complete> && misspells_nothing<Complete>);
static_assert(!Builds<Nothing> && !Begins<Nothing> && !HasState<Nothing> && !Commits<Nothing> && !HasMetrics<Nothing> &&
              !HasCounters<Nothing> && !MaskingLoss<Nothing> && !NamesPairing<Nothing> && misspells_nothing<Nothing>);
static_assert(misspells_nothing<const decltype(on_pair)>);

struct AlmostComplete {
    using Pairing = Nothing;
    void build() {}
    void begin() {}
    void state(int) {}
    void commit(const Tensor&) {}
    Metrics metrics() { return {}; }  // not const
    std::vector<std::int64_t> counters() { return {}; }
    std::vector<bool> mask(std::int64_t, std::int64_t, random::Stream) { return {}; }  // not const
};
static_assert(misnames_pairing<AlmostComplete> && misspells_build<AlmostComplete> && misspells_begin<AlmostComplete> &&
              misspells_state<AlmostComplete> && misspells_commit<AlmostComplete> && misspells_metrics<AlmostComplete> &&
              misspells_counters<AlmostComplete> && misspells_mask<AlmostComplete>);

struct AlmostNamesNumbers {
    Tensor operator()(const Outputs& out) const { return out.online.at(0).sum(); }
    double host_numbers(const TrainingStep&) const { return 1; }
};
static_assert(misspells_host_numbers<AlmostNamesNumbers> && !NamesHostNumbers<AlmostNamesNumbers>);

}  // namespace

TEST_CASE("begin() is asked for a warning, called without one, or left out") {
    struct Warns {
        std::string begin(const Horizon&) const { return "careful"; }
    };
    struct Quiet {
        int calls = 0;
        void begin(const Horizon&) { ++calls; }
    };
    Warns warns;
    Quiet quiet;
    Nothing nothing;
    CHECK(contracts::begin(warns, {}) == "careful");
    CHECK(contracts::begin(quiet, {}).empty());
    CHECK(quiet.calls == 1);
    CHECK(contracts::begin(nothing, {}).empty());
}

TEST_CASE("a network target says when it is updated, and without a word after the step") {
    CHECK(timing_of(OwnNetwork{}) == UpdateTiming::after_step);
    CHECK(timing_of(Timed{}) == UpdateTiming::before_forward);
}
