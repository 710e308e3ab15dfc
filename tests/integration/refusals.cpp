// SPDX-License-Identifier: Apache-2.0
// What a user may get wrong: each ends with one clear line, an exit status below 128, and nothing half-written.
#include "child.hpp"
#include "support/images.hpp"

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

std::string idx(std::uint32_t magic, std::vector<std::uint32_t> sizes, std::size_t bytes) {
    std::string text;
    const auto number = [&](std::uint32_t value) {
        for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift & 0xFF);
    };
    number(magic);
    for (const auto size : sizes) number(size);
    return text + std::string(bytes, '\1');
}

}  // namespace

TEST_CASE("wrong input is refused in one line, with a status below 128 and no run folder") {
    TemporaryFolder folder;
    const auto out = folder / "run";
    const auto refused = [&](std::vector<std::string> arguments, std::initializer_list<std::string_view> parts) {
        const auto ended = run(small_run(out, arguments));
        INFO(arguments.back() << ": " << ended.text);
        CHECK(ended.signal == 0);
        CHECK(ended.status == 2);
        CHECK(mentions(ended.text, parts));
        CHECK(std::count(ended.text.begin(), ended.text.end(), '\n') == 1);
        CHECK(!fs::exists(out));
    };
    refused({"--data", (folder / "nothing").string()}, {"--data", "nothing"});
    fs::create_directories(folder / "empty");
    refused({"--data", (folder / "empty").string()}, {" image in ", "empty"});
    write_bytes(folder / "texts" / "a.txt", "no picture");
    refused({"--data", (folder / "texts").string()}, {" image in ", "texts"});
    write_bytes(folder / "named" / "a.jpg", "no picture");
    write_bytes(folder / "named" / "b.jpg", "nor this");
    refused({"--data", (folder / "named").string()}, {"none of the 2 images can be decoded", "a.jpg", "not an image"});
    save_images(folder / "one", 1);
    refused({"--data", (folder / "one").string()}, {"one", "one image", "at least two"});
    save_images(folder / "few", 12);
    refused({"--data", (folder / "few").string()}, {"--batch-size 16", "11 images"});

    write_bytes(folder / "magic" / "train-images-idx3-ubyte", idx(0x801, {4, 4, 4}, 64));
    refused({"--data", (folder / "magic").string()}, {"train-images-idx3-ubyte", "0x00000801", "0x00000803"});
    write_bytes(folder / "lengths" / "train-images-idx3-ubyte", idx(0x803, {4, 4, 4}, 64));
    write_bytes(folder / "lengths" / "train-labels-idx1-ubyte", idx(0x801, {3}, 3));
    refused({"--data", (folder / "lengths").string()}, {"train-labels-idx1-ubyte", "3 labels", "expected 4"});
    write_bytes(folder / "cut" / "train-images-idx3-ubyte", idx(0x803, {4, 4, 4}, 60));
    refused({"--data", (folder / "cut").string()}, {"60 bytes", "4 x 4 x 4 = 64"});
    write_bytes(folder / "cifar" / "data_batch_1.bin", std::string(3073 * 2 + 1, '\1'));
    refused({"--data", (folder / "cifar").string()}, {"data_batch_1.bin", "6147 bytes", "multiple of 3073"});

    refused({"--lr", "nan"}, {"--lr", "nan"});
    refused({"--batch-size", "0"}, {"--batch-size", "'0'"});
    refused({"--epochs", "abc"}, {"--epochs", "abc"});
    refused({"--workers", "-2"}, {"--workers", "-2"});
    refused({"--no-such-option"}, {"--no-such-option"});
    refused({"--arch", "vgg16"}, {"--arch", "vgg16"});
    refused({"--precision", "fp8"}, {"--precision", "fp8"});
    refused({"--device", "cuda:77"}, {"cuda:77"});
    refused({"--resume", (folder / "none.safetensors").string()}, {"none.safetensors", "No such file"});
}

TEST_CASE("an output folder that cannot be made is refused with the reason") {
    const auto ended = run(small_run("/proc/doppel-cannot-write-here"));
    INFO(ended.text);
    CHECK(ended.status == 2);
    CHECK(mentions(ended.text, {"/proc/doppel-cannot-write-here", "No such file or directory"}));
    TemporaryFolder folder;
    write_bytes(folder / "file", "in the way");
    const auto blocked = run(small_run(folder / "file" / "run"));
    CHECK(blocked.status == 2);
    CHECK(mentions(blocked.text, {"file/run", "Not a directory"}));
}

