// SPDX-License-Identifier: Apache-2.0
// Gives programs that link doppel::compiled NCCL.
#include <doppel/distributed/nccl.hpp>
