// SPDX-License-Identifier: Apache-2.0
// Any bytes, read as IDX images, plain or gzip, and after "<|>" as their labels, give a data set or a one-line Error.
#include <doppel/data/idx.hpp>

#include "fuzz.hpp"

using namespace doppel;
using namespace doppel::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Folder folder;
    const auto [first, second, two] = parts_of({data, size});
    const auto images = folder.file("images", first);
    const auto labels = two ? folder.file("labels", second) : std::filesystem::path();
    reads(folder.path().string(), [&, labeled = two] {
        const data::Idx set(images, labels);
        const auto classes = static_cast<std::int64_t>(set.classes().size());
        expect(set.size() > 0, "a data set without images");
        expect(labeled ? classes > 0 && classes <= 256 : classes == 0, "labels and classes do not fit");
        // A few packed bytes can be millions of small images: the first and the last ones then.
        for (std::int64_t i = 0; i < set.size(); i += i == 100 && set.size() > 200 ? set.size() - 200 : 1) {
            expect_whole(set.image(i));
            const auto label = set.label(i);
            expect(labeled ? label >= 0 && label < classes : label == data::unlabeled, "a label outside the classes");
        }
        for (const std::int64_t outside : {std::int64_t{-1}, set.size()})
            expect(!reads("Idx: index", [&] { set.image(outside); }), "an image outside the data set");
    });
    return 0;
}
