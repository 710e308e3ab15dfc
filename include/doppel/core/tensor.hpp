// SPDX-License-Identifier: Apache-2.0
// Torch's tensors without its modules.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace doppel {

using at::Tensor;

}  // namespace doppel
