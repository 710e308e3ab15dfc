// SPDX-License-Identifier: Apache-2.0
// device::not_finite: one value among many is found, wherever it is, and no large value is taken for infinite.
#include <doppel/device/finite.hpp>

#include "support/device_lists.hpp"
#include "support/kernels_on_cpu.hpp"

#include <limits>

using namespace doppel;
using namespace doppel::test;

TEST_CASE("not_finite finds one value, in every tensor and type, with and without kernels") {
    KernelsOnCpu backend;
    constexpr double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
    for (const bool kernels : {false, true}) {
        const auto use = kernels ? std::make_unique<device::UseBackend>(backend) : nullptr;
        auto list = awkward_list(0);
        list.push_back(at::full({}, 3e38, at::kFloat));
        list.push_back(wave({40}, 0.3, 0.1, at::kDouble));
        list.push_back(wave({40}, 0.3, 0.1, at::kBFloat16));
        list[2].fill_(-std::numeric_limits<float>::max());
        const Tensor fine = device::not_finite(list);
        CHECK(fine.sizes().empty());
        CHECK(fine.scalar_type() == at::kFloat);
        CHECK(fine.item<float>() == 0);
        for (const Tensor& tensor : list) {
            if (tensor.numel() == 0) continue;
            const Tensor last = tensor.dim() == 4 ? tensor[7][2][4][4] : tensor.dim() == 1 ? tensor[tensor.size(0) - 1] : tensor;
            const double before = last.item<double>();
            for (const double value : {infinity, -infinity, nan}) {
                last.fill_(value);
                CHECK(device::not_finite(list).item<float>() == 1);
            }
            last.fill_(before);
        }
        CHECK(device::not_finite(list).item<float>() == 0);
    }
    CHECK(backend.launches["not_finite"] == 2 + 3 * 12);
    says([] { device::not_finite({}); }, {"device::not_finite: there are no tensors"});
}
