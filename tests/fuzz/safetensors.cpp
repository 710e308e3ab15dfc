// SPDX-License-Identifier: Apache-2.0
// Any bytes, read as a safetensors file (with "<|>": as header and data, whose length is put in front), give tensors or
// a one-line Error. Needs LibTorch, which is not instrumented.
#include <doppel/io/safetensors.hpp>

#include "fuzz.hpp"

#include <cstring>
#include <vector>

using namespace doppel;
using namespace doppel::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Folder folder;
    const auto [header, values, two] = parts_of({data, size});
    std::vector<std::uint8_t> bytes(data, data + size);
    if (two) {
        const std::uint64_t length = header.size();
        bytes.resize(sizeof length);
        std::memcpy(bytes.data(), &length, sizeof length);
        bytes.insert(bytes.end(), header.begin(), header.end());
        bytes.insert(bytes.end(), values.begin(), values.end());
    }
    const auto path = folder.file("a.safetensors", bytes);
    bool read[2] = {};
    for (const auto checksum : {io::Checksum::none, io::Checksum::crc32})
        read[checksum == io::Checksum::crc32] = reads("load_safetensors: " + path.string(), [&] {
            const auto file = io::load_safetensors(path, checksum);
            std::size_t total = 0;
            for (const auto& [name, tensor] : file.tensors) {
                expect(tensor.defined() && tensor.is_contiguous(), "a tensor that is not whole");
                const auto* first = static_cast<const std::uint8_t*>(tensor.data_ptr());
                [[maybe_unused]] static volatile std::uint64_t sum;
                sum = std::accumulate(first, first + tensor.nbytes(), std::uint64_t{0});
                total += tensor.nbytes();
            }
            expect(total < bytes.size(), "more data than the file has");
            expect(!file.metadata.contains(io::detail::checksum_key), "the checksum is handed out");
        });
    expect(!read[1] || read[0], "a file that is good only with a checksum");
    return 0;
}
