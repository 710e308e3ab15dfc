// SPDX-License-Identifier: Apache-2.0
// Any bytes, read as a CIFAR-10 batch and after "<|>" as its batches.meta.txt, give a data set or a one-line Error;
// also when zeros fill the last record up.
#include <doppel/data/cifar.hpp>

#include "fuzz.hpp"

#include <vector>

using namespace doppel;
using namespace doppel::fuzz;

namespace {

void check(const Folder& folder, Bytes batch) {
    const auto file = folder.file("data_batch_1.bin", batch);
    const bool whole = reads(folder.path().string(), [&] {
        const data::Cifar10 set(folder.path());
        expect(set.size() > 0, "a data set without images");
        expect(set.classes().size() == 10, "not ten classes");
        for (const auto& name : set.classes()) expect(!name.empty(), "a class without a name");
        for (std::int64_t i = 0; i < set.size(); ++i) {
            const Image image = set.image(i);
            expect_whole(image);
            expect(image.width == 32 && image.height == 32 && image.channels == 3, "an image that is not 32 x 32 RGB");
            expect(set.label(i) >= 0 && set.label(i) < 10, "a label outside the classes");
        }
        for (const std::int64_t outside : {std::int64_t{-1}, set.size()})
            expect(!reads("Cifar10: index", [&] { set.label(outside); }), "a label outside the data set");
    });
    expect(reads(folder.path().string(), [&] { data::Cifar10 alone(file); }) == whole,
           "the batch alone is read otherwise than its folder");
    expect(!reads("Cifar10: ", [&] { data::Cifar10 test(folder.path(), data::Split::test); }), "a test batch");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Folder folder;
    const auto [batch, meta, two] = parts_of({data, size});
    if (two)
        folder.file("batches.meta.txt", meta);
    else
        std::filesystem::remove(folder.path() / "batches.meta.txt");
    check(folder, batch);

    constexpr std::size_t record = data::detail::cifar_record;
    std::vector<std::uint8_t> filled(batch.begin(), batch.end());
    filled.resize((filled.size() + record - 1) / record * record);
    if (filled.size() != batch.size()) check(folder, filled);
    return 0;
}
