// SPDX-License-Identifier: Apache-2.0
// CIFAR-10 in its binary version.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/detail/folder.hpp>
#include <doppel/data/split.hpp>
#include <doppel/image/detail/file.hpp>
#include <doppel/image/image.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

namespace doppel::data {

namespace detail {

/// A record: a label, then 32 × 32 bytes each of red, green, blue.
inline constexpr std::size_t cifar_pixels = 32 * 32, cifar_record = 1 + 3 * cifar_pixels;

/// Returns the files data_batch_*.bin or test_batch.bin of a folder.
inline std::vector<std::filesystem::path> cifar_files(const std::filesystem::path& folder, Split split) {
    std::vector<std::filesystem::path> files;
    for (const auto& [path, is_folder, is_link] : list(folder, "Cifar10")) {
        const auto name = path.filename().string();
        const bool train = name.starts_with("data_batch") && name.ends_with(".bin"), test = name == "test_batch.bin";
        if (!is_folder && (split == Split::test ? test : train)) files.push_back(path);
    }
    return files;
}

/// Returns the lines of batches.meta.txt, or the published names if there is no such file.
inline std::vector<std::string> cifar_classes(const std::filesystem::path& folder) {
    const auto path = folder / "batches.meta.txt";
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored))
        return {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
    std::vector<std::string> names(1);
    for (const auto byte : image::detail::read_file(path, "Cifar10")) {
        if (byte == '\n')
            names.emplace_back();
        else if (byte != '\r')
            names.back() += static_cast<char>(byte);
    }
    std::erase(names, "");
    require(names.size() == 10, "Cifar10: ", path.string(), ": ", names.size(), " class names, expected 10");
    return names;
}

}  // namespace detail

/// CIFAR-10 in memory: 32 × 32 RGB images of ten classes. `path` is a folder with data_batch_*.bin (train) and
/// test_batch.bin (test), or one such file (`split` is then ignored).
/// Class names come from batches.meta.txt in the same folder, if present.
///
/// Throws Error, with the path: no such files, a length that is not a multiple of 3,073 bytes, a label above 9.
/// Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
///
///     data::Cifar10 train("cifar-10-batches-bin"), test("cifar-10-batches-bin", data::Split::test);
class Cifar10 {
public:
    explicit Cifar10(const std::filesystem::path& path, Split split = Split::train) {
        std::error_code ignored;
        if (std::filesystem::is_regular_file(path, ignored)) {
            append(path);
            classes_ = detail::cifar_classes(path.parent_path());
            return;
        }
        detail::require_folder(path, "Cifar10");
        const auto files = detail::cifar_files(path, split);
        require(!files.empty(), "Cifar10: no ", split == Split::test ? "test_batch.bin" : "data_batch_*.bin", " in ",
                path.string());
        for (const auto& file : files) append(file);
        classes_ = detail::cifar_classes(path);
    }

    std::int64_t size() const { return static_cast<std::int64_t>(records_.size() / detail::cifar_record); }
    Image image(std::int64_t i) const {
        const std::uint8_t* planes = record(i) + 1;
        Image image(32, 32, 3);
        for (std::size_t p = 0; p < detail::cifar_pixels; ++p)
            for (std::size_t c = 0; c < 3; ++c) image.pixels[3 * p + c] = planes[c * detail::cifar_pixels + p];
        return image;
    }
    std::int64_t label(std::int64_t i) const { return *record(i); }
    const std::vector<std::string>& classes() const { return classes_; }

private:
    const std::uint8_t* record(std::int64_t i) const {
        require(i >= 0 && i < size(), "Cifar10: index must be 0 to ", size() - 1, ", got ", i);
        return records_.data() + static_cast<std::size_t>(i) * detail::cifar_record;
    }

    void append(const std::filesystem::path& file) {
        const auto bytes = image::detail::read_file(file, "Cifar10");
        require(!bytes.empty() && bytes.size() % detail::cifar_record == 0, "Cifar10: ", file.string(), ": ",
                bytes.size(), " bytes, expected a multiple of ", detail::cifar_record);
        for (std::size_t at = 0; at < bytes.size(); at += detail::cifar_record)
            require(bytes[at] <= 9, "Cifar10: ", file.string(), ": image ", at / detail::cifar_record, " has label ",
                    static_cast<int>(bytes[at]), ", expected 0 to 9");
        records_.insert(records_.end(), bytes.begin(), bytes.end());
    }

    std::vector<std::uint8_t> records_;
    std::vector<std::string> classes_;
};

static_assert(ImageSource<Cifar10>);

}  // namespace doppel::data
