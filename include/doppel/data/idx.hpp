// SPDX-License-Identifier: Apache-2.0
// IDX files, the format of MNIST and Fashion-MNIST.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/detail/idx_files.hpp>
#include <doppel/data/detail/gzip_file.hpp>
#include <doppel/data/split.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iomanip>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace doppel::data {

namespace detail {

/// An array of bytes with N dimensions. In the file: magic number (0, 0, 8 for unsigned bytes, N), N sizes, the bytes.
template <std::size_t N>
struct IdxArray {
    std::array<std::size_t, N> sizes{};
    std::vector<std::uint8_t> bytes;

    explicit IdxArray(const std::filesystem::path& path) {
        GzipFile file(path, "Idx");
        const auto head = file.read(4 + 4 * N);
        require(head.size() == 4 + 4 * N, "Idx: ", path.string(), ": ", head.size(), " bytes, expected a header of ",
                4 + 4 * N);
        const auto number = [&](std::size_t at) {
            return std::size_t{head[at]} << 24 | std::size_t{head[at + 1]} << 16 | std::size_t{head[at + 2]} << 8 |
                   head[at + 3];
        };
        require(number(0) == 0x800 + N, "Idx: ", path.string(), ": magic number ", hexadecimal(number(0)),
                ", expected ", hexadecimal(0x800 + N), " (unsigned bytes in ", N,
                N == 1 ? " dimension)" : " dimensions)");
        std::size_t total = 1;
        std::string shape;
        for (std::size_t d = 0; d < N; ++d) {
            sizes[d] = number(4 + 4 * d);
            shape += (d > 0 ? " x " : "") + std::to_string(sizes[d]);
        }
        for (const std::size_t size : sizes) {
            require(size > 0 && size <= (std::size_t{1} << 40) / total, "Idx: ", path.string(), ": sizes ", shape,
                    ", expected 1 to 2^40 bytes");
            total *= size;
        }
        bytes = file.read(total);
        require(bytes.size() == total, "Idx: ", path.string(), ": ", bytes.size(), " bytes after the header, expected ",
                shape, " = ", total);
        require(file.read(1).empty(), "Idx: ", path.string(), ": more bytes after the header than ", shape, " = ",
                total);
    }

    static std::string hexadecimal(std::size_t value) {
        std::ostringstream text;
        text << "0x" << std::hex << std::setw(8) << std::setfill('0') << value;
        return text.str();
    }
};

}  // namespace detail

/// Gray images in memory from an IDX file, plain or gzip, with labels from a second file; unlabeled without one. The
/// classes are "0" to the highest label.
///
/// Throws Error, with the path, the value and what was expected, for a wrong magic number, size or length, damaged gzip
/// data, and a number of labels other than that of the images.
/// Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", file formats.
///
///     data::Idx digits("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz");
class Idx {
public:
    explicit Idx(const std::filesystem::path& images, const std::filesystem::path& labels = {}) {
        detail::IdxArray<3> pixels(images);
        count_ = pixels.sizes[0];
        require(pixels.sizes[1] <= 65535 && pixels.sizes[2] <= 65535, "Idx: ", images.string(), ": images of ",
                pixels.sizes[2], " x ", pixels.sizes[1], " pixels, expected at most 65535 x 65535");
        height_ = static_cast<int>(pixels.sizes[1]);
        width_ = static_cast<int>(pixels.sizes[2]);
        pixels_ = std::move(pixels.bytes);
        if (labels.empty()) return;
        detail::IdxArray<1> numbers(labels);
        require(numbers.sizes[0] == count_, "Idx: ", labels.string(), ": ", numbers.sizes[0], " labels, expected ",
                count_, ", as many as images in ", images.string());
        labels_ = std::move(numbers.bytes);
        const int highest = *std::max_element(labels_.begin(), labels_.end());
        for (int i = 0; i <= highest; ++i) classes_.push_back(std::to_string(i));
    }

    std::int64_t size() const { return static_cast<std::int64_t>(count_); }
    Image image(std::int64_t i) const {
        Image image(width_, height_, 1);
        std::copy_n(pixels_.data() + checked(i) * image.pixels.size(), image.pixels.size(), image.pixels.begin());
        return image;
    }
    std::int64_t label(std::int64_t i) const {
        const std::size_t at = checked(i);
        return labels_.empty() ? unlabeled : labels_[at];
    }
    const std::vector<std::string>& classes() const { return classes_; }

private:
    std::size_t checked(std::int64_t i) const {
        require(i >= 0 && i < size(), "Idx: index must be 0 to ", size() - 1, ", got ", i);
        return static_cast<std::size_t>(i);
    }

    std::size_t count_ = 0;
    int width_ = 0, height_ = 0;
    std::vector<std::uint8_t> pixels_, labels_;
    std::vector<std::string> classes_;
};

static_assert(ImageSource<Idx>);

/// Opens the train or test files of a folder, found by name: train-images-idx3-ubyte and train-labels-idx1-ubyte, with
/// t10k or test in place of train; `.` or `_` may replace a hyphen, and the names may end in .gz.
/// Throws Error, with the path, if the images are missing or the choice is ambiguous.
///
///     data::Dataset test = data::idx_folder("fashion-mnist", data::Split::test);
inline Idx idx_folder(const std::filesystem::path& folder, Split split = Split::train) {
    detail::require_folder(folder, "Idx");
    const auto images = detail::idx_images(folder, split);
    require(!images.empty(), "Idx: no ", split == Split::train ? "train" : "t10k", "-images-idx3-ubyte or .gz in ",
            folder.string());
    return Idx(images, detail::idx_labels_of(images));
}

}  // namespace doppel::data
