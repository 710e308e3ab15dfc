// SPDX-License-Identifier: Apache-2.0
// CIFAR-10 and CIFAR-100 in their binary versions.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/detail/class_names.hpp>
#include <doppel/data/detail/folder.hpp>
#include <doppel/data/split.hpp>
#include <doppel/image/detail/file.hpp>
#include <doppel/image/image.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace doppel::data {

namespace detail {

/// A record: its labels (CIFAR-10: one, CIFAR-100: coarse and fine), then 32 × 32 bytes each of red, green, blue.
inline constexpr std::size_t cifar_pixels = 32 * 32, cifar_record = 1 + 3 * cifar_pixels, cifar100_record = 1 + cifar_record;

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

/// Returns whether a file is CIFAR-100's train.bin or test.bin: it has whole records, or the names of the classes beside it.
inline bool is_cifar100(const std::filesystem::path& file) {
    std::error_code problem;
    if (file.filename() != "train.bin" && file.filename() != "test.bin") return false;
    const auto size = std::filesystem::file_size(file, problem);
    if (problem) return false;
    return (size > 0 && size % cifar100_record == 0) || std::filesystem::exists(file.parent_path() / "fine_label_names.txt", problem);
}

/// Records in memory. The last of a record's labels counts.
class CifarRecords {
public:
    CifarRecords(std::string_view who, std::size_t labels, int classes) : who_(who), labels_(labels), classes_(classes) {}

    void append(const std::filesystem::path& file) {
        const auto bytes = image::detail::read_file(file, who_);
        require(!bytes.empty() && bytes.size() % length() == 0, who_, ": ", file.string(), ": ", bytes.size(),
                " bytes, expected a multiple of ", length());
        for (std::size_t at = 0; at < bytes.size(); at += length())
            require(bytes[at + labels_ - 1] < classes_, who_, ": ", file.string(), ": image ", at / length(), " has label ",
                    static_cast<int>(bytes[at + labels_ - 1]), ", expected 0 to ", classes_ - 1);
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    }

    std::int64_t size() const { return static_cast<std::int64_t>(bytes_.size() / length()); }
    std::int64_t label(std::int64_t i) const { return record(i)[labels_ - 1]; }
    Image image(std::int64_t i) const {
        const std::uint8_t* planes = record(i) + labels_;
        Image image(32, 32, 3);
        for (std::size_t p = 0; p < cifar_pixels; ++p)
            for (std::size_t c = 0; c < 3; ++c) image.pixels[3 * p + c] = planes[c * cifar_pixels + p];
        return image;
    }

private:
    std::size_t length() const { return labels_ + 3 * cifar_pixels; }
    const std::uint8_t* record(std::int64_t i) const {
        require(i >= 0 && i < size(), who_, ": index must be 0 to ", size() - 1, ", got ", i);
        return bytes_.data() + static_cast<std::size_t>(i) * length();
    }

    std::string_view who_;
    std::size_t labels_;
    int classes_;
    std::vector<std::uint8_t> bytes_;
};

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
        const bool is_file = std::filesystem::is_regular_file(path, ignored);
        if (!is_file) detail::require_folder(path, "Cifar10");
        const auto files = is_file ? std::vector{path} : detail::cifar_files(path, split);
        require(!files.empty(), "Cifar10: no ", split == Split::test ? "test_batch.bin" : "data_batch_*.bin", " in ",
                path.string());
        for (const auto& file : files) records_.append(file);
        classes_ = detail::names_of_classes((is_file ? path.parent_path() : path) / "batches.meta.txt", 10, "Cifar10");
        if (classes_.empty())
            classes_ = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
    }

    std::int64_t size() const { return records_.size(); }
    Image image(std::int64_t i) const { return records_.image(i); }
    std::int64_t label(std::int64_t i) const { return records_.label(i); }
    const std::vector<std::string>& classes() const { return classes_; }

private:
    detail::CifarRecords records_{"Cifar10", 1, 10};
    std::vector<std::string> classes_;
};

/// CIFAR-100 in memory: 32 × 32 RGB images with the labels of the 100 fine classes. `path` is a folder with train.bin and
/// test.bin, or one such file (`split` is then ignored). Class names come from fine_label_names.txt in the same folder; without
/// it they are "0" to "99".
///
/// Throws Error, with the path: no such file, a length that is not a multiple of 3,074 bytes, a fine label above 99.
/// Source: as Cifar10.
///
///     data::Cifar100 train("cifar-100-binary"), test("cifar-100-binary", data::Split::test);
class Cifar100 {
public:
    explicit Cifar100(const std::filesystem::path& path, Split split = Split::train) {
        std::error_code ignored;
        const bool is_folder = std::filesystem::is_directory(path, ignored);
        records_.append(is_folder ? path / (split == Split::test ? "test.bin" : "train.bin") : path);
        classes_ = detail::names_of_classes((is_folder ? path : path.parent_path()) / "fine_label_names.txt", 100, "Cifar100");
        for (int i = static_cast<int>(classes_.size()); i < 100; ++i) classes_.push_back(std::to_string(i));
    }

    std::int64_t size() const { return records_.size(); }
    Image image(std::int64_t i) const { return records_.image(i); }
    std::int64_t label(std::int64_t i) const { return records_.label(i); }
    const std::vector<std::string>& classes() const { return classes_; }

private:
    detail::CifarRecords records_{"Cifar100", 2, 100};
    std::vector<std::string> classes_;
};

static_assert(ImageSource<Cifar10> && ImageSource<Cifar100>);

}  // namespace doppel::data
