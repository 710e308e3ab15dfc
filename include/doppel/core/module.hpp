// SPDX-License-Identifier: Apache-2.0
// The torch modules that doppel uses. All of torch/nn.h would add 8 seconds to every file that includes it; for other
// layers include <torch/torch.h>.
#pragma once

#include <doppel/core/tensor.hpp>

#include <torch/nn/module.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>
