// SPDX-License-Identifier: Apache-2.0
// The embedding program, from arguments to what it leaves.
#include <doppel/cli/embed.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/encoders/by_name.hpp>
#include <doppel/image/write_png.hpp>
#include <doppel/weights/encoder_file.hpp>
#include <doppel/weights/encoder_info.hpp>

#include "support/ended.hpp"
#include "support/torch_support.hpp"

#include <fstream>
#include <sstream>

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

Ended embed(std::vector<std::string> arguments) { return ended(cli::embed, "embed", std::move(arguments)); }

/// Weights of an encoder, and a folder of twelve photographs of which one is damaged.
struct Place {
    TemporaryFolder folder;
    std::string file, photos;

    explicit Place(const char* arch = "resnet18x0.125") {
        const SeedScope seed(3);
        const auto encoder = encoders::from_name(arch, 16, 3, Stem::strided);
        const auto net = encoder.build();
        file = (folder / "net.safetensors").string();
        weights::save_encoder(file, *net, augment::Pipeline({.size = 16, .operations = {augment::Resize{.size = 16}, augment::CenterCrop{.size = 16}}}),
                              weights::encoder_info(encoder).metadata);
        photos = (folder / "photos").string();
        const data::Embedded scenes({.size = 16, .count = 11});
        fs::create_directories(folder / "photos" / "cat");
        fs::create_directories(folder / "photos" / "dog");
        for (std::int64_t i = 0; i < 11; ++i) image::write_png(fs::path(photos) / (i % 2 ? "dog" : "cat") / (std::to_string(i) + ".png"), scenes.image(i));
        std::ofstream(fs::path(photos) / "cat" / "damaged.png") << "no image";
    }
};

}  // namespace

TEST_CASE("features of a folder go to a file with the names of the images, without the damaged one") {
    const Place place;
    const auto out = (place.folder / "rows.safetensors").string();
    const auto done = embed({place.file, "--data", place.photos, "--out", out, "--device", "cpu"});
    REQUIRE(done.status == 0);
    CHECK(mentions(done.err, {"12 images", "damaged.png", out}));
    const auto read = io::load_safetensors(out);
    CHECK(read.tensors.at("features").sizes() == at::IntArrayRef({11, 64}));
    CHECK(nlohmann::json::parse(read.metadata.at("files"))[1].get<std::string>() == place.photos + "/cat/10.png");
    CHECK(read.metadata.at("feature") == "output");
}

TEST_CASE("an image of the folder is most like itself, and the page shows its neighbors") {
    const Place place;
    const auto one = place.photos + "/dog/3.png", page = (place.folder / "near.html").string();
    const auto done = embed({place.file, "--data", place.photos, "--nearest", one, "--k", "3", "--page", page, "--device", "cpu"});
    REQUIRE(done.status == 0);
    CHECK(done.out.starts_with("1\t1.0000\t" + one + "\tdog\n2\t"));
    CHECK(std::count(done.out.begin(), done.out.end(), '\n') == 3);
    CHECK(fs::exists(page));
    CHECK(!fs::exists("features.npy"));
}

TEST_CASE("patches of a transformer are [N, P, F]") {
    const Place place("vit_ti8d2");
    const auto out = (place.folder / "patches.npy").string();
    REQUIRE(embed({place.file, "--data", place.photos, "--unlabeled", "--patches", "--out", out, "--device", "cpu"}).status == 0);
    std::ifstream in(out, std::ios::binary);
    std::string start(256, '\0');
    in.read(start.data(), 256);
    CHECK(mentions(start, {"(11, 4, 192, )"}));
    // written batch by batch, the same as together
    const std::string values{std::istreambuf_iterator<char>(in), {}};
    const auto together = (place.folder / "patches.safetensors").string();
    REQUIRE(embed({place.file, "--data", place.photos, "--unlabeled", "--patches", "--out", together, "--batch-size", "4", "--device", "cpu"}).status == 0);
    REQUIRE(embed({place.file, "--data", place.photos, "--unlabeled", "--patches", "--out", out, "--batch-size", "4", "--device", "cpu"}).status == 0);
    const Tensor rows = io::load_safetensors(together).tensors.at("features");
    CHECK(read_text(out).substr(256) == std::string(static_cast<const char*>(rows.const_data_ptr()), rows.nbytes()));
    CHECK(values.size() == rows.nbytes());
}

TEST_CASE("wrong arguments of embed are one line, before anything is computed") {
    const Place place;
    const auto wrong = [](std::vector<std::string> words, std::initializer_list<std::string_view> parts) {
        const auto done = embed(std::move(words));
        CHECK(done.status == 2);
        CHECK(mentions(done.err, parts));
    };
    wrong({}, {"expected a run folder"});
    wrong({place.file}, {"--data is missing"});
    wrong({place.file, "--data", "none"}, {"none"});
    wrong({place.file, "--data", place.photos, "--out", "rows.txt"}, {".npy, .csv or .safetensors"});
    wrong({place.file, "--data", place.photos, "--nearest", place.photos + "/cat/damaged.png"}, {"damaged.png"});
    wrong({place.file, "--data", place.photos, "--nearest", "a.png", "--patches"}, {"--nearest", "--patches"});
}
