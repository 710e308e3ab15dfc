// SPDX-License-Identifier: Apache-2.0
#include <doppel/run/skipped.hpp>

#include <doppel/io/json_lines.hpp>

#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("skipped.jsonl lists files and damaged images, and is not there when nothing was skipped") {
    const TemporaryFolder folder;
    run::Skipped skipped(false);
    skipped.write(folder.path());
    CHECK(!std::filesystem::exists(folder / "skipped.jsonl"));
    skipped.add_files({"a.txt: not an image"});
    skipped.validation->record(4, "b.png: cut short");
    CHECK(skipped.count() == 2);
    skipped.write(folder.path());
    const auto lines = io::read_json_lines(folder / "skipped.jsonl");
    REQUIRE(lines.size() == 2);
    CHECK(lines[0]["reason"] == "a.txt: not an image");
    CHECK(lines[1]["split"] == "validation");
    CHECK(lines[1]["image"] == 4);
    CHECK(lines[1]["reason"] == "b.png: cut short");
}

TEST_CASE("with --strict the first file that cannot be used ends the run") {
    run::Skipped strict(true);
    CHECK(strict.train == nullptr);
    CHECK(strict.count() == 0);
    strict.add_files({});
    says([&] { strict.add_files({"a.txt", "b.txt"}); }, {"a.txt (and 1 more)", "cannot be used", "--strict"});
}

TEST_CASE("skipped files of a format that the build lacks are counted in one line") {
    auto formats = image::formats;
    for (auto& info : formats) info.readable = info.format != image::Format::tiff && info.format != image::Format::gif;
    const auto why = [&](image::Format format) {
        return ": " + image::why_unreadable(formats.at(static_cast<std::size_t>(format)));
    };
    const auto tiff = why(image::Format::tiff), gif = why(image::Format::gif);
    CHECK(tiff == ": this build has no TIFF support: install libtiff 4.5 or later and rebuild");
    const auto lines = run::detail::lines_of({"a.tif" + tiff, "b.heic: unsupported", "c.tif" + tiff, "d.gif" + gif}, formats);
    REQUIRE(lines.size() == 3);
    CHECK(lines[0] == "skipped 1 GIF file" + gif);
    CHECK(lines[1] == "skipped 2 TIFF files" + tiff);
    CHECK(lines[2] == "skipped what cannot be used: b.heic: unsupported");
    CHECK(run::detail::lines_of({}, formats).empty());
}

TEST_CASE("images whose file lacks its end are listed as used, and not counted as skipped") {
    const TemporaryFolder folder;
    run::Skipped skipped(false);
    skipped.bank->note(7, "decode: 7.jpg: JPEG without its end marker; all rows are there");
    CHECK(skipped.count() == 0);
    CHECK(skipped.count_noted() == 1);
    skipped.write(folder.path());
    const auto lines = io::read_json_lines(folder / "skipped.jsonl");
    REQUIRE(lines.size() == 1);
    CHECK(lines[0]["split"] == "bank");
    CHECK(lines[0]["image"] == 7);
    CHECK(lines[0]["reason"] == "decode: 7.jpg: JPEG without its end marker; all rows are there");
    CHECK(lines[0]["used"] == true);
    CHECK(run::Skipped(true).count_noted() == 0);
}

TEST_CASE("the reasons for a report are those of files first, then of images, up to a number") {
    run::Skipped skipped(false);
    skipped.add_files({"a.txt: unsupported", "b.txt: unsupported"});
    skipped.validation->record(3, "decode: 3.jpg: damaged");
    CHECK(skipped.reasons(20) == std::vector<std::string>{"a.txt: unsupported", "b.txt: unsupported", "decode: 3.jpg: damaged"});
    CHECK(skipped.reasons(1) == std::vector<std::string>{"a.txt: unsupported"});
    CHECK(run::Skipped(true).reasons(5).empty());
}
