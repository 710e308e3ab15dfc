// SPDX-License-Identifier: Apache-2.0
// A weighted sum of losses.
#pragma once

#include <doppel/contracts/loss.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/core/random.hpp>
#include <doppel/core/tensor.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace doppel::losses {

namespace detail {

/// Has the first Pairing among the losses, if any.
template <class... L>
struct FirstPairing {};
template <class L, class... Rest>
struct FirstPairing<L, Rest...> : FirstPairing<Rest...> {};
template <class L, class... Rest>
    requires contracts::NamesPairing<L>
struct FirstPairing<L, Rest...> {
    using Pairing = typename L::Pairing;
};

}  // namespace detail

/// A loss with its weight, as part of a Sum.
template <class L>
struct Weighted {
    double weight = 1;  ///< finite
    L loss{};           ///< callable as loss(Outputs), returns a scalar
};

/// Σ_i weight_i · loss_i(outputs).
///
/// Forwards build, begin (warnings joined), state, commit, metrics and counters to its parts, under the parts' names; a
/// repeated metric gets the number of its part, as "entropy_1". At most one part may mask patches. The pairing is that
/// of the first part that has one, and applies to all parts; without one, all views go through all branches.
/// A lambda turns a pair loss into a part: [](const Outputs& out) { return loss(out.online[0], out.target[1]); }.
/// A part of weight 0 is still computed, and its state updated.
/// Throws Error for non-finite weights, for a part that does not return a scalar, and in build() for parts with state
/// or counters of the same name.
///
///     .loss = losses::Sum{losses::Weighted{1.0, losses::Lejepa{}}, losses::Weighted{0.1, MyLoss{}}}
///     std::get<0>(method->recipe.loss.parts).loss  // a part, with its state
template <class... L>
struct Sum : detail::FirstPairing<L...> {
    static_assert(sizeof...(L) > 0, "Sum needs at least one part, as Sum{Weighted{1.0, Lejepa{}}}");
    static_assert((contracts::OutputsLoss<L> && ...),
                  "each part of a Sum must be callable as loss(Outputs) and return a Tensor; wrap a pair loss in "
                  "[](const Outputs& out) { return loss(out.online[0], out.target[1]); }");
    static_assert((0 + ... + static_cast<int>(contracts::MaskingLoss<L>)) <= 1,
                  "two parts of a Sum mask patches; only one part may have mask(rows, columns, stream)");

    static_assert((contracts::misspells_nothing<L> && ...),
                  "a part of a Sum has a member Pairing, build, begin, state, commit, metrics, counters or mask that "
                  "does not match contracts/loss.hpp");

    static constexpr bool uses_labels = (contracts::UsesLabels<L> || ...);

    std::tuple<Weighted<L>...> parts;  ///< in the order given

    explicit Sum(Weighted<L>... given) : parts(std::move(given)...) {}

    void build(std::int64_t dim) {
        check();
        each(parts, [&](auto& part) {
            if constexpr (contracts::Builds<decltype(part.loss)>) part.loss.build(dim);
        });
        std::set<std::string> names, numbers;
        const auto add = [](std::set<std::string>& all, const std::string& name, const char* what) {
            require(all.insert(name).second, "Sum: two parts have a ", what, " named ", name,
                    ", expected unique names for checkpoints");
        };
        each(parts, [&](auto& part) {
            if constexpr (contracts::HasState<decltype(part.loss)>)
                part.loss.state([&](const char* name, Tensor&) { add(names, name, "tensor"); });
            if constexpr (contracts::HasCounters<decltype(part.loss)>)
                for (const auto& counter : part.loss.counters()) add(numbers, counter.first, "counter");
        });
    }

    /// Parts that ask the others themselves do; those that look at one image each need nothing. With any other part, a Sum is
    /// given the outputs of all processes.
    void join(const Group& group)
        requires((contracts::Joins<L> || (contracts::PerImage<L> && !contracts::Commits<L>)) && ...)
    {
        each(parts, [&](auto& part) {
            if constexpr (contracts::Joins<decltype(part.loss)>) part.loss.join(group);
        });
    }

