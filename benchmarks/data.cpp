// SPDX-License-Identifier: Apache-2.0
// Images a second that the loader makes views of, and the time of each stage. `./run bench data` runs this program beside
// other libraries; alone it prints its own figures.
//
//     data                                 as `data IMAGES`, with images of its own
//     data IMAGES                          every row, one JSON object a line
//     data IMAGES --row NAME [SECONDS]     one row: the figure alone
//     data IMAGES --stages                 milliseconds of each stage, for one image or one view
//     data IMAGES --views FILE             some views with what was drawn, to compare with other implementations
//     data --make FOLDER                   images for the benchmark: 64 JPEGs of 400x533 px, about 28 kB each
#include <doppel/augment/operations.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/data/image_folder.hpp>
#include <doppel/data/loader.hpp>
#include <doppel/data/memory.hpp>
#include <doppel/data/pack.hpp>
#include <doppel/data/packed.hpp>
#include <doppel/image/encode.hpp>
#include <doppel/views/multi_crop.hpp>
#include <doppel/views/simclr.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>

using namespace doppel;

namespace {

/// Encoded images in memory.
struct Encoded {
    std::shared_ptr<const std::vector<std::vector<std::uint8_t>>> files;
    std::int64_t size() const { return static_cast<std::int64_t>(files->size()); }
    const std::vector<std::uint8_t>& bytes(std::int64_t i) const { return files->at(static_cast<std::size_t>(i)); }
    Image image(std::int64_t i) const { return image::decode(bytes(i), "image"); }
    data::DecodedPart decode(std::int64_t i, const data::Needs& needs, Image& into) const {
        return data::decode_needed(bytes(i), "image", needs, into);
    }
    std::int64_t label(std::int64_t) const { return data::unlabeled; }
    std::vector<std::string> classes() const { return {}; }
};

double since(std::chrono::steady_clock::time_point began) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

double images_per_second(const data::Dataset& images, const std::vector<augment::Pipeline>& views, int workers, double seconds) {
    const std::int64_t batch = std::min<std::int64_t>(64, images.size());
    const data::Loader loader(images, views, {.batch_size = batch, .seed = 1, .workers = workers});
    auto pass = loader.pass(0, std::int64_t{1} << 40);
    for (int i = 0; i < 4; ++i) pass->next();  // the loader's threads are at work, its memory is there
    std::int64_t done = 0;
    const auto began = std::chrono::steady_clock::now();
    do done += pass->next()->index.size(0);
    while (since(began) < seconds);
    return static_cast<double>(done) / since(began);
}

void print(const std::string& name, double value, const char* unit) {
    std::printf("%s\n", nlohmann::ordered_json{{"name", name}, {"value", value}, {"unit", unit}}.dump().c_str());
}

/// Least milliseconds of an action over all images, in some repeats.
double milliseconds(std::int64_t images, const std::function<void(std::int64_t)>& action) {
    double best = 1e9;
    for (int repeat = 0; repeat < 7; ++repeat) {
        const auto began = std::chrono::steady_clock::now();
        for (std::int64_t i = 0; i < images; ++i) action(i);
        best = std::min(best, since(began) / static_cast<double>(images) * 1e3);
    }
    return best;
}

void stages(const Encoded& encoded) {
    using namespace augment;
    const std::int64_t count = std::min<std::int64_t>(encoded.size(), 64);
    std::vector<Image> decoded;
    for (std::int64_t i = 0; i < count; ++i) decoded.push_back(encoded.image(i));
    Image into;
    print("decode", milliseconds(count, [&](std::int64_t i) { image::decode_into(encoded.bytes(i), "image", into); }), "ms/image");
    const auto two = views::simclr({.size = 224}).pipelines;
    const auto draw = [](std::int64_t i, std::size_t v) {
        return random::Stream({.seed = 1, .index = static_cast<std::uint64_t>(i), .view = v});
    };
    print("decode the part that two views need", milliseconds(count, [&](std::int64_t i) {
        encoded.decode(i, [&](int width, int height) {
            const auto a = two[0].needs(width, height, draw(i, 0)), b = two[1].needs(width, height, draw(i, 1));
            const int left = std::min(a.left, b.left), top = std::min(a.top, b.top);
            return image::Rect{left, top, std::max(a.left + a.width, b.left + b.width) - left,
                               std::max(a.top + a.height, b.top + b.height) - top};
        }, into);
    }), "ms/image");
    const auto view = [&](std::vector<AnyOperation> more, image::Filter filter = image::Filter::bicubic) {
        std::vector<AnyOperation> all{RandomResizedCrop{.size = 224, .filter = filter}};
        all.insert(all.end(), more.begin(), more.end());
        const Pipeline pipeline({.size = 224, .operations = all});
        std::vector<std::uint8_t> out(pipeline.values());
        return milliseconds(count, [&](std::int64_t i) { pipeline(decoded[static_cast<std::size_t>(i)], draw(i, 0), out); });
    };
    const double crop = view({});
    print("crop and resize, bicubic", crop, "ms/view");
    print("crop and resize, bilinear", view({}, image::Filter::bilinear), "ms/view");
    print("flip", view({HorizontalFlip{.p = 1}}) - crop, "ms/view");
    print("brightness", view({ColorJitter{.brightness = 0.8, .contrast = 0, .saturation = 0, .hue = 0, .p = 1}}) - crop, "ms/view");
    print("contrast", view({ColorJitter{.brightness = 0, .contrast = 0.8, .saturation = 0, .hue = 0, .p = 1}}) - crop, "ms/view");
    print("saturation", view({ColorJitter{.brightness = 0, .contrast = 0, .saturation = 0.8, .hue = 0, .p = 1}}) - crop, "ms/view");
    print("hue", view({ColorJitter{.brightness = 0, .contrast = 0, .saturation = 0, .hue = 0.2, .p = 1}}) - crop, "ms/view");
    print("grayscale", view({Grayscale{.p = 1}}) - crop, "ms/view");
    print("blur, Gaussian", view({GaussianBlur{.p = 1}}) - crop, "ms/view");
    print("blur, Pillow's boxes", view({GaussianBlur{.p = 1, .kind = image::Blur::boxes}}) - crop, "ms/view");
    print("solarize", view({Solarize{.p = 1}}) - crop, "ms/view");
    std::vector<std::uint8_t> out(two[0].values());
    print("a whole SimCLR view", milliseconds(count, [&](std::int64_t i) {
        two[0](decoded[static_cast<std::size_t>(i)], draw(i, 0), out);
    }), "ms/view");
    print("the same by one operation after the other", milliseconds(count, [&](std::int64_t i) {
        two[0].render(decoded[static_cast<std::size_t>(i)], draw(i, 0));
    }), "ms/view");
}

/// One JSON object a view: the image, what was drawn, and the pixels [H, W, C] of the view as hexadecimal digits.
void write_views(const Encoded& encoded, const std::string& path) {
    using namespace augment;
    std::ofstream file(path);
    const RandomResizedCrop crop{.size = 224, .filter = image::Filter::bicubic};
    const HorizontalFlip flip;
    const ColorJitter jitter{.brightness = 0.8, .contrast = 0.8, .saturation = 0.8, .hue = 0.2};
    const Grayscale gray;
    for (std::int64_t i = 0; i < std::min<std::int64_t>(encoded.size(), 32); ++i) {
        const GaussianBlur blur{.kind = i % 2 ? image::Blur::boxes : image::Blur::gaussian};
        const Pipeline pipeline({.size = 224, .operations = {crop, flip, jitter, gray, blur}});
        const random::Stream stream({.seed = 5, .index = static_cast<std::uint64_t>(i)});
        const Image whole = encoded.image(i);
        random::Stream draw = stream;
        nlohmann::ordered_json line{{"image", i}, {"blur_kind", name_of(blur.kind)}};
        const auto part = crop.draw(draw, whole.width, whole.height);
        line["crop"] = {part.left, part.top, part.width, part.height};
        line["flip"] = flip.draw(draw);
        if (const auto drawn = jitter.draw(draw)) {
            for (const auto one : drawn->order) line["jitter"].push_back({static_cast<int>(one),
                one == Jitter::brightness ? *drawn->brightness : one == Jitter::contrast ? *drawn->contrast
                : one == Jitter::saturation ? *drawn->saturation : *drawn->hue});
        }
        line["gray"] = gray.draw(draw);
        if (const auto sigma = blur.draw(draw)) line["sigma"] = *sigma;
        std::vector<std::uint8_t> planes(pipeline.values());
        pipeline(whole, stream, planes);
        Image view;
        image::to_image({planes.data(), 224, 224, 3}, view);
        std::string digits;
        for (const auto byte : view.pixels) {
            digits += "0123456789abcdef"[byte >> 4];
            digits += "0123456789abcdef"[byte & 15];
        }
        line["pixels"] = digits;
        file << line.dump() << '\n';
    }
}

/// Photographs of a kind: drawn scenes with noise of every scale, so that a JPEG has as many bytes as one of a camera.
void make(const std::filesystem::path& folder) {
    std::filesystem::create_directories(folder);
    const data::Embedded scenes({.size = 533, .count = 64});
    for (std::int64_t i = 0; i < 64; ++i) {
        Image scene = image::crop(scenes.image(i), {66, 0, 400, 533});
        random::Stream draw({.seed = 9, .index = static_cast<std::uint64_t>(i)});
        for (const int scale : {1, 4, 16, 64}) {
            Image noise(400 / scale + 1, 533 / scale + 1, 3);
            for (auto& byte : noise.pixels) byte = static_cast<std::uint8_t>(draw.bits() >> 24);
            noise = image::resize(noise, 400, 533, image::Filter::bicubic);
            for (std::size_t p = 0; p < scene.pixels.size(); ++p)
                scene.pixels[p] = static_cast<std::uint8_t>(std::clamp(scene.pixels[p] + (noise.pixels[p] - 128) / (scale == 1 ? 8 : 5), 0, 255));
        }
        std::vector<std::uint8_t> bytes;
        for (int quality = 90; quality > 10 && (bytes.empty() || bytes.size() > 29'000); quality -= 5) bytes = image::encode_jpeg(scene, quality);
        std::ofstream(folder / (std::to_string(100 + i) + ".jpg"), std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }
}

int run(const std::vector<std::string>& words) {
    if (words.size() == 2 && words[0] == "--make") return make(words[1]), 0;
    if (words.empty()) {
        const auto made = std::filesystem::temp_directory_path() / ("doppel-bench-" + std::to_string(since({})));
        make(made);
        const int status = run({made.string()});
        std::filesystem::remove_all(made);
        return status;
    }
    const data::ImageFolder folder(words[0], {.labels = false});
    auto files = std::make_shared<std::vector<std::vector<std::uint8_t>>>();
    for (std::int64_t i = 0; i < std::min<std::int64_t>(folder.size(), 256); ++i) files->push_back(image::read_bytes(folder.path(i)));
    const Encoded encoded{files};
    if (words.size() == 2 && words[1] == "--stages") return stages(encoded), 0;
    if (words.size() == 3 && words[1] == "--views") return write_views(encoded, words[2]), 0;

    const auto simclr = views::simclr({.size = 224}).pipelines;
    const auto packed = [&](int workers, double seconds) {
        const auto path = std::filesystem::temp_directory_path() / ("doppel-bench-" + std::to_string(since({})) + ".dop");
        data::pack(path, encoded);
        const data::Packed read(path);
        std::filesystem::remove(path);  // stays readable while it is open
        return images_per_second(read, simclr, workers, seconds);
    };
    using Row = std::function<double(double)>;
    const std::vector<std::pair<std::string, Row>> rows{
        {"simclr 224", [&](double s) { return images_per_second(encoded, simclr, 1, s); }},
        {"simclr 224, Pillow's blur", [&](double s) {
             return images_per_second(encoded, views::simclr({.size = 224, .blur_kind = image::Blur::boxes}).pipelines, 1, s);
         }},
        {"simclr 224, two threads", [&](double s) { return images_per_second(encoded, simclr, 2, s); }},
        {"simclr 224, packed file", [&](double s) { return packed(1, s); }},
        {"multi-crop 2x224 + 6x96", [&](double s) {
             return images_per_second(encoded, views::multi_crop({.spec = views::simclr_spec()}).pipelines, 1, s);
         }},
        {"simclr 32", [&](double s) {
             return images_per_second(data::in_memory(data::Embedded({.size = 32, .count = 2000})), views::simclr_small().pipelines, 1, s);
         }}};
    if (words.size() >= 3 && words[1] == "--row") {
        for (const auto& [name, row] : rows)
            if (name == words[2]) return std::printf("%.2f\n", row(words.size() > 3 ? std::stod(words[3]) : 3.0)), 0;
        fail("data: there is no row '", words[2], "'");
    }
    require(words.size() == 1, "data: unknown option ", words[1]);
    for (const auto& [name, row] : rows) print(name, row(3), "images/s");
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run({argv + 1, argv + argc});
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "%s\n", problem.what());
        return 2;
    }
}