TEST_CASE("damaged images are skipped, replaced by a rule, counted and listed; --strict refuses them") {
    TemporaryFolder folder;
    const auto photos = folder / "photos";
    save_images(photos / "a", 30);
    save_images(photos / "b", 30, 90);
    // A whole file cut in half, a text, and an empty file, all with an image's name.
    const auto whole = read_text(photos / "a" / "103.png");
    write_bytes(photos / "a" / "103.png", whole.substr(0, whole.size() / 2));
    const auto other = read_text(photos / "b" / "105.png");
    write_bytes(photos / "b" / "105.png", other.substr(0, other.size() - 5));  // used
    write_bytes(photos / "b" / "text.jpg", "a text");
    write_bytes(photos / "b" / "zero.png", "");
    const std::vector<std::string> data{"--data", photos.string()};
    const auto with = [&](std::vector<std::string> more) {
        more.insert(more.begin(), data.begin(), data.end());
        return more;
    };
    const auto one = run(small_run(folder / "one", with({"--workers", "1"})));
    INFO(one.text);
    REQUIRE(one.status == 0);
    CHECK(mentions(one.text, {"103.png", "text.jpg", "files that were skipped: 3 ", "skipped.jsonl",
                              "image files that lack their end but have all rows, and were used: 1 "}));
    const std::string list = read_text(folder / "one" / "skipped.jsonl");
    CHECK(std::count(list.begin(), list.end(), '\n') == 4);
    CHECK(mentions(list, {"103.png", "text.jpg", "zero.png", "no bytes", "\"split\":\"train\"", "105.png", "\"used\":true"}));
    // The epoch is the same with several workers.
    const auto three = run(small_run(folder / "three", with({"--workers", "3"})));
    REQUIRE(three.status == 0);
    CHECK(same_bytes(folder / "one" / "encoder.safetensors", folder / "three" / "encoder.safetensors"));
    CHECK(same_bytes(folder / "one" / "skipped.jsonl", folder / "three" / "skipped.jsonl"));

    const auto strict = run(small_run(folder / "strict", with({"--strict"})));
    INFO(strict.text);
    CHECK(strict.status == 2);
    CHECK(mentions(strict.text, {"103.png"}));
    CHECK(strict.text.find("epoch ") == std::string::npos);  // before it trains
    fs::remove(photos / "a" / "103.png");
    const auto decoded = run(small_run(folder / "strict", with({"--strict"})));
    CHECK(decoded.status == 2);
    CHECK(mentions(decoded.text, {"text.jpg"}));
}

TEST_CASE("when no image can be decoded, the run is refused") {
    TemporaryFolder folder;
    for (int i = 0; i < 20; ++i) write_bytes(folder / "photos" / (std::to_string(i) + ".png"), "\x89PNG\r\n\x1A\n and nothing more");
    const auto ended = run(small_run(folder / "run", {"--data", (folder / "photos").string()}));
    INFO(ended.text);
    CHECK(ended.status == 2);
    CHECK(mentions(ended.text, {"none of the 20 images can be decoded", "PNG"}));
    CHECK(!fs::exists(folder / "run"));
}

TEST_CASE("odd names, links and nested folders are read") {
    TemporaryFolder folder;
    const auto photos = folder / "Fotos & Bücher";
    save_images(photos / "größe 1" / "tief" / "unten", 12);
    save_images(photos / "b", 12, 80);
    fs::rename(photos / "b" / "100.png", photos / "b" / "schöner Tag (1).JPG");  // content counts, not the name
    fs::create_symlink(photos / "b" / "101.png", photos / "b" / "link.png");
    fs::create_directory_symlink(photos, photos / "b" / "circle");
    const auto ended = run(small_run(folder / "läuft gut", {"--data", photos.string()}));
    INFO(ended.text);
    CHECK(ended.status == 0);
    CHECK(mentions(ended.text, {"2 classes"}));
    CHECK(fs::exists(folder / "läuft gut" / "report.html"));
    CHECK(!fs::exists(folder / "läuft gut" / "skipped.jsonl"));
}
