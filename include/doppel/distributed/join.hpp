// SPDX-License-Identifier: Apache-2.0
// Joins the processes of a run to a group.
#pragma once

#include <doppel/core/group.hpp>
#include <doppel/distributed/place.hpp>

#include <c10/core/Device.h>

#include <optional>

namespace doppel::distributed {

struct JoinOptions {
    double wait_seconds = 120;   ///< for all processes to come
    double patience = 5;         ///< seconds that a call may take before the processes compare what they wait for
    double silence = 60;         ///< seconds without a sign of life after which a process counts as dead
};

/// Meets the other processes at `place` and returns the group of all, which speak by Gloo on a CPU and by NCCL on a GPU, through
/// PyTorch's c10d. Nothing (this process is alone): Group{}.
/// A process that dies or gives up ends the calls of the others with an Error that names it, within some seconds; so do processes
/// that make different calls. However long a process computes, the others wait for it.
/// Throws Error if not all come in time, and where doppel was built without Gloo's or NCCL's headers.
///
///     Group group = distributed::join(distributed::place_from_environment(), at::kCPU);
Group join(const std::optional<Place>& place, at::Device device, const JoinOptions& options = {});

}  // namespace doppel::distributed

#ifndef DOPPEL_COMPILED
#include <doppel/distributed/detail/join.hpp>
#endif
