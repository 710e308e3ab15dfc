// SPDX-License-Identifier: Apache-2.0
// What the Recipe's `queue` slot accepts.
#pragma once

#include <doppel/contracts/empty_slot.hpp>
#include <doppel/contracts/part.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/tensor.hpp>

#include <concepts>
#include <cstdint>

namespace doppel::contracts {

/// What a queue spec builds: a memory of one method.
///
/// | member                | required | meaning                                                              |
/// |-----------------------|----------|----------------------------------------------------------------------|
/// | read() → [K, dim]     | yes      | the rows as they were before this batch; Outputs::memory             |
/// | commit(outputs)       | yes      | writes the batch, after the optimizer step                           |
/// | state(visitor)        | yes      | names its tensors, which become buffers `queue.*`                    |
/// | join(group)           | no       | several processes: commit() then gets this process's outputs alone, see part.hpp |
/// | begin(horizon)        | no       | before training; throws, or gives a warning as a string              |
template <class M>
concept Memory = Commits<M> && HasState<M> && requires(M& memory) {
    { memory.read() } -> std::convertible_to<Tensor>;
};

/// Left out (None), or build(dim) → Memory. Satisfied by queues::Fifo, SupportSet, MemoryBank.
template <class S>
concept QueueSpec = std::same_as<S, None> || requires(const S& s) {
    { s.build(std::int64_t{}) } -> Memory;
};

}  // namespace doppel::contracts
