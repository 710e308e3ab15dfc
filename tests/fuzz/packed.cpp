// SPDX-License-Identifier: Apache-2.0
// Any images and any index, with the right checksum, give a data set or a one-line Error. The input is "images<|>index".
#include <doppel/data/packed.hpp>
#include <doppel/io/detail/crc.hpp>

#include "fuzz.hpp"

#include <string>

using namespace doppel;
using namespace doppel::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Folder folder;
    const auto [images, index, two] = parts_of({data, size});
    std::string file(data::detail::packed_magic);
    const auto number = [&](auto value) { file.append(reinterpret_cast<const char*>(&value), sizeof value); };
    if (two) {
        number(std::uint64_t{data::detail::packed_version});
        file += text_of(images);
        const std::uint64_t offset = file.size();
        file += text_of(index);
        number(offset);
        number(std::uint64_t{index.size()});
        number(io::detail::Crc32().update(text_of(index)).value());
        number(data::detail::packed_version);
    } else {  // the whole file
        file = text_of(images);
    }
    const auto path = folder.file("a.dop", {reinterpret_cast<const std::uint8_t*>(file.data()), file.size()});
    reads("packed: " + path.string(), [&] {
        const auto [train, validation] = data::Packed::both(path);
        for (const auto& part : {train, validation})
            for (std::int64_t i = 0; i < part.size(); ++i) {
                expect(part.label(i) < static_cast<std::int64_t>(part.classes().size()), "a label without a class");
                expect(part.shape(i).width > 0 && part.shape(i).height > 0, "a size of nothing");
                part.name(i);
                try {
                    const auto bytes = part.encoded(i);
                    [[maybe_unused]] static volatile std::uint64_t sum;
                    sum = std::accumulate(bytes.begin(), bytes.end(), std::uint64_t{0});
                } catch (const DamagedImage& problem) { expect(std::string_view(problem.what()).starts_with("packed: "), "an Error that says too little"); }
            }
        expect(train.fingerprint().size() == 16 && validation.fingerprint().size() == 16, "no fingerprint");
    });
    return 0;
}
