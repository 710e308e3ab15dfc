// SPDX-License-Identifier: Apache-2.0
// STL-10 in its binary version.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/detail/class_names.hpp>
#include <doppel/data/detail/random_file.hpp>
#include <doppel/image/detail/file.hpp>
#include <doppel/image/image.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace doppel::data {

/// The parts of STL-10: 5,000 and 8,000 labeled images, and 100,000 without labels.
enum class Stl10Part { train, test, without_labels };

namespace detail {

inline constexpr int stl10_side = 96;
inline constexpr std::size_t stl10_plane = 96 * 96, stl10_image = 3 * stl10_plane;

/// The images file of a part; an empty path if it is not in the folder.
inline std::filesystem::path stl10_images(const std::filesystem::path& folder, Stl10Part part) {
    const auto path = folder / std::array{"train_X.bin", "test_X.bin", "unlabeled_X.bin"}[static_cast<std::size_t>(part)];
    std::error_code ignored;
    return std::filesystem::is_regular_file(path, ignored) ? path : std::filesystem::path();
}

}  // namespace detail

/// A part of STL-10: 96 × 96 RGB images of ten classes. `folder` has train_X.bin with train_y.bin, test_X.bin with test_y.bin,
/// unlabeled_X.bin, and class_names.txt, which may be missing. Images are read from the file when they are needed; only the
/// labels are in memory.
///
/// Throws Error, with the path: no such file, a length that is not a multiple of 27,648 bytes, a number of labels other than
/// that of the images, a label that is not 1 to 10. `image` throws UnreadableImage if the file cannot be read any more.
/// Source: Coates, Lee, Ng, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning", AISTATS 2011.
///
///     data::Stl10 train("stl10_binary"), unlabeled("stl10_binary", data::Stl10Part::without_labels);
class Stl10 {
public:
    explicit Stl10(const std::filesystem::path& folder, Stl10Part part = Stl10Part::train)
        : images_(existing(folder, part)) {
        const auto bytes = images_.size();
        require(bytes > 0 && bytes % detail::stl10_image == 0, "Stl10: ", images_.path().string(), ": ", bytes,
                " bytes, expected a multiple of ", detail::stl10_image);
        count_ = static_cast<std::int64_t>(bytes / detail::stl10_image);
        if (part == Stl10Part::without_labels) return;
        classes_ = detail::names_of_classes(folder / "class_names.txt", 10, "Stl10");
        if (classes_.empty())
            classes_ = {"airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"};
        const auto path = folder / (part == Stl10Part::train ? "train_y.bin" : "test_y.bin");
        labels_ = image::detail::read_file(path, "Stl10");
        require(static_cast<std::int64_t>(labels_.size()) == count_, "Stl10: ", path.string(), ": ", labels_.size(), " labels, expected ",
                count_, ", as many as images in ", images_.path().string());
        for (std::size_t i = 0; i < labels_.size(); ++i)
            require(labels_[i] >= 1 && labels_[i] <= 10, "Stl10: ", path.string(), ": image ", i, " has label ",
                    static_cast<int>(labels_[i]), ", expected 1 to 10");
    }

    std::int64_t size() const { return count_; }
    Image image(std::int64_t i) const {
        std::array<std::uint8_t, detail::stl10_image> planes;  // red, green, blue; each by columns
        const auto offset = checked(i) * detail::stl10_image;
        if (images_.read(offset, planes) != planes.size())
            throw UnreadableImage("Stl10: " + images_.path().string() + " has become shorter than image " + std::to_string(i));
        Image image(detail::stl10_side, detail::stl10_side, 3);
        for (std::size_t y = 0; y < 96; ++y)
            for (std::size_t x = 0; x < 96; ++x)
                for (std::size_t c = 0; c < 3; ++c) image.pixels[3 * (96 * y + x) + c] = planes[c * detail::stl10_plane + 96 * x + y];
        return image;
    }
    std::int64_t label(std::int64_t i) const {
        const auto at = checked(i);
        return labels_.empty() ? unlabeled : labels_[at] - 1;
    }
    const std::vector<std::string>& classes() const { return classes_; }
    /// Returns a hash of the number of images and the labels.
    std::string fingerprint() const {
        detail::Fingerprint print;
        print.add(std::to_string(count_));
        print.add({reinterpret_cast<const char*>(labels_.data()), labels_.size()});
        return print.text();
    }

private:
    static std::filesystem::path existing(const std::filesystem::path& folder, Stl10Part part) {
        auto path = detail::stl10_images(folder, part);
        require(!path.empty(), "Stl10: no ", std::array{"train", "test", "unlabeled"}[static_cast<std::size_t>(part)], "_X.bin in ",
                folder.string());
        return path;
    }

    std::size_t checked(std::int64_t i) const {
        require(i >= 0 && i < count_, "Stl10: index must be 0 to ", count_ - 1, ", got ", i);
        return static_cast<std::size_t>(i);
    }

    detail::RandomFile images_;
    std::vector<std::string> classes_;
    std::vector<std::uint8_t> labels_;
    std::int64_t count_ = 0;
};

static_assert(ImageSource<Stl10> && ListedSource<Stl10>);

}  // namespace doppel::data
