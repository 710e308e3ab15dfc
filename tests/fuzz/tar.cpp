// SPDX-License-Identifier: Apache-2.0
// Any bytes, read as a tar shard, give a data set or a one-line Error; its images decode or are damaged. Also when all
// checksums are made right, so that a mutation reaches what is behind them.
#include <doppel/data/tar_shards.hpp>

#include "fuzz.hpp"

#include <vector>

using namespace doppel;
using namespace doppel::fuzz;

namespace {

void check(const Folder& folder, Bytes bytes) {
    const auto file = folder.file("a.tar", bytes);
    reads(file.string(), [&] {
        const data::TarShards set({file});
        expect(set.size() > 0, "a data set without images");
        expect(set.shards() == std::vector<std::int64_t>{set.size()}, "a shard of another size than the data set");
        const auto classes = static_cast<std::int64_t>(set.classes().size());
        for (const auto& lines : {set.notes(), set.skipped()})
            for (const auto& line : lines)
                for (const char c : line) expect(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F, "a note that is not one line");
        for (std::int64_t i = 0; i < set.size(); ++i) {
            expect(set.label(i) >= data::unlabeled && set.label(i) < classes, "a label outside the classes");
            reads(file.string(), [&] { expect_whole(set.image(i)); });
        }
    });
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Folder folder;
    check(folder, {data, size});
    std::vector<std::uint8_t> right(data, data + size);
    for (std::size_t at = 0; at + 512 <= size; at += 512) {
        if (right[at] == 0) continue;
        std::uint32_t sum = 8 * ' ';
        for (std::size_t i = 0; i < 512; ++i)
            if (i < 148 || i >= 156) sum += right[at + i];
        for (std::size_t i = 0; i < 6; ++i) right[at + 153 - i] = static_cast<std::uint8_t>('0' + (sum >> 3 * i & 7));
        right[at + 154] = 0;
        right[at + 155] = ' ';
    }
    check(folder, right);
    return 0;
}
