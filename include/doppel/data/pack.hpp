// SPDX-License-Identifier: Apache-2.0
// Writes a data set into one file, in a form that is quick to read.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/detail/layout.hpp>
#include <doppel/data/detail/packed_format.hpp>
#include <doppel/data/progress.hpp>
#include <doppel/data/split.hpp>
#include <doppel/image/decode.hpp>
#include <doppel/image/decode16.hpp>
#include <doppel/image/detail/file.hpp>
#include <doppel/image/encode.hpp>
#include <doppel/image/formats.hpp>
#include <doppel/image/image.hpp>
#include <doppel/image/image16.hpp>
#include <doppel/image/resize.hpp>
#include <doppel/image/transcode.hpp>
#include <doppel/io/atomic_file.hpp>
#include <doppel/io/detail/crc.hpp>
#include <doppel/options/field.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace doppel::data {

struct PackOptions {
    int largest_side = 0;                   ///< larger images are resized to this side, Pillow's bicubic; 0: none are
    int quality = 90;                       ///< of the JPEGs that resized images become
    bool raw = false;                       ///< pixels instead of image files
    std::string window{};                   ///< "LOW:HIGH" of 16-bit samples, as image::window_of() reads it
    std::int64_t threads = 0;               ///< 0: one per core
    Folders folders = Folders::automatic;   ///< as in OpenOptions
    bool unlabeled = false;                 ///< as in OpenOptions
    Progress progress{};
    std::function<void()> before_each{};    ///< called before each image; what it throws ends the packing