    std::string begin(const Horizon& horizon) {
        check();
        std::string warnings;
        each(parts, [&](auto& part) {
            const std::string warning = contracts::begin(part.loss, horizon);
            if (!warning.empty()) warnings += (warnings.empty() ? "" : "; ") + warning;
        });
        return warnings;
    }

    template <class Visitor>
        requires(contracts::HasState<L> || ...)
    void state(Visitor&& visit) {
        each(parts, [&](auto& part) {
            if constexpr (contracts::HasState<decltype(part.loss)>) part.loss.state(visit);
        });
    }

    Tensor operator()(const Outputs& out) {
        check();
        Tensor sum;
        each(parts, [&](auto& part) {
            const Tensor value = part.loss(out);
            require(value.defined() && value.dim() == 0, "Sum: each part must return a scalar, got shape ",
                    value.defined() ? value.sizes() : at::IntArrayRef{});
            sum = sum.defined() ? sum + value * part.weight : value * part.weight;
        });
        return sum;
    }

    void commit(const Outputs& out, const Tensor& bad = {}) {
        each(parts, [&](auto& part) {
            if constexpr (contracts::Commits<decltype(part.loss)>) contracts::commit(part.loss, out, bad);
        });
    }

    std::vector<double> host_numbers(const TrainingStep& at) const
        requires(contracts::NamesHostNumbers<L> && ...)
    {
        std::vector<double> all;
        each(parts, [&](const auto& part) {
            if constexpr (requires { part.loss.host_numbers(at); })
                for (const double number : part.loss.host_numbers(at)) all.push_back(number);
        });
        return all;
    }

    /// Of the part that masks patches.
    bool ignores_weightless() const {
        bool all = true;
        each(parts, [&](const auto& part) {
            if constexpr (requires { part.loss.ignores_weightless(); }) all &= part.loss.ignores_weightless();
            else if constexpr (contracts::MaskingLoss<decltype(part.loss)>) all = false;
        });
        return all;
    }

    std::vector<bool> mask(std::int64_t rows, std::int64_t columns, random::Stream draw) const
        requires(contracts::MaskingLoss<L> || ...)
    {
        std::vector<bool> masked;
        each(parts, [&](const auto& part) {
            if constexpr (contracts::MaskingLoss<decltype(part.loss)>)
                masked = part.loss.mask(rows, columns, draw);
        });
        return masked;
    }

    contracts::Metrics metrics() const
        requires(contracts::HasMetrics<L> || ...)
    {
        contracts::Metrics all;
        std::set<std::string> names;
        int number = 0;
        each(parts, [&](const auto& part) {
            if constexpr (contracts::HasMetrics<decltype(part.loss)>)
                for (auto [name, value] : part.loss.metrics()) {
                    if (!names.insert(name).second) name += '_' + std::to_string(number);
                    all.emplace_back(std::move(name), std::move(value));
                }
            ++number;
        });
        return all;
    }

    contracts::Counters counters()
        requires(contracts::HasCounters<L> || ...)
    {
        contracts::Counters all;
        each(parts, [&](auto& part) {
            if constexpr (contracts::HasCounters<decltype(part.loss)>)
                for (const auto& counter : part.loss.counters()) all.push_back(counter);
        });
        return all;
    }

private:
    template <class Parts, class Action>
    static void each(Parts& parts, Action&& action) {
        std::apply([&](auto&... part) { (action(part), ...); }, parts);
    }

    void check() const {
        each(parts, [](const auto& part) {
            require(std::isfinite(part.weight), "Sum: weights must be finite, got ", part.weight);
        });
    }
};
template <class... L>
Sum(Weighted<L>...) -> Sum<L...>;

}  // namespace doppel::losses
