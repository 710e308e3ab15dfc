// SPDX-License-Identifier: Apache-2.0
// Lists of tensors that are awkward for kernels.
#pragma once

#include "support/torch_support.hpp"

#include <ATen/ops/empty_like.h>

#include <cstring>
#include <vector>

namespace doppel::test {

/// Tensors of no, few and many elements, of sizes that four does not divide, one of several chunks, one that begins at no
/// multiple of 16 bytes, one with the channels last. Lists of different `kind` have different values in the same places.
inline std::vector<Tensor> awkward_list(int kind, at::ScalarType type = at::kFloat) {
    std::vector<Tensor> list;
    const double a = 0.37 + 0.011 * kind;
    for (const std::int64_t size : {0, 1, 3, 4, 31, 1000, 16384, 33001})
        list.push_back(chirp({size}, 0.001, a + 0.001 * static_cast<double>(size), type));
    list.push_back(chirp({1236}, 0.002, a, type).slice(0, 1));
    list.push_back(chirp({8, 3, 5, 5}, 0.003, a, type).contiguous(at::MemoryFormat::ChannelsLast));
    return list;
}

inline std::vector<Tensor> copies(const std::vector<Tensor>& list) {
    std::vector<Tensor> all;
    for (const Tensor& tensor : list) all.push_back(at::empty_like(tensor).copy_(tensor));
    return all;
}

/// Equal bits, NaN included.
inline bool same_bits(const Tensor& a, const Tensor& b) {
    const Tensor x = a.contiguous(), y = b.contiguous();
    return x.sizes() == y.sizes() && x.dtype() == y.dtype() &&
           (x.nbytes() == 0 || std::memcmp(x.const_data_ptr(), y.const_data_ptr(), x.nbytes()) == 0);
}
inline bool same_bits(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
    bool same = a.size() == b.size();
    for (std::size_t i = 0; same && i < a.size(); ++i) same = same_bits(a[i], b[i]);
    return same;
}

/// The largest difference over all tensors.
inline double largest_difference(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
    double most = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (a[i].numel() > 0) most = std::max(most, largest_difference(a[i], b[i]));
    return most;
}

inline Tensor flag(double value) { return at::full({}, value, at::kFloat); }

}  // namespace doppel::test
