// SPDX-License-Identifier: Apache-2.0
// Writes tensors as NumPy's .npy files.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/io/atomic_file.hpp>

#include <ATen/core/Tensor.h>

#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <system_error>
#include <vector>

namespace doppel::io {

namespace detail {

/// The start of a .npy file of version 1.0, up to the first value: `size` bytes, a multiple of 64.
inline std::string npy_start(at::ScalarType type, at::IntArrayRef shape, std::size_t size) {
    std::string header = std::string("{'descr': '") + (type == at::kFloat ? "<f4" : "<i8") + "', 'fortran_order': False, 'shape': (";
    for (const auto side : shape) header += std::to_string(side) + (shape.size() == 1 ? "," : ", ");
    header += "), }";
    constexpr std::size_t preamble = 10;  // magic, version, length of the header
    require(preamble + header.size() < size, "save_npy: a shape of ", shape.size(), " sides is too long");
    header.append(size - 1 - preamble - header.size(), ' ');
    header += '\n';
    std::string start("\x93NUMPY\x01\x00", 8);
    start += static_cast<char>(header.size() & 0xFF);
    start += static_cast<char>(header.size() >> 8);
    return start + header;
}

}  // namespace detail

/// Writes rows that come part by part, as a .npy file of version 1.0, whole or not at all: no more than a part is in memory.
/// `give` is called once and calls what it is given with each part: [rows, …], float32 or int64, on any device, all of one
/// type and, but for the number of rows, one shape.
/// Throws Error for no part, another type, parts that differ, and as write_atomically().
/// Source: NumPy Enhancement Proposal 1.
///
///     io::save_npy("features.npy", [&](auto add) { for (const auto& part : parts) add(part); });
inline void save_npy(const std::filesystem::path& path, const std::function<void(const std::function<void(const at::Tensor&)>&)>& give) {
    static_assert(std::endian::native == std::endian::little, "save_npy writes the bytes as they are in memory, little-endian");
    constexpr std::size_t size = 256;
    write_atomically(path, [&](std::ostream& out) {
        std::vector<std::int64_t> shape;  // of all parts
        at::ScalarType type = at::kFloat;
        out << std::string(size, ' ');  // its place; the number of rows is known at the end
        give([&](const at::Tensor& part) {
            require(part.defined() && (part.scalar_type() == at::kFloat || part.scalar_type() == at::kLong), "save_npy: ", path.string(),
                    ": the tensor must be float32 or int64", part.defined() ? ", got " : "", part.defined() ? toString(part.scalar_type()) : "");
            require(part.dim() > 0, "save_npy: ", path.string(), ": a part has no rows: it is a scalar");
            if (shape.empty()) {
                shape = part.sizes().vec();
                type = part.scalar_type();
            } else {
                require(part.scalar_type() == type && part.sizes().slice(1) == at::IntArrayRef(shape).slice(1), "save_npy: ", path.string(),
                        ": all parts must be alike, got ", toString(part.scalar_type()), ' ', part.sizes(), " after ", toString(type), ' ', at::IntArrayRef(shape));
                shape[0] += part.size(0);
            }
            const at::Tensor values = part.detach().cpu().contiguous();
            out.write(static_cast<const char*>(values.const_data_ptr()), static_cast<std::streamsize>(values.nbytes()));
            // at once, before the next part is computed; buffered bytes are told by write_atomically()
            require(out.good(), "save_npy: cannot write ", path.string(), ": ", std::generic_category().message(errno));
        });
        require(!shape.empty(), "save_npy: ", path.string(), ": there is nothing to write");
        out.seekp(0);
        out << detail::npy_start(type, shape, size);
    });
}

/// Writes a tensor of one dimension or more. Overload for one part.
///
///     io::save_npy("features.npy", rows);      // numpy.load("features.npy")
inline void save_npy(const std::filesystem::path& path, const at::Tensor& tensor) {
    save_npy(path, [&](const auto& add) { add(tensor); });
}

}  // namespace doppel::io
