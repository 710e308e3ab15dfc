// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/image_folder.hpp>
#include <doppel/image/write_png.hpp>
#include <doppel/run/feature_file.hpp>

#include "support/torch_support.hpp"

#include <fstream>
#include <sstream>

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

std::string text_of(const fs::path& path) {
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

/// Three images in two classes, one with a comma and quotes in its name; the second one is damaged, so that it has no row.
struct Photos {
    TemporaryFolder folder;
    data::Dataset images;
    eval::Features features;

    Photos() {
        fs::create_directories(folder / "in" / "cat");
        fs::create_directories(folder / "in" / "dog");
        for (const char* name : {"cat/a.png", "cat/b.png", "dog/a, \"the\" dog.png"}) image::write_png(folder / "in" / name, Image(2, 2, 1));
        images = data::ImageFolder(folder / "in");
        features = {.rows = at::tensor({0.1f, -2.0f, 1e-9f, 3.0f}).view({2, 2}),
                    .labels = at::tensor({0, 1}, at::kLong),
                    .index = at::tensor({0, 2}, at::kLong)};
    }
};

}  // namespace

TEST_CASE("a .csv has a line for each image, names that need it in quotes, and numbers that read back as they were") {
    const Photos photos;
    CHECK(run::save_features(photos.folder / "rows.csv", photos.features, photos.images) == std::vector<fs::path>{photos.folder / "rows.csv"});
    const auto cat = (photos.folder / "in" / "cat" / "a.png").string();
    std::istringstream lines(text_of(photos.folder / "rows.csv"));
    std::string line;
    std::getline(lines, line);
    CHECK(line == "file,class,f0,f1");
    std::getline(lines, line);
    CHECK(line == cat + ",cat,0.1,-2");
    std::getline(lines, line);
    CHECK(mentions(line, {"\"", "/dog/a, \"\"the\"\" dog.png\",dog,1e-09,3"}));
    CHECK(!std::getline(lines, line));
}

TEST_CASE("a .npy has the names beside it, and a .safetensors inside") {
    const Photos photos;
    const auto files = run::save_features(photos.folder / "rows.npy", photos.features, photos.images);
    REQUIRE(files.size() == 2);
    CHECK(files[1].filename() == "rows.files.csv");
    CHECK(mentions(text_of(files[1]), {"row,file,class\n0,", "cat/a.png,cat\n1,\""}));

    run::save_features(photos.folder / "rows.safetensors", photos.features, photos.images, {{"encoder", "mine"}});
    const auto read = io::load_safetensors(photos.folder / "rows.safetensors");
    CHECK(at::equal(read.tensors.at("features"), photos.features.rows));
    CHECK(at::equal(read.tensors.at("labels"), photos.features.labels));
    CHECK(nlohmann::json::parse(read.metadata.at("files")).size() == 2);
    CHECK(read.metadata.at("classes") == "[\"cat\",\"dog\"]");
    CHECK(read.metadata.at("encoder") == "mine");
}

TEST_CASE("a file of another kind, a missing folder and patches in a table are errors before anything is computed") {
    CHECK(mentions(message_of([] { run::check_feature_file("rows.txt", false); }), {"rows.txt", ".npy, .csv or .safetensors"}));
    CHECK(mentions(message_of([] { run::check_feature_file("rows.csv", true); }), {"rows.csv", "patches", ".npy"}));
    CHECK(mentions(message_of([] { run::check_feature_file("no/such/rows.npy", false); }), {"no folder", "no/such"}));
}
