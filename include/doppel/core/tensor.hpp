// SPDX-License-Identifier: Apache-2.0
// Torch for tensors only: what losses, queues and evaluation include.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace doppel {

using at::Tensor;

}  // namespace doppel
