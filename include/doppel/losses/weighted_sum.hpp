// SPDX-License-Identifier: Apache-2.0
// A weighted sum of losses.
#pragma once

#include <doppel/core/batch.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/training_step.hpp>
#include <doppel/core/random.hpp>
#include <doppel/core/tensor.hpp>

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace doppel::losses {

namespace detail {

struct NamesTensors {
    void operator()(const char*, Tensor&) const {}
};

template <class L>
concept OnOutputs = requires(L& l, const Outputs& out) {
    { l(out) } -> std::convertible_to<Tensor>;
};
template <class L>
concept HasState = requires(L& l) { l.state(NamesTensors{}); };
template <class L>
concept HasMetrics = requires(const L& l) { l.metrics(); };
template <class L>
concept HasCounters = requires(L& l) { l.counters(); };
template <class L>
concept HasMask = requires(const L& l, std::int64_t side, random::Stream draw) { l.mask(side, side, draw); };
template <class L>
concept HasPairing = requires { typename L::Pairing; };

/// Has the first Pairing among the losses, if any.
template <class... L>
struct FirstPairing {};
template <class L, class... Rest>
struct FirstPairing<L, Rest...> : FirstPairing<Rest...> {};
template <class L, class... Rest>
    requires HasPairing<L>
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
///     .loss = losses::Sum{losses::Weighted{1.0, losses::Sigreg{}}, losses::Weighted{0.1, MyLoss{}}}
///     std::get<0>(method->recipe.loss.parts).loss  // a part, with its state
template <class... L>
struct Sum : detail::FirstPairing<L...> {
    static_assert(sizeof...(L) > 0, "Sum needs at least one part, as Sum{Weighted{1.0, Sigreg{}}}");
    static_assert((detail::OnOutputs<L> && ...),
                  "each part of a Sum must be callable as loss(Outputs) and return a Tensor; wrap a pair loss in "
                  "[](const Outputs& out) { return loss(out.online[0], out.target[1]); }");
    static_assert((0 + ... + static_cast<int>(detail::HasMask<L>)) <= 1,
                  "two parts of a Sum mask patches; only one part may have mask(rows, columns, stream)");

    std::tuple<Weighted<L>...> parts;  ///< in the order given

    explicit Sum(Weighted<L>... given) : parts(std::move(given)...) {}

    void build(std::int64_t dim) {
        check();
        each(parts, [&](auto& part) {
            if constexpr (requires { part.loss.build(dim); }) part.loss.build(dim);
        });
        std::set<std::string> names, numbers;
        const auto add = [](std::set<std::string>& all, const std::string& name, const char* what) {
            require(all.insert(name).second, "Sum: two parts have a ", what, " named ", name,
                    ", expected unique names for checkpoints");
        };
        each(parts, [&](auto& part) {
            if constexpr (requires { part.loss.state(detail::NamesTensors{}); })
                part.loss.state([&](const char* name, Tensor&) { add(names, name, "tensor"); });
            if constexpr (requires { part.loss.counters(); })
                for (const auto& counter : part.loss.counters()) add(numbers, counter.first, "counter");
        });
    }

    std::string begin(const Horizon& horizon) {
        check();
        std::string warnings;
        each(parts, [&](auto& part) {
            if constexpr (requires { { part.loss.begin(horizon) } -> std::convertible_to<std::string>; }) {
                const std::string warning = part.loss.begin(horizon);
                if (!warning.empty()) warnings += (warnings.empty() ? "" : "; ") + warning;
            } else if constexpr (requires { part.loss.begin(horizon); }) {
                part.loss.begin(horizon);
            }
        });
        return warnings;
    }

    template <class Visitor>
        requires(detail::HasState<L> || ...)
    void state(Visitor&& visit) {
        each(parts, [&](auto& part) {
            if constexpr (requires { part.loss.state(detail::NamesTensors{}); }) part.loss.state(visit);
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

    void commit(const Outputs& out) {
        each(parts, [&](auto& part) {
            if constexpr (requires { part.loss.commit(out); }) part.loss.commit(out);
        });
    }

    std::vector<bool> mask(std::int64_t rows, std::int64_t columns, random::Stream draw) const
        requires(detail::HasMask<L> || ...)
    {
        std::vector<bool> masked;
        each(parts, [&](const auto& part) {
            if constexpr (requires { part.loss.mask(rows, columns, draw); })
                masked = part.loss.mask(rows, columns, draw);
        });
        return masked;
    }

    std::vector<std::pair<std::string, Tensor>> metrics() const
        requires(detail::HasMetrics<L> || ...)
    {
        std::vector<std::pair<std::string, Tensor>> all;
        std::set<std::string> names;
        int number = 0;
        each(parts, [&](const auto& part) {
            if constexpr (requires { part.loss.metrics(); })
                for (auto [name, value] : part.loss.metrics()) {
                    if (!names.insert(name).second) name += '_' + std::to_string(number);
                    all.emplace_back(std::move(name), std::move(value));
                }
            ++number;
        });
        return all;
    }

    std::vector<std::pair<std::string, std::int64_t*>> counters()
        requires(detail::HasCounters<L> || ...)
    {
        std::vector<std::pair<std::string, std::int64_t*>> all;
        each(parts, [&](auto& part) {
            if constexpr (requires { part.loss.counters(); })
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
