// SPDX-License-Identifier: Apache-2.0
// Gives programs that link doppel::compiled CUDA graphs.
#include <doppel/device/cuda_graph.hpp>
