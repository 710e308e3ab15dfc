// SPDX-License-Identifier: Apache-2.0
// What the trainers of several processes make sure of.
#pragma once

#include <doppel/core/collectives.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/module.hpp>
#include <doppel/core/random.hpp>
#include <doppel/core/version.hpp>
#include <doppel/train/identity.hpp>
#include <doppel/train/options.hpp>

#include <ATen/ops/stack.h>
#include <nlohmann/json.hpp>
#include <torch/version.h>

#include <cstdint>
#include <exception>
#include <map>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace doppel::train::detail {

/// The seed of torch's generators in a step of one of several processes.
inline std::uint64_t seed_of_step(const TrainOptions& options, std::int64_t step) {
    random::Stream draw({.seed = static_cast<std::uint64_t>(options.seed),
                         .purpose = random::Purpose::step,
                         .epoch = static_cast<std::uint64_t>(step),
                         .index = static_cast<std::uint64_t>(options.group.rank())});
    return draw.below(std::uint64_t{1} << 53);
}

/// Throws Error, in every process, where one of them runs something else than the first: another version of the libraries, other
/// settings, other parameters.
inline void require_same_run(const Group& group, const Identity& identity, const torch::nn::Module& module) {
    std::map<std::string, std::string> own{identity.begin(), identity.end()};
    own["version of doppel"] = version;
    own["version of LibTorch"] = TORCH_VERSION;
    for (const auto& item : module.named_parameters()) {
        std::string shape;
        for (const auto size : item.value().sizes()) shape += (shape.empty() ? "" : "x") + std::to_string(size);
        own["parameter " + item.key()] = shape + " " + std::string(item.value().dtype().name());
    }
    const auto all = group.collectives().texts(nlohmann::json(own).dump());
    const auto first = nlohmann::json::parse(all.front()).get<std::map<std::string, std::string>>();
    for (std::size_t r = 1; r < all.size(); ++r) {
        const auto other = nlohmann::json::parse(all[r]).get<std::map<std::string, std::string>>();
        for (const auto* side : {&first, &other})
            for (const auto& [name, value] : *side) {
                const auto a = first.find(name), b = other.find(name);
                const std::string here = a == first.end() ? "none" : a->second, there = b == other.end() ? "none" : b->second;
                require(here == there, "processes of one run must agree: ", name, " is ", here, " in process 0 and ", there,
                        " in process ", r, "; start all of them with the same program and options");
            }
    }
}

/// In a handler: where the call of a library failed since another process ended, throws Error that says so.
inline void explain(const Group& group) {
    try {
        throw;
    } catch (const Error&) {
        return;
    } catch (const c10::OutOfMemoryError&) {
        return;
    } catch (const std::bad_alloc&) {
        return;
    } catch (const std::exception& problem) {
        const std::string text = problem.what();
        fail(group.collectives().explained(text.substr(0, text.find('\n'))));
    }
}

/// Parameters and buffers of the first process come to all.
inline void send_state(const Group& group, const torch::nn::Module& module) {
    auto all = module.parameters();
    for (const Tensor& buffer : module.buffers()) all.push_back(buffer);
    doppel::detail::as_one(all, [&](Tensor& values) { group.collectives().broadcast(values, 0); });
}

/// Throws Error, in every process, where a parameter does not have the bits that the first process has. Waits on the host.
inline void require_equal_weights(const Group& group, const torch::nn::Module& module) {
    const at::NoGradGuard no_grad;
    std::vector<std::string> names;
    std::vector<Tensor> sums;
    for (const auto& item : module.named_parameters()) {
        const Tensor& value = item.value();
        const auto bits = value.element_size() == 8 ? at::kLong : value.element_size() == 4 ? at::kInt : at::kShort;
        names.push_back(item.key());
        sums.push_back(value.detach().view(bits).sum(at::kLong));
    }
    if (sums.empty()) return;
    const Tensor own = at::stack(sums).unsqueeze(0), all = doppel::detail::gather_rows(own, group).cpu();
    for (std::int64_t r = 1; r < all.size(0); ++r) {
        const Tensor differ = all[r].ne(all[0]).nonzero();
        require(differ.numel() == 0, "the weights of process ", r, " are no longer those of process 0: ", differ.numel(), " parameters differ, ",
                differ.numel() == 0 ? "" : names[static_cast<std::size_t>(differ[0].item<std::int64_t>())],
                " first; a callback or a part of the recipe that does not do the same in every process changes them");
    }
}

}  // namespace doppel::train::detail