    static constexpr auto fields() {
        using O = PackOptions;
        using options::field;
        return std::tuple(
            field(&O::largest_side, "largest-side", "larger images are resized to this side and encoded as JPEG; 0: all keep their pixels",
                  options::between(0, 65'500), "px"),
            field(&O::quality, "quality", "of the JPEGs that resized images become", options::between(1, 100)),
            field(&O::raw, "raw", "store pixels instead of image files: larger, without decoding"),
            field(&O::window, "window",
                  "LOW:HIGH: files of 16 bits become pixels of 8, LOW 0 and HIGH 255; empty: they are kept, and read as 0:65535"),
            field(&O::threads, "threads", "images that are made at the same time; 0: one per core", options::between(0, 4096)),
            field(&O::folders, "folders",
                  "what the subfolders are; auto: splits if they have the names of splits (train, val, test, …), else classes"),
            field(&O::unlabeled, "unlabeled", "subfolders are no classes: every image at any depth, without labels"),
            options::hidden(&O::progress), options::hidden(&O::before_each));
    }
};
static_assert(options::described<PackOptions>);

/// What a packed file holds, and what it lacks.
struct PackReport {
    std::int64_t train = 0, validation = 0;
    std::uint64_t bytes = 0;             ///< of the file
    std::vector<std::string> skipped{};  ///< damaged images, and files that cannot be used, with the reason
    std::vector<std::string> notes{};    ///< images that were used although the end of their file is missing, and the like
};

namespace detail {

/// The side up to which an image takes less time as pixels than as a file.
inline constexpr int small_side = 64;

inline std::vector<std::uint8_t> ppm_of(const Image& image) {
    const std::string head = (image.channels == 1 ? "P5 " : "P6 ") + std::to_string(image.width) + " " + std::to_string(image.height) + " 255\n";
    std::vector<std::uint8_t> bytes(head.begin(), head.end());
    bytes.insert(bytes.end(), image.pixels.begin(), image.pixels.end());
    return bytes;
}

/// Returns the size with the largest side at `most`, in proportion.
inline doppel::Shape shrunk(const doppel::Shape& all, int most) {
    const auto scaled = [&](int length) {
        const std::int64_t largest = std::max(all.width, all.height);
        return static_cast<int>(std::max<std::int64_t>((2 * std::int64_t{length} * most + largest) / (2 * largest), 1));
    };
    return {scaled(all.width), scaled(all.height), all.channels};
}

/// Returns the bytes that a packed file has for `image`; `file` is what it was decoded from, empty for other images and for
/// those whose pixels are not the file's.
inline std::vector<std::uint8_t> packed_bytes(Image& image, std::vector<std::uint8_t> file, const PackOptions& o, std::string_view name) {
    const bool resized = o.largest_side > 0 && std::max(image.width, image.height) > o.largest_side;
    if (resized) {
        const doppel::Shape size = shrunk(image.shape(), o.largest_side);
        image = image::resize(image, size.width, size.height, image::Filter::bicubic);
    }
    if (o.raw || std::max(image.width, image.height) <= small_side || (file.empty() && !resized)) return ppm_of(image);
    if (!resized && image::format_of(file) != image::Format::jpeg) return file;
    try {
        auto jpeg = image::restartable_jpeg(resized ? image::encode_jpeg(image, o.quality) : file, name);
        if (resized || image::decode(jpeg, name) == image) return jpeg;
    } catch (const Error&) {
        if (resized) throw;
    }
    return file;  // a JPEG that cannot be written anew as it is
}

/// Writes the images of a packed file, and its index.
class Packing {
public:
    Packing(const PackOptions& options, PackReport& report) : options_(options), report_(report), ticker_(options.progress) {}

    void write(std::ostream& out, const std::array<const Dataset*, 2>& parts, const std::filesystem::path& root) {
        PackedWriter head, index, tail;
        head.number(std::uint64_t{packed_version});
        put(out, packed_magic);
        put(out, head.bytes());
        index.number(static_cast<std::uint32_t>(parts.size()));
        const auto total = parts[0]->size() + parts[1]->size();
        for (std::size_t p = 0; p < parts.size() && out; ++p) {
            const Dataset& images = *parts[p];
            index.text(p == 0 ? "train" : "validation");
            const auto classes = images.classes();
            index.number(static_cast<std::uint32_t>(classes.size()));
            for (const auto& name : classes) index.text(name);
            PackedWriter records;
            std::uint64_t count = 0;
            for (std::int64_t first = 0; first < images.size() && out; first += portion) {
                const auto made = make(images, first, std::min(first + portion, images.size()), root, p);
                for (const Made& one : made) {
                    if (one.error) {
                        try {
                            std::rethrow_exception(one.error);
                        } catch (const DamagedImage& problem) { report_.skipped.emplace_back(problem.what()); }
                        continue;
                    }
                    if (!one.note.empty()) report_.notes.push_back(one.note);
                    records.record({.offset = at_,
                                    .bytes = one.bytes.size(),
                                    .label = one.label,
                                    .width = static_cast<std::uint32_t>(one.shape.width),
                                    .height = static_cast<std::uint32_t>(one.shape.height),
                                    .channels = static_cast<std::uint32_t>(one.shape.channels),
                                    .checksum = io::detail::Crc32().update(one.bytes.data(), one.bytes.size()).value(),
                                    .name = one.name});
                    put(out, {reinterpret_cast<const char*>(one.bytes.data()), one.bytes.size()});
                    ++count;
                    ++(p == 0 ? report_.train : report_.validation);
                }
                const auto done = report_.train + report_.validation;
                ticker_.tick([&] { return "packed " + std::to_string(done) + " of " + std::to_string(total) + " images"; });
            }
            index.number(count);
            index.append(records);
        }
        if (!out) return;  // write_atomically says why
        require(report_.train + report_.validation > 0 || total == 0, "pack: none of the ", total, " images can be decoded: ",
                report_.skipped.empty() ? "" : report_.skipped.front());
        tail.number(at_);
        tail.number(static_cast<std::uint64_t>(index.bytes().size()));
        tail.number(io::detail::Crc32().update(index.bytes()).value());
        tail.number(packed_version);
        put(out, index.bytes());
        put(out, tail.bytes());
        report_.bytes = at_;
    }

private:
    /// Images that are made before they are written: enough for many threads, and little memory.
    static constexpr std::int64_t portion = 64;

    struct Made {
        std::vector<std::uint8_t> bytes{};
        doppel::Shape shape{};
        std::int64_t label = unlabeled;
        std::string name{}, note{};
        std::exception_ptr error{};
    };

    /// Makes images [first, last), in threads.
    std::vector<Made> make(const Dataset& images, std::int64_t first, std::int64_t last, const std::filesystem::path& root, std::size_t part) {
        std::vector<Made> made(static_cast<std::size_t>(last - first));
        for (std::int64_t i = first; i < last && options_.before_each; ++i) options_.before_each();
        std::atomic<std::int64_t> next = first;
        const auto work = [&] {
            for (std::int64_t i = next++; i < last; i = next++) {
                Made& one = made[static_cast<std::size_t>(i - first)];
                try {
                    make(images, i, root, part, one);
                } catch (...) { one.error = std::current_exception(); }
            }
        };
        const auto cores = options_.threads > 0 ? options_.threads : std::int64_t{std::max(std::thread::hardware_concurrency(), 1u)};
        std::vector<std::thread> threads;
        for (std::int64_t t = 1; t < std::min(cores, last - first); ++t) threads.emplace_back(work);
        work();
        for (auto& thread : threads) thread.join();
        return made;
    }
    void make(const Dataset& images, std::int64_t i, const std::filesystem::path& root, std::size_t part, Made& one) const {
        const auto path = images.path(i);
        std::vector<std::uint8_t> file;
        Image image;
        if (path.empty()) {
            one.name = (part == 0 ? "train/" : "validation/") + std::to_string(i);
            require(options_.window.empty(), "pack: --window maps the samples of image files; these images are no files of their own");
            image = images.image(i);
        } else {
            const auto relative = root.empty() ? path : path.lexically_relative(root);
            one.name = (relative.empty() || *relative.begin() == ".." ? path : relative).generic_string();
            try {
                file = image::detail::read_file(path, "pack");
            } catch (const Error& problem) { throw UnreadableImage(problem.what()); }
            image = image::decode(file, path.string());
            if (const auto window = image::window_of(options_.window)) {
                Image mapped = image::decode_samples(file, path.string(), {.window = window});
                if (mapped != image) image = std::move(mapped), file.clear();
            }
        }
        if (image.channels != 1 && image.channels != 3)
            throw DamagedImage("pack: " + one.name + ": has " + std::to_string(image.channels) +
                               " channels, expected 1 or 3: packed files hold no bands");
        one.note = image.note;
        one.label = images.label(i);
        one.bytes = packed_bytes(image, std::move(file), options_, one.name);
        one.shape = image.shape();
    }
    void put(std::ostream& out, std::string_view bytes) {
        out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        at_ += bytes.size();
    }

    const PackOptions& options_;
    PackReport& report_;
    Ticker ticker_;
    std::uint64_t at_ = 0;
};

}  // namespace detail

/// Writes training and validation images into one file that data::Packed reads, atomically. The pixels stay the same, but
/// for images that are resized: a JPEG is written anew without loss (image::restartable_jpeg), other files are kept; images of
/// at most 64 px and those that are no files become pixels. Names are paths below `root`. Damaged images are left out. The
/// same images give the same bytes. Throws Error if none can be decoded, or the file cannot be written.
///
///     data::pack("dots.dop", data::Memory(images, labels, {"light", "dark"}));
inline PackReport pack(const std::filesystem::path& file, const Dataset& train, const Dataset& validation = {},
                       const PackOptions& options = {}, const std::filesystem::path& root = {}) {
    require(options.largest_side >= 0, "pack: largest_side must be at least 0, got ", options.largest_side);
    require(options.window.empty() || image::window_of(options.window), "pack: window must be LOW:HIGH, 0 <= LOW < HIGH <= 65535, got '",
            options.window, "'");
    require(options.quality >= 1 && options.quality <= 100, "pack: quality must be 1 to 100, got ", options.quality);
    PackReport report;
    io::write_atomically(file, [&](std::ostream& out) { detail::Packing(options, report).write(out, {&train, &validation}, root); });
    return report;
}

/// Packs the data set at `path`, with the splits that it has (data::open finds them); what is held out of one without a
/// validation split is decided when the file is opened.
///
///     const auto report = data::pack_path("photos", "photos.dop", {.largest_side = 256});
inline PackReport pack_path(const std::filesystem::path& path, const std::filesystem::path& file, const PackOptions& options = {}) {
    auto layout = detail::layout_of(path, {.folders = options.folders,
                                           .unlabeled = options.unlabeled,
                                           .evaluation = true,
                                           .progress = options.progress});
    std::vector<std::string> skipped, notes;
    const auto loaded = [&](auto& part) -> Dataset {
        if (!part) return {};
        auto found = detail::load(*part, options.unlabeled);
        skipped.insert(skipped.end(), found.skipped.begin(), found.skipped.end());
        notes.insert(notes.end(), found.notes.begin(), found.notes.end());
        return found.data;
    };
    const Dataset train = loaded(layout.train), validation = loaded(layout.validation);
    auto report = pack(file, train, validation, options, path);
    report.skipped.insert(report.skipped.end(), skipped.begin(), skipped.end());
    report.notes.insert(report.notes.end(), notes.begin(), notes.end());
    for (auto& why : layout.survey.skipped) report.skipped.push_back(std::move(why));
    for (auto& line : layout.survey.notes()) report.notes.push_back(std::move(line));
    if (!layout.unused.empty()) report.notes.push_back("not packed: " + layout.unused);
    return report;
}

}  // namespace doppel::data
