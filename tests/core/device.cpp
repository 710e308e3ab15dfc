// SPDX-License-Identifier: Apache-2.0
#include <doppel/core/device.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("devices have names, and others are refused") {
    CHECK(device_from("cpu") == at::kCPU);
    const bool cuda = at::hasCUDA() && at::detail::getCUDAHooks().deviceCount() > 0;
    CHECK(device_from("auto").type() == (cuda ? at::kCUDA : at::kCPU));
    for (const char* wrong : {"gpus", "cuda:", "cuda:x", "cuda:1234", ""}) says([&] { device_from(wrong); }, {"device", wrong});
    if (!cuda) says([] { device_from("gpu"); }, {"device cuda", "no CUDA device", "--device cpu"});
    if (!cuda) says([] { device_from("cuda:0"); }, {"cuda:0", "no CUDA device", "--device cpu"});
}
