// SPDX-License-Identifier: Apache-2.0
// Torch's modules, as far as doppel uses them: what encoders, heads and methods include. All of torch/nn.h costs every
// file that includes it 8 seconds; include <torch/torch.h> yourself for layers that are not here.
#pragma once

#include <doppel/core/tensor.hpp>

#include <torch/nn/module.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/modules/pooling.h>
#include <torch/nn/pimpl.h>
