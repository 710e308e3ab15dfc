// SPDX-License-Identifier: Apache-2.0
// Torch with modules: what encoders, heads and methods include.
#pragma once

#include <doppel/core/tensor.hpp>

#include <torch/nn.h>
