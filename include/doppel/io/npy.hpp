// SPDX-License-Identifier: Apache-2.0
// Writes tensors as NumPy's .npy files.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/io/atomic_file.hpp>

#include <ATen/core/Tensor.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <ostream>
#include <string>

namespace doppel::io {

/// Writes a float32 or int64 tensor of any shape, on any device, as a .npy file of version 1.0, whole or not at all.
/// Throws Error for another type, and as write_atomically().
/// Source: NumPy Enhancement Proposal 1.
///
///     io::save_npy("features.npy", rows);      // numpy.load("features.npy")
inline void save_npy(const std::filesystem::path& path, const at::Tensor& tensor) {
    static_assert(std::endian::native == std::endian::little, "save_npy writes the bytes as they are in memory, little-endian");
    require(tensor.defined() && (tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kLong), "save_npy: ", path.string(),
            ": the tensor must be float32 or int64", tensor.defined() ? ", got " : "", tensor.defined() ? toString(tensor.scalar_type()) : "");
    std::string header = std::string("{'descr': '") + (tensor.scalar_type() == at::kFloat ? "<f4" : "<i8") + "', 'fortran_order': False, 'shape': (";
    for (const auto side : tensor.sizes()) header += std::to_string(side) + (tensor.dim() == 1 ? "," : ", ");
    header += "), }";
    constexpr std::size_t preamble = 10;  // magic, version, length of the header
    header.append(63 - (preamble + header.size()) % 64, ' ');
    header += '\n';
    const at::Tensor values = tensor.detach().cpu().contiguous();
    write_atomically(path, [&](std::ostream& out) {
        out.write("\x93NUMPY\x01\x00", 8);
        out.put(static_cast<char>(header.size() & 0xFF)).put(static_cast<char>(header.size() >> 8));
        out << header;
        out.write(static_cast<const char*>(values.const_data_ptr()), static_cast<std::streamsize>(values.nbytes()));
    });
}

}  // namespace doppel::io
