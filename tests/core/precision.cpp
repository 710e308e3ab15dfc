// SPDX-License-Identifier: Apache-2.0
#include <doppel/core/precision.hpp>

#include <ATen/autocast_mode.h>  // its declarations must be those of core/precision.hpp, or this file does not compile

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("autocast is on within its scope alone, and restored when the scope throws") {
    const Tensor a = at::ones({2, 2});
    const auto type = [&] { return a.mm(a).scalar_type(); };
    CHECK(type() == at::kFloat);
    {
        const Autocast outer(at::kCPU, Precision::bf16);
        CHECK(type() == at::kBFloat16);
        {
            const Autocast inner(at::kCPU, Precision::fp32);
            CHECK(type() == at::kFloat);
        }
        CHECK(type() == at::kBFloat16);
        try {
            const Autocast inner(at::kCPU, Precision::fp32);
            fail("out of the scope");
        } catch (const Error&) {
        }
        CHECK(type() == at::kBFloat16);
        CHECK(at::autocast::is_autocast_enabled(at::kCPU));
    }
    CHECK(type() == at::kFloat);
    CHECK(!at::autocast::is_autocast_enabled(at::kCPU));
}

TEST_CASE("precisions have names, and others are refused") {
    for (const auto precision : {Precision::fp32, Precision::bf16, Precision::fp16}) CHECK(precision_from(name_of(precision)) == precision);
    says([] { precision_from("fp8"); }, {"precision", "fp32, bf16 or fp16", "fp8"});
}
