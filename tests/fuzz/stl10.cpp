// SPDX-License-Identifier: Apache-2.0
// Any bytes, read as STL-10 images and after "<|>" as their labels, give a data set or a one-line Error; also when zeros fill
// the last image up.
#include <doppel/data/stl10.hpp>

#include "fuzz.hpp"

#include <vector>

using namespace doppel;
using namespace doppel::fuzz;

namespace {

void check(const Folder& folder, Bytes images) {
    folder.file("train_X.bin", images);
    folder.file("unlabeled_X.bin", images);
    const auto read = [&](data::Stl10Part part) {
        return reads(folder.path().string(), [&] {
            const data::Stl10 set(folder.path(), part);
            expect(set.size() > 0, "a data set without images");
            for (std::int64_t i = 0; i < set.size(); ++i) {
                expect_whole(set.image(i));
                expect(part == data::Stl10Part::train ? set.label(i) >= 0 && set.label(i) < 10 : set.label(i) == data::unlabeled,
                       "a label outside the classes");
            }
            for (const std::int64_t outside : {std::int64_t{-1}, set.size()})
                expect(!reads("Stl10: index", [&] { set.image(outside); }), "an image outside the data set");
        });
    };
    const bool labeled = read(data::Stl10Part::train), without = read(data::Stl10Part::without_labels);
    expect(without || !labeled, "images that are only read with labels");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    static const Folder folder;
    const auto [images, labels, two] = parts_of({bytes, size});
    folder.file("train_y.bin", labels);
    check(folder, images);
    std::vector<std::uint8_t> filled(images.begin(), images.end());
    filled.resize((filled.size() + data::detail::stl10_image - 1) / data::detail::stl10_image * data::detail::stl10_image);
    if (filled.size() != images.size()) check(folder, filled);
    return 0;
}
