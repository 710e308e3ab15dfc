// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/dataset.hpp>
#include <doppel/data/image_folder.hpp>
#include <doppel/data/memory.hpp>
#include <doppel/data/part.hpp>
#include <doppel/image/encode.hpp>

#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

Image photo() {
    Image made(90, 70, 3);
    for (std::size_t i = 0; i < made.pixels.size(); ++i) made.pixels[i] = static_cast<std::uint8_t>(i * i / 97 + i / 3);
    return made;
}

}  // namespace

TEST_CASE("of an encoded image, the part that is needed is decoded, with the pixels of the whole") {
    const auto bytes = image::encode_jpeg(photo(), 90);
    const Image whole = image::decode(bytes, "photo");
    Image into;
    const auto part = data::decode_needed(
        bytes, "photo",
        [](int width, int height) {
            CHECK((width == 90 && height == 70));
            return image::Rect{20, 30, 33, 17};
        },
        into);
    CHECK(part.at == image::Rect{20, 30, 33, 17});
    CHECK((part.width == 90 && part.height == 70));
    CHECK(into == image::crop(whole, part.at));
    const auto all = data::decode_needed(bytes, "photo", [](int width, int height) { return image::Rect{0, 0, width, height}; }, into);
    CHECK(all.at == image::Rect{0, 0, 90, 70});
    CHECK(into == whole);
}

TEST_CASE("a data set of files decodes parts; one of images in memory gives them whole") {
    const TemporaryFolder folder;
    const auto bytes = image::encode_jpeg(photo(), 90);
    write_bytes(folder / "a.jpg", std::string(bytes.begin(), bytes.end()));
    const data::Dataset files = data::Subset{data::ImageFolder(folder.path()), {0}};
    const data::Dataset memory = data::Memory({photo()});
    const auto corner = [](int, int) { return image::Rect{0, 0, 10, 10}; };
    Image into;
    CHECK(files.decode(0, corner, into).at == image::Rect{0, 0, 10, 10});
    CHECK(into.width == 10);
    CHECK(memory.decode(0, corner, into).at == image::Rect{0, 0, 90, 70});
    CHECK(into == photo());
}
