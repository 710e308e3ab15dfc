// SPDX-License-Identifier: Apache-2.0
// device::restore_if and commit_unless: which copies happen, for all types.
#include <doppel/device/select.hpp>

#include "support/device_lists.hpp"
#include "support/kernels_on_cpu.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

std::vector<Tensor> mixed(int kind) {
    auto list = awkward_list(kind);
    list.push_back(at::full({}, 7 + kind, at::kLong));
    list.push_back(at::full({5}, kind, at::kByte));
    list.push_back(at::full({3}, kind == 0, at::kBool));
    list.push_back(wave({9, 4}, 0.4 + kind, 0.2, at::kBFloat16));
    list.push_back(wave({300, 50}, 0.4 + kind, 0.2, at::kDouble));
    list.push_back(wave({4, 3, 6, 6}, 0.4 + kind, 0.2, at::kFloat).slice(2, 0, 2));  // with gaps
    return list;
}

}  // namespace

TEST_CASE("restore_if and commit_unless copy all or nothing, tensors of any type") {
    KernelsOnCpu backend;
    const auto before = mixed(0), other = mixed(1);
    for (const bool kernels : {false, true})
        for (const double bad : {0.0, 1.0}) {
            const auto use = kernels ? std::make_unique<device::UseBackend>(backend) : nullptr;
            auto now = mixed(0);
            device::restore_if(flag(bad), now, other);
            CHECK(same_bits(now, bad != 0 ? other : before));
            now = mixed(0);
            device::commit_unless(flag(bad), now, other);
            CHECK(same_bits(now, bad == 0 ? other : before));
        }
    CHECK(backend.launches == std::map<std::string, int>{{"select", 4}});  // one each
    says([&] { device::restore_if(flag(0), before, {}); }, {"device::restore_if: the lists have 16 and 0 tensors"});
    says([&] { device::commit_unless(flag(0), before, {}); }, {"device::commit_unless: the lists have 16 and 0 tensors"});
}
