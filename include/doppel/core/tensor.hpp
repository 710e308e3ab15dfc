// SPDX-License-Identifier: Apache-2.0
// Tensors, for losses, queues and evaluation. Not all of <ATen/ATen.h>, which takes twice as long to compile: what uses a
// free function includes its header, as <ATen/ops/cat.h>.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>
#include <c10/core/TensorOptions.h>

// a + b and its like: that header includes all functions unless told otherwise.
#ifdef AT_PER_OPERATOR_HEADERS
#include <ATen/TensorOperators.h>
#else
#define AT_PER_OPERATOR_HEADERS
#include <ATen/TensorOperators.h>
#undef AT_PER_OPERATOR_HEADERS
#endif

namespace doppel {

using at::Tensor;

}  // namespace doppel
