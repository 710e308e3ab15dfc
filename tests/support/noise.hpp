// SPDX-License-Identifier: Apache-2.0
// The noise of the fixtures' scripts: numbers that C++ and Python make alike.
#pragma once

#include <doppel/core/tensor.hpp>

#include <cstdint>

namespace doppel::test {

/// scale · noise + offset into a float64 tensor, noise in [-1, 1), another for each stream.
inline void put_noise(const Tensor& into, std::int64_t stream, double scale = 1, double offset = 0) {
    auto* out = into.data_ptr<double>();
    for (std::int64_t i = 0; i < into.numel(); ++i) {
        auto h = static_cast<std::uint32_t>(i * 2654435761LL + (stream + 1) * 2246822519LL);
        h = (h ^ (h >> 16)) * 73244475U;
        h = (h ^ (h >> 16)) * 73244475U;
        h ^= h >> 16;
        out[i] = (static_cast<double>(h) / 2147483648.0 - 1) * scale + offset;
    }
}

inline Tensor noise(at::IntArrayRef shape, std::int64_t stream) {
    Tensor numbers = at::empty(shape, at::kDouble);
    put_noise(numbers, stream);
    return numbers;
}

}  // namespace doppel::test
