// SPDX-License-Identifier: Apache-2.0
// device::ema: its kernel has the bits of ATen's operation, reads rate and permission where they are, and leaves no trace of a
// step that is not taken.
#include <doppel/device/ema.hpp>

#include "support/device_lists.hpp"
#include "support/kernels_on_cpu.hpp"

#include <limits>

using namespace doppel;
using namespace doppel::test;

TEST_CASE("ema's kernel has the bits of _foreach_lerp_") {
    KernelsOnCpu backend;
    const auto online = awkward_list(1);
    for (const double m : {0.0, 0.4, 0.5, 0.6, 0.996, 1.0}) {
        auto expected = awkward_list(0), target = copies(expected), wide = copies(expected), plain = copies(expected);
        at::_foreach_lerp_(expected, online, 1 - m);
        device::ema(plain, online, m);
        CHECK(same_bits(plain, expected));
        const device::UseBackend use(backend);
        device::ema(target, online, m);
        CHECK(same_bits(target, expected));
        device::ema(wide, online, at::full({}, m, at::kDouble), flag(0));
        CHECK(same_bits(wide, expected));
    }
    CHECK(backend.launches == std::map<std::string, int>{{"ema", 12}});
}

TEST_CASE("ema does nothing in a step that is not taken, whatever the values") {
    KernelsOnCpu backend;
    const auto before = awkward_list(0);
    auto online = awkward_list(1);
    for (auto& tensor : online) tensor.fill_(std::numeric_limits<double>::quiet_NaN());
    for (const bool kernels : {false, true}) {
        auto target = copies(before);
        const auto use = kernels ? std::make_unique<device::UseBackend>(backend) : nullptr;
        for (const double bad : {1.0, -1.0, std::numeric_limits<double>::quiet_NaN()}) device::ema(target, online, 0.5, flag(bad));
        CHECK(same_bits(target, before));
        device::ema(target, online, 0.5, flag(0));
        CHECK(target[1].isnan().all().item<bool>());
    }
    CHECK(backend.launches["ema"] == 4);
}

TEST_CASE("ema takes ATen's way for what does not fit its kernel, tensor by tensor") {
    KernelsOnCpu backend;
    const device::UseBackend use(backend);
    const auto make = [](int kind) {
        auto list = awkward_list(kind);
        list.push_back(wave({7}, 0.3 + kind, 0.1, at::kDouble));
        list.push_back(wave({2, 3, 4, 4}, 0.3 + kind, 0.1, at::kFloat));
        return list;
    };
    auto target = make(0), expected = copies(target), online = make(1);
    online.back() = online.back().contiguous(at::MemoryFormat::ChannelsLast);
    at::_foreach_lerp_(expected, online, 0.25);
    device::ema(target, online, 0.75, flag(0));
    CHECK(largest_difference(target, expected) < 1e-7);
    CHECK(backend.launches == std::map<std::string, int>{{"ema", 1}});
    const auto before = copies(target);
    device::ema(target, online, 0.75, flag(1));
    CHECK(same_bits(target, before));
    says([&] { device::ema(target, online, 0.75, flag(1).to(at::kDouble)); }, {"device::ema: the verdict must be float32 [] on cpu, got Double"});
    says([&] { device::ema(target, {online[0]}, 0.5); }, {"device::ema: the lists have 12 and 1 tensors"});
}
