// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/image_folder.hpp>
#include <doppel/data/memory.hpp>
#include <doppel/data/sampled.hpp>

#include "support/images.hpp"
#include "support/support.hpp"
#include "support/tiffs.hpp"

#include <string_view>

using namespace doppel;

TEST_CASE("files are read with a window, or with all of their bands; other images stay as they are") {
    const test::TemporaryFolder folder;
    const std::string wide = std::string("P5 2 1 65535\n") + '\x03' + '\xE8' + '\x0B' + '\xB8';  // 1000, 3000
    test::write_bytes(folder / "a.pgm", wide);
    test::write_bytes(folder / "b.pgm", "P5 2 1 255\nxy");
    const data::Dataset files = data::ImageFolder(folder.path());
    const data::Sampled windowed{files, {.window = image::SampleWindow{1000, 3000}}};
    REQUIRE(windowed.size() == 2);
    CHECK(windowed.image(0).pixels == std::vector<std::uint8_t>{0, 255});
    CHECK(windowed.image(1).pixels == std::vector<std::uint8_t>{'x', 'y'});
    CHECK(windowed.path(0) == files.path(0));
    CHECK(windowed.fingerprint() != files.fingerprint());
    CHECK(windowed.fingerprint() != data::Sampled{files, {.window = image::SampleWindow{1000, 3001}}}.fingerprint());
    CHECK(windowed.fingerprint() == data::Sampled{files, {.window = image::SampleWindow{1000, 3000}}}.fingerprint());
    const data::Sampled memory{data::Memory({test::gradient(3, 2, 1)}), {.window = image::SampleWindow{1, 2}}};
    CHECK(memory.image(0) == test::gradient(3, 2, 1));
    CHECK(memory.fingerprint().empty());
    std::filesystem::remove(folder / "a.pgm");
    CHECK_THROWS_AS(windowed.image(0), UnreadableImage);
#if DOPPEL_TIFF
    const test::TemporaryFolder tiles;
    const auto file = test::tiff_of(std::vector<std::uint16_t>(7 * 5 * 6, 9), {.samples = 6});
    test::write_bytes(tiles / "a.tif", {reinterpret_cast<const char*>(file.data()), file.size()});
    const data::Sampled bands{data::ImageFolder(tiles.path()), {.bands = true}};
    CHECK(bands.image(0).shape() == Shape{7, 5, 6});
    CHECK_THROWS_AS(bands.base.image(0), DamagedImage);
#endif
}
