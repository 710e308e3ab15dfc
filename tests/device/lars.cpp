// SPDX-License-Identifier: Apache-2.0
// device::lars: the kernels' step beside ATen's in float64, for each rule; a step that is not taken.
#include <doppel/device/lars.hpp>

#include "support/device_lists.hpp"
#include "support/kernels_on_cpu.hpp"

#include <limits>

using namespace doppel;
using namespace doppel::test;

namespace {

struct Lists {
    std::vector<Tensor> w, g, v;
};
Lists lists(at::ScalarType type = at::kFloat) {
    Lists all{awkward_list(0, at::kFloat), awkward_list(1, at::kFloat), awkward_list(2, at::kFloat)};
    all.w[3].zero_();  // without a norm
    all.g[4].zero_();
    for (auto* list : {&all.w, &all.g, &all.v})
        for (auto& tensor : *list) tensor = tensor.to(type);
    return all;
}

}  // namespace

TEST_CASE("lars' kernels take the step of each rule") {
    KernelsOnCpu backend;
    for (const int rule : {0, 1, 2, 3})
        for (const bool adapts : {true, false})
            for (const double momentum : {0.9, 0.0}) {
                const double decay = momentum > 0 ? 0.05 : 0;
                const device::LarsStep how{rule, adapts, 0.02, momentum, momentum > 0 && rule % 2 == 0};
                INFO("rule " << rule << ", adapts " << adapts << ", momentum " << momentum << ", decay " << decay);
                auto found = lists(), plain = lists(), wide = lists(at::kDouble);
                device::lars(plain.w, plain.g, plain.v, how, 0.3, decay);
                device::lars(wide.w, wide.g, wide.v, how, 0.3, decay);
                CHECK(largest_difference(plain.w, wide.w) < 1e-6);
                CHECK(largest_difference(plain.v, wide.v) < 1e-6);
                const device::UseBackend use(backend);
                const Tensor lr = at::full({}, 3.0, at::kFloat), wd = at::full({}, decay, at::kDouble);
                device::lars(found.w, found.g, found.v, how, device::Number(lr, 0.1), wd, flag(0));
                CHECK(largest_difference(found.w, wide.w) < 1e-6);
                CHECK(largest_difference(found.v, wide.v) < 1e-6);
                CHECK(same_bits(found.g, lists().g));
            }
    CHECK(backend.launches["lars_step"] == 16);
    CHECK(backend.launches["lars_squares"] == 8);  // none without adaptation
}

TEST_CASE("lars leaves no trace of a step that is not taken") {
    KernelsOnCpu backend;
    for (const bool kernels : {false, true}) {
        const auto use = kernels ? std::make_unique<device::UseBackend>(backend) : nullptr;
        auto all = lists();
        for (auto& gradient : all.g) gradient.fill_(std::numeric_limits<double>::quiet_NaN());
        device::lars(all.w, all.g, all.v, {}, 0.3, 0.1, flag(1));
        CHECK(same_bits(all.w, lists().w));
        CHECK(same_bits(all.v, lists().v));
        device::lars(all.w, all.g, all.v, {}, 0.3, 0.1, flag(0));
        CHECK(all.w[4].isnan().all().item<bool>());
    }
    says([] { device::lars({flag(0)}, {}, {}, {}, 0.1, 0); }, {"device::lars: the lists have 1 and 0 tensors"});
    says([] { device::lars({flag(0)}, {flag(0)}, {}, {}, 0.1, 0); }, {"device::lars: the lists have 1 and 0 tensors"});
}
