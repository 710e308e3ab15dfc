// SPDX-License-Identifier: Apache-2.0
// device::clip_each: each gradient by its own norm, with and without kernels.
#include <doppel/device/clip.hpp>

#include "support/device_lists.hpp"
#include "support/kernels_on_cpu.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("clip_each clips each gradient to a norm of its own") {
    KernelsOnCpu backend;
    for (const bool kernels : {false, true}) {
        const auto use = kernels ? std::make_unique<device::UseBackend>(backend) : nullptr;
        auto gradients = awkward_list(0);
        gradients[2].mul_(1e-3);  // within the limit
        for (int i = 0; i < 240; ++i) gradients.push_back(wave({5}, 0.3 + i, 0.1, at::kFloat));  // several launches
        const auto before = copies(gradients);
        const Tensor norms = device::clip_each(gradients, 0.5);
        REQUIRE(norms.size(0) == static_cast<std::int64_t>(gradients.size()));
        for (std::size_t i = 0; i < gradients.size(); ++i) {
            const Tensor wide = before[i].to(at::kDouble);
            const double norm = wide.norm().item<double>();
            CHECK(std::abs(norms[static_cast<std::int64_t>(i)].item<double>() - norm) <= 1e-6 * norm);
            if (norm > 0) CHECK(largest_difference(gradients[i], wide * std::min(1.0, 0.5 / (norm + 1e-6))) < 1e-6);
        }
        CHECK(same_bits(gradients[2], before[2]));
    }
    CHECK(backend.launches == std::map<std::string, int>{{"squares", 2}, {"clip_each", 2}});
    CHECK(device::clip_each({}, 1).numel() == 0);
}
