// SPDX-License-Identifier: Apache-2.0
#include <doppel/cli/views.hpp>
#include <doppel/methods/registry.hpp>

#include "support/ended.hpp"
#include "support/images.hpp"
#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

Ended views_of(std::vector<std::string> arguments) {
    return ended([](int argc, char** argv) { return cli::views(argc, argv, methods::all()); }, "views", std::move(arguments));
}

}  // namespace

TEST_CASE("the program draws the views of every method, with what was drawn") {
    const TemporaryFolder folder;
    save_images(folder / "photos", 1);
    const auto photo = std::filesystem::directory_iterator(folder / "photos")->path().string(), page = (folder / "page.html").string();
    for (const auto& entry : methods::all()) {
        const auto done = views_of({photo, "--method", entry.about.name, "--size", "32", "--draws", "2", "--out", page});
        INFO(entry.about.name << ": " << done.err);
        REQUIRE(done.status == 0);
        CHECK(mentions(done.err, {"draw 1, view 1; ", "random_resized_crop: ", "draw 2, ", page}));
        CHECK(mentions(read_text(page), {"<img", "random_resized_crop: "}));
    }
    const auto crops = views_of({photo, "--method", "dino", "--size", "32", "--locals", "3", "--draws", "1", "--out", page});
    CHECK(mentions(crops.err, {"view 5; "}));
    CHECK(crops.err.find("view 6; ") == std::string::npos);
}

TEST_CASE("the same seed draws the same views") {
    const TemporaryFolder folder;
    save_images(folder / "photos", 1);
    const auto photo = std::filesystem::directory_iterator(folder / "photos")->path().string(), page = (folder / "page.html").string();
    const auto draw = [&](const char* seed) { return views_of({photo, "--size", "32", "--seed", seed, "--out", page}).err; };
    CHECK(draw("1") == draw("1"));
    CHECK(draw("1") != draw("2"));
}

TEST_CASE("the program says what is wrong in a line") {
    const TemporaryFolder folder;
    write_bytes(folder / "no.jpg", "no image");
    const auto no = (folder / "no.jpg").string();
    CHECK(mentions(views_of({}).err, {"views: expected an image"}));
    CHECK(mentions(views_of({no}).err, {no, "not an image"}));
    CHECK(mentions(views_of({no, "--method", "bylo"}).err, {"there is no method 'bylo'; did you mean byol?"}));
    CHECK(mentions(views_of({no, "--size", "0"}).err, {"--size", "'0'"}));
    CHECK(mentions(views_of({no, "--drwas", "2"}).err, {"--drwas; did you mean --draws?"}));
    CHECK(views_of({no}).status == 2);
}
