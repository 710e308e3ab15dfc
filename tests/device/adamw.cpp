// SPDX-License-Identifier: Apache-2.0
// device::adamw: the kernels' steps beside torch's fused ones; a step that is not taken.
#include <doppel/device/adamw.hpp>

#include "support/device_lists.hpp"
#include "support/kernels_on_cpu.hpp"

#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>

#include <limits>

using namespace doppel;
using namespace doppel::test;

namespace {

struct Lists {
    std::vector<Tensor> w, g, mean, square, steps;
};
Lists lists() {
    Lists all{awkward_list(0), awkward_list(1), awkward_list(2), awkward_list(3), {}};
    for (std::size_t i = 0; i < all.w.size(); ++i) {
        all.square[i].abs_();
        all.steps.push_back(flag(static_cast<double>(3 * i)));  // each has a count of its own
    }
    return all;
}

/// By torch, without the tensor of no elements that it does not take.
Lists by_torch(bool decoupled, int steps) {
    Lists all = lists();
    for (auto* list : {&all.w, &all.g, &all.mean, &all.square, &all.steps}) list->erase(list->begin());
    for (int s = 0; s < steps; ++s) {
        at::_foreach_add_(all.steps, 1);
        const auto fused = [&](auto&& kernel) {
            kernel(all.w, all.g, all.mean, all.square, at::TensorList{}, all.steps, 1e-2, 0.9, 0.95, 0.3, 1e-8, false, false);
        };
        if (decoupled)
            fused([](auto&&... arguments) { at::_fused_adamw_(arguments...); });
        else
            fused([](auto&&... arguments) { at::_fused_adam_(arguments...); });
    }
    return all;
}

}  // namespace

TEST_CASE("adamw's kernels take torch's steps, with rates from the device") {
    KernelsOnCpu backend;
    for (const bool decoupled : {true, false})
        for (const bool kernels : {false, true}) {
            INFO("decoupled " << decoupled << ", kernels " << kernels);
            const auto expected = by_torch(decoupled, 3);
            const auto use = kernels ? std::make_unique<device::UseBackend>(backend) : nullptr;
            Lists all = lists();
            const Tensor rates = at::full({2}, 1e-2, at::kFloat), decay = at::full({}, 0.03, at::kDouble);
            const device::AdamStep how{.beta2 = 0.95, .decoupled = decoupled};
            for (int s = 0; s < 3; ++s)
                device::adamw(all.w, all.g, all.mean, all.square, all.steps, how, rates.select(0, 1), device::Number(decay, 10), flag(0));
            for (auto* list : {&all.w, &all.mean, &all.square, &all.steps}) list->erase(list->begin());
            CHECK(largest_difference(all.w, expected.w) < 1e-6);
            CHECK(largest_difference(all.mean, expected.mean) < 1e-6);
            CHECK(largest_difference(all.square, expected.square) < 1e-6);
            CHECK(same_bits(all.steps, expected.steps));
        }
    CHECK(backend.launches == std::map<std::string, int>{{"adam_count", 6}, {"adam_step", 6}});
}

TEST_CASE("adamw leaves no trace of a step that is not taken") {
    KernelsOnCpu backend;
    for (const bool kernels : {false, true}) {
        const auto use = kernels ? std::make_unique<device::UseBackend>(backend) : nullptr;
        Lists all = lists();
        for (auto& gradient : all.g) gradient.fill_(std::numeric_limits<double>::quiet_NaN());
        device::adamw(all.w, all.g, all.mean, all.square, all.steps, {}, 0.1, 0.1, flag(1));
        const Lists before = lists();
        CHECK(same_bits(all.w, before.w));
        CHECK(same_bits(all.mean, before.mean));
        CHECK(same_bits(all.square, before.square));
        CHECK(same_bits(all.steps, before.steps));
        device::adamw(all.w, all.g, all.mean, all.square, all.steps, {}, 0.1, 0.1, flag(0));
        CHECK(all.w[4].isnan().all().item<bool>());
        CHECK(all.steps[2].item<float>() == 7);
    }
    says([] { device::adamw({flag(0)}, {flag(0)}, {flag(0)}, {flag(0)}, {}, {}, 0.1, 0); }, {"device::adamw: the lists have 1 and 0 tensors"});
}
