// SPDX-License-Identifier: Apache-2.0
#include <doppel/cli/pack.hpp>
#include <doppel/data/packed.hpp>

#include "support/ended.hpp"
#include "support/images.hpp"
#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

Ended pack(std::vector<std::string> arguments) { return ended(cli::pack, "pack", std::move(arguments)); }

}  // namespace

TEST_CASE("the program packs a folder and says what it left out") {
    const TemporaryFolder folder;
    save_images(folder / "photos/train/a", 3);
    save_images(folder / "photos/train/b", 3, 5);
    save_images(folder / "photos/val/a", 2, 7);
    write_bytes(folder / "photos/train/a/0.png", "no image");
    const auto photos = (folder / "photos").string(), file = (folder / "photos.dop").string();
    const auto ended = pack({photos, file, "--largest-side", "10", "--raw"});
    CHECK(ended.status == 0);
    CHECK(mentions(ended.err, {"1 file was skipped:", "0.png", file + ": 6 training and 2 validation images, "}));
    CHECK(data::Packed(file).shape(0) == Shape{10, 8, 3});
}

TEST_CASE("the program says what is wrong with its arguments") {
    const auto help = pack({"--help"});
    CHECK(help.status == 0);
    CHECK(mentions(help.out, {"pack DATA OUT", "--largest-side", "--quality", "--raw", "--folders", "--unlabeled"}));
    CHECK(pack({"a"}).status == 2);
    CHECK(mentions(pack({"a"}).err, {"pack: expected DATA and OUT before the options, got 1 path"}));
    CHECK(mentions(pack({"a", "b", "c"}).err, {"got 3 paths"}));
    CHECK(mentions(pack({"a", "b", "--quality", "0"}).err, {"--quality must be", "got '0'"}));
    CHECK(mentions(pack({"a", "b", "--qualit", "0"}).err, {"unknown option --qualit", "did you mean --quality?"}));
    const TemporaryFolder folder;
    CHECK(mentions(pack({(folder / "none").string(), (folder / "out").string()}).err, {"pack: data: no such file or folder"}));
    save_images(folder / "photos", 2);
    CHECK(mentions(pack({(folder / "photos").string(), (folder / "no/out").string()}).err, {"cannot write", "No such file"}));
}
