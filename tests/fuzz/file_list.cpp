// SPDX-License-Identifier: Apache-2.0
// Any bytes, read as a CSV, a TSV and a text list beside a file "a.png", give lists or a one-line Error.
#include <doppel/data/file_list.hpp>

#include "fuzz.hpp"

using namespace doppel;
using namespace doppel::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    static const Folder folder;
    folder.file("a.png", {});
    for (const char* name : {"list.csv", "list.tsv", "list.txt"}) {
        const auto list = folder.file(name, {bytes, size});
        reads(list.string(), [&] {
            const auto found = data::read_file_list(list);
            const auto images = found.train.size() + found.validation.size() + found.test.size();
            expect(images > 0, "no files");
            expect(static_cast<std::int64_t>(found.skipped.size()) <= images, "mostly files that are not there");
            for (const auto& line : found.skipped)
                for (const char c : line) expect(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F, "a skipped file that is not one line");
            for (const auto* part : {&found.train, &found.validation, &found.test})
                for (std::int64_t i = 0; i < part->size(); ++i) {
                    expect(part->label(i) >= data::unlabeled && part->label(i) < static_cast<std::int64_t>(part->classes().size()),
                           "a label outside the classes");
                    expect(std::filesystem::is_regular_file(part->path(i)), "a file that is not there");
                }
        });
    }
    return 0;
}
