// SPDX-License-Identifier: Apache-2.0
// Any bytes, read as the header of a safetensors file with as much data as follows "<|>", give entries that fill the
// data, or a one-line Error.
#include <doppel/io/detail/safetensors_header.hpp>

#include "fuzz.hpp"

#include <set>

using namespace doppel;
using namespace doppel::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto parts = parts_of({data, size});
    reads("the input", [&] {
        const auto header =
            io::detail::parse_safetensors_header("the input", text_of(parts.first), parts.second.size());
        expect(text_of(parts.first).find('\0') == std::string_view::npos, "a header that goes on after a zero byte");
        std::set<std::string> names;
        std::uint64_t covered = 0;
        for (const auto& entry : header.tensors) {
            expect(names.insert(entry.name).second, "two tensors of one name");
            expect(entry.begin == covered && entry.end >= entry.begin, "a hole or an overlap");
            std::uint64_t bytes = io::detail::bytes_of_type(entry.type);
            expect(bytes > 0, "a type that is not known");
            auto strides = static_cast<std::int64_t>(bytes);  // torch multiplies empty dimensions as ones
            for (const auto extent : entry.shape) {
                expect(extent >= 0, "a negative size");
                expect(!__builtin_mul_overflow(strides, std::max<std::int64_t>(extent, 1), &strides),
                       "a shape that overflows");
                bytes *= static_cast<std::uint64_t>(extent);
            }
            expect(bytes == entry.end - entry.begin, "a shape that does not fit its bytes");
            covered = entry.end;
        }
        expect(covered == parts.second.size(), "entries that do not fill the data");
        expect(!names.contains("__metadata__"), "metadata as a tensor");
    });
    return 0;
}
