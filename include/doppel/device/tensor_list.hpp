// SPDX-License-Identifier: Apache-2.0
// Lists of tensors as arguments of few launches.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/device/kernel.hpp>
#include <doppel/device/source.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace doppel::device {

using TensorLists = std::vector<std::vector<Tensor>>;

namespace detail {

/// Whether kernels may go through both tensors as memory: dense, and elements of one index in one place.
inline bool same_places(const Tensor& a, const Tensor& b) {
    bool same = a.sizes() == b.sizes() && a.device() == b.device() && a.is_non_overlapping_and_dense() && b.is_non_overlapping_and_dense();
    for (std::int64_t d = 0; same && d < a.dim(); ++d) same = a.size(d) == 1 || a.stride(d) == b.stride(d);
    return same;
}

/// Whether kernels on float32 memory can work on the i-th tensors of all lists.
inline bool fits(const TensorLists& lists, std::size_t i) {
    for (const auto& list : lists)
        if (list[i].scalar_type() != at::kFloat || !same_places(lists[0][i], list[i])) return false;
    return lists[0][i].numel() <= std::numeric_limits<std::int32_t>::max();
}

/// Whether kernels can work on all of the lists: there are tensors, kernels run on their device, and all fit.
inline bool all_fit(const TensorLists& lists) {
    if (lists[0].empty() || !kernels_usable(lists[0][0].device())) return false;
    for (std::size_t i = 0; i < lists[0].size(); ++i)
        if (!fits(lists, i) || lists[0][i].device() != lists[0][0].device()) return false;
    return true;
}

/// Checks that lists have equal lengths.
inline void require_lengths(const char* who, const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
    require(a.size() == b.size(), who, ": the lists have ", a.size(), " and ", b.size(), " tensors, expected as many of each");
}

}  // namespace detail

/// Calls `visit(arguments, blocks, first)` for as many tensors at a time as a launch takes; `first` is the index of the first
/// of them. Each block works on `chunk` units; `size(i)` is the number of units of the i-th tensors, `at(list, i)` where they
/// are. Empty tensors get no block.
///
/// Addresses are parameters of the launch, not a table in the device's memory: nothing is copied, nothing must outlive the
/// launch, and a captured graph keeps them as they were. A launch takes 163 pairs or 122 triples: one or two per network.
template <unsigned lists, class Size, class At, class Visit>
void each_launch(std::size_t tensors, int chunk, Size&& size, At&& at, Visit&& visit) {
    Lists<lists> arguments{};
    std::size_t first = 0;
    std::uint64_t blocks = 0;
    const auto flush = [&](std::size_t next) {
        if (blocks > 0) visit(std::as_const(arguments), static_cast<unsigned>(blocks), first);
        arguments.tensors = 0;
        first = next;
        blocks = 0;
    };
    for (std::size_t i = 0; i < tensors; ++i) {
        const auto t = static_cast<std::size_t>(arguments.tensors);
        const auto units = static_cast<std::uint64_t>(size(i));
        arguments.first_block[t] = static_cast<unsigned>(blocks);
        arguments.size[t] = static_cast<unsigned>(units);
        for (std::size_t l = 0; l < lists; ++l) arguments.at[l][t] = at(l, i);
        blocks += (units + static_cast<std::uint64_t>(chunk) - 1) / static_cast<std::uint64_t>(chunk);
        arguments.first_block[t + 1] = static_cast<unsigned>(blocks);
        if (++arguments.tensors == static_cast<int>(Lists<lists>::most)) flush(i + 1);
    }
    flush(tensors);
}

/// each_launch for float32 tensors in chunks of chunk_size elements.
template <unsigned lists, class Visit>
void each_launch(const TensorLists& all, Visit&& visit) {
    each_launch<lists>(
        all[0].size(), chunk_size, [&](std::size_t i) { return all[0][i].numel(); },
        [&](std::size_t l, std::size_t i) { return const_cast<void*>(all[l][i].const_data_ptr()); }, std::forward<Visit>(visit));
}

}  // namespace doppel::device
