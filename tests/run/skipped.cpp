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
